"""narinfo files: writing, reading, what is signed."""

import hashlib

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc.nix.errors import FormatError
from fc.nix.hashes import format_sha256
from fc.nix.narinfo import NarInfo, fingerprint, format_narinfo, parse_narinfo
from fc.nix.path_info import PathInfo

A = "y2yjlvgakv34zr09khygiw84ay9arlcm-a"
B = "ljdzr8f3z97qi6zbxhngmavcbsh7pr30-b"
DRV = "ljdzr8f3z97qi6zbxhngmavcbsh7pr30-b.drv"
DIGEST = hashlib.sha256(b"").digest()
HASH = format_sha256(DIGEST)

INFO = PathInfo(
    path=f"/nix/store/{B}",
    deriver=f"/nix/store/{DRV}",
    references=(f"/nix/store/{A}", f"/nix/store/{B}"),
    nar_size=120,
    nar_hash=HASH,
    ca="fixed:r:sha256:x",
    signatures=("k-1:AAAA", "k-2:BBBB"),
)
FULL = f"""StorePath: /nix/store/{B}
URL: nar/x.nar
Compression: none
FileHash: {HASH}
FileSize: 120
NarHash: {HASH}
NarSize: 120
References: {B} {A}
Deriver: {DRV}
Sig: k-1:AAAA
Sig: k-2:BBBB
CA: fixed:r:sha256:x
"""
SHORT = f"StorePath: /nix/store/{B}\nURL: nar/x.nar\nCompression: none\nNarHash: {HASH}\nNarSize: 120\nReferences: \n"


def test_everything_known_is_written() -> None:
    assert format_narinfo(NarInfo(info=INFO, url="nar/x.nar", file_hash=HASH, file_size=120)) == FULL


def test_what_is_not_known_is_left_out() -> None:
    assert (
        format_narinfo(NarInfo(info=PathInfo(path=INFO.path, nar_size=120, nar_hash=HASH), url="nar/x.nar"))
        == SHORT
    )


def test_a_written_narinfo_is_read_back() -> None:
    references = tuple(sorted(INFO.references))
    info = msgspec.structs.replace(INFO, references=references)
    assert parse_narinfo(FULL) == NarInfo(info=info, url="nar/x.nar", file_hash=HASH, file_size=120)
    assert parse_narinfo(SHORT).info == PathInfo(path=INFO.path, nar_size=120, nar_hash=HASH)


def test_forms_of_other_caches_are_read() -> None:
    text = FULL.replace("Compression: none\n", "Whatever: new\n").replace(
        f"Deriver: {DRV}", "Deriver: unknown-deriver"
    )
    narinfo = parse_narinfo(text.replace(f"NarHash: {HASH}", f"NarHash: sha256:{DIGEST.hex()}"))
    assert narinfo.compression == "bzip2"
    assert narinfo.info.deriver is None
    assert narinfo.info.nar_hash == HASH


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("URL: nar/x.nar\n", ""),
        ("URL: nar/x.nar\n", "URL:\n"),
        (f"StorePath: /nix/store/{B}", f"StorePath: {B}"),
        ("NarSize: 120", "NarSize: -1"),
        ("NarSize: 120", "NarSize: 9999999999999999999"),
        ("FileSize: 120", "FileSize: many"),
        (f"NarHash: {HASH}", "NarHash: md5:x"),
        (f"FileHash: {HASH}", "FileHash: sha256:x"),
        (f"Deriver: {DRV}", f"Deriver: /nix/store/{DRV}"),
        (f"References: {B}", "References: /etc/passwd"),
        ("Compression: none\n", "Compression: none\nCompression: xz\n"),
        ("Compression: none\n", "Compression none\n"),
        ("Compression: none\n", "\n"),
    ],
)
def test_what_breaks_the_format_is_refused(old: str, new: str) -> None:
    assert old in FULL
    with pytest.raises(FormatError):
        parse_narinfo(FULL.replace(old, new, 1))


def test_the_fingerprint_has_whole_paths_in_order() -> None:
    assert fingerprint(INFO) == f"1;/nix/store/{B};{HASH};120;/nix/store/{B},/nix/store/{A}"
    base_16 = msgspec.structs.replace(INFO, nar_hash=f"sha256:{DIGEST.hex()}", references=())
    assert fingerprint(base_16) == f"1;/nix/store/{B};{HASH};120;"


@pytest.mark.parametrize("changes", [{"nar_hash": None}, {"nar_size": 0}])
def test_a_path_without_hash_or_size_is_neither_signed_nor_written(changes: dict[str, int | None]) -> None:
    info = msgspec.structs.replace(INFO, **changes)
    with pytest.raises(FormatError):
        fingerprint(info)
    with pytest.raises(FormatError):
        format_narinfo(NarInfo(info=info, url="nar/x.nar"))


@given(st.text(max_size=200), st.integers(0, len(FULL)))
def test_arbitrary_text_gives_a_narinfo_or_a_format_error(text: str, position: int) -> None:
    for candidate in (text, FULL[:position] + text + FULL[position:]):
        try:
            narinfo = parse_narinfo(candidate)
        except FormatError:
            continue
        assert narinfo.info.path.startswith("/nix/store/")
