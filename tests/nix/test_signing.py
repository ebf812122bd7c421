"""Keys and signatures in Nix's form."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc.nix.errors import FormatError
from fc.nix.signing import SigningKey, verify

FINGERPRINT = "1;/nix/store/y2yjlvgakv34zr09khygiw84ay9arlcm-a;sha256:x;120;"


def test_a_key_survives_the_round_trip() -> None:
    key = SigningKey.generate("cache.example.org-1")
    again = SigningKey.parse(key.secret_text + "\n")
    assert (again.name, again.secret_text, again.public_text) == (key.name, key.secret_text, key.public_text)
    assert key.public_text.startswith("cache.example.org-1:")
    assert key.sign(FINGERPRINT) == again.sign(FINGERPRINT)


def test_a_key_does_not_show_its_secret() -> None:
    key = SigningKey.generate("cache-1")
    assert repr(key) == "SigningKey('cache-1')"


def test_a_signature_is_good_for_its_text_and_key_alone() -> None:
    key = SigningKey.generate("cache-1")
    namesake = SigningKey.generate("cache-1")
    signature = key.sign(FINGERPRINT)
    assert verify(FINGERPRINT, [signature], [key.public_text])
    assert verify(FINGERPRINT, ["nonsense", "other:AAAA", signature], [namesake.public_text, key.public_text])
    assert not verify(FINGERPRINT + "x", [signature], [key.public_text])
    assert not verify(FINGERPRINT, [signature], [namesake.public_text])
    assert not verify(FINGERPRINT, [signature], [SigningKey.generate("other").public_text])
    assert not verify(FINGERPRINT, [], [key.public_text])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "cache-1",
        "cache-1:",
        ":" + base64.b64encode(bytes(64)).decode(),
        "cache 1:" + base64.b64encode(bytes(64)).decode(),
        "cache-1:" + base64.b64encode(bytes(32)).decode(),
        "cache-1:!!!!",
        "cache-1:é",
        "cache-1:" + base64.b64encode(bytes(64)).decode(),
    ],
)
def test_what_is_no_key_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(FormatError) as caught:
        SigningKey.parse(text)
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\n", "a" * 256])
def test_a_name_that_cannot_be_written_is_refused(name: str) -> None:
    with pytest.raises(FormatError):
        SigningKey.generate(name)


def test_a_public_key_that_cannot_be_read_is_an_error() -> None:
    with pytest.raises(FormatError, match="public key"):
        verify(FINGERPRINT, [], ["cache-1"])


@given(st.text(), st.binary(min_size=60, max_size=70))
def test_arbitrary_signatures_are_not_good(text: str, data: bytes) -> None:
    key = SigningKey.generate("cache-1")
    signatures = [text, f"cache-1:{text}", "cache-1:" + base64.b64encode(data).decode()]
    assert not verify(FINGERPRINT, signatures, [key.public_text])
