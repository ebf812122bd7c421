"""Hashes in all the forms Nix writes."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc.nix.errors import FormatError
from fc.nix.hashes import decode_base32, encode_base32, format_sha256, parse_sha256

EMPTY = hashlib.sha256(b"").digest()
EMPTY_BASE32 = (
    "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"  # nix-hash --type sha256 --flat --base32 /dev/null
)


def test_base_32_is_as_nix_writes_it() -> None:
    assert encode_base32(EMPTY) == EMPTY_BASE32
    assert decode_base32(EMPTY_BASE32, 32) == EMPTY
    assert encode_base32(b"") == ""


@given(st.binary(max_size=70))
def test_base_32_survives_the_round_trip(data: bytes) -> None:
    assert decode_base32(encode_base32(data), len(data)) == data


@pytest.mark.parametrize(
    ("text", "size", "reason"),
    [
        ("00", 2, "wrong length"),
        ("0e00", 2, "alphabet"),
        ("z000", 2, "bits beyond"),
    ],
)
def test_base_32_that_stands_for_nothing_is_refused(text: str, size: int, reason: str) -> None:
    with pytest.raises(FormatError, match=reason):
        decode_base32(text, size)


def test_every_form_of_a_sha256_is_understood() -> None:
    forms = (
        f"sha256:{EMPTY_BASE32}",
        f"sha256:{EMPTY.hex()}",
        EMPTY.hex(),
        "sha256-" + base64.b64encode(EMPTY).decode(),
    )
    assert {parse_sha256(text) for text in forms} == {EMPTY}
    assert format_sha256(EMPTY) == f"sha256:{EMPTY_BASE32}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        "sha1:" + "0" * 40,
        "sha256:" + "g!" * 32,
        "sha256:" + "é" * 64,
        "sha256:" + "e" * 52,
        "sha256-!!!!",
        "sha256-é",
        "sha256-AAAA",
    ],
)
def test_what_is_no_sha256_is_refused(text: str) -> None:
    with pytest.raises(FormatError):
        parse_sha256(text)


@given(st.text() | st.text().map("sha256:".__add__) | st.text().map("sha256-".__add__))
def test_arbitrary_text_is_a_digest_or_a_format_error(text: str) -> None:
    try:
        assert len(parse_sha256(text)) == 32
    except FormatError:
        return
