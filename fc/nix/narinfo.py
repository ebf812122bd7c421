"""narinfo files: what a binary cache says about one path (libstore/nar-info.cc)."""

import re

import msgspec

from fc.nix.errors import FormatError
from fc.nix.hashes import format_sha256, parse_sha256
from fc.nix.path_info import PathInfo
from fc.nix.storepath import STORE_DIR, parse_base_name, parse_store_path

_KIND = "narinfo"
_NUMBER = re.compile(r"[0-9]{1,18}")
_REPEATABLE = "Sig"


class NarInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One path and where its NAR is."""

    info: PathInfo
    url: str
    """Relative to the cache, such as ``nar/….nar``."""
    compression: str = "none"
    file_hash: str | None = None
    """Of the NAR as it is served, ``sha256:`` and base 32."""
    file_size: int | None = None
    """Bytes of the NAR as it is served."""


def fingerprint(info: PathInfo) -> str:
    """What is signed: ``1;path;hash;size;references``, references sorted, whole paths, with commas.

    Raises:
        FormatError: the NAR's hash or size is not known.
    """
    if info.nar_hash is None or info.nar_size <= 0:
        kind = "path info"
        raise FormatError(kind, f"{info.path} lacks the size or hash of its NAR")
    digest = format_sha256(parse_sha256(info.nar_hash))
    return f"1;{info.path};{digest};{info.nar_size};{','.join(sorted(info.references))}"


def format_narinfo(narinfo: NarInfo) -> str:
    """The contents of the narinfo file.

    Raises:
        FormatError: the NAR's hash or size is not known.
    """
    info = narinfo.info
    if info.nar_hash is None or info.nar_size <= 0:
        raise FormatError(_KIND, f"{info.path} lacks the size or hash of its NAR")
    lines = [f"StorePath: {info.path}", f"URL: {narinfo.url}", f"Compression: {narinfo.compression}"]
    if narinfo.file_hash is not None:
        lines.append(f"FileHash: {narinfo.file_hash}")
    if narinfo.file_size is not None:
        lines.append(f"FileSize: {narinfo.file_size}")
    references = " ".join(sorted(_base_name(path) for path in info.references))
    lines += (f"NarHash: {info.nar_hash}", f"NarSize: {info.nar_size}", f"References: {references}")
    if info.deriver is not None:
        lines.append(f"Deriver: {_base_name(info.deriver)}")
    lines += (f"Sig: {signature}" for signature in info.signatures)
    if info.ca:
        lines.append(f"CA: {info.ca}")
    return "\n".join(lines) + "\n"


def parse_narinfo(text: str) -> NarInfo:
    """The narinfo in ``text``. Unknown fields are ignored, as Nix does.

    Raises:
        FormatError: a field is missing, comes twice, or cannot be read.
    """
    fields, signatures = _fields(text)
    for name in ("StorePath", "URL", "NarHash", "NarSize"):
        if not fields.get(name):
            raise FormatError(_KIND, f"the field {name} is missing")
    deriver = fields.get("Deriver", "")
    return NarInfo(
        info=PathInfo(
            path=str(parse_store_path(fields["StorePath"])),
            # Old caches write unknown-deriver where none is known.
            deriver=str(parse_base_name(deriver)) if deriver not in {"", "unknown-deriver"} else None,
            references=tuple(str(parse_base_name(name)) for name in fields.get("References", "").split()),
            nar_size=_number(fields["NarSize"]),
            nar_hash=format_sha256(parse_sha256(fields["NarHash"])),
            ca=fields.get("CA", ""),
            signatures=tuple(signatures),
        ),
        url=fields["URL"],
        compression=fields.get("Compression", "bzip2"),  # what a missing field means, for history's sake
        file_hash=format_sha256(parse_sha256(fields["FileHash"])) if fields.get("FileHash") else None,
        file_size=_number(fields["FileSize"]) if fields.get("FileSize") else None,
    )


def _fields(text: str) -> tuple[dict[str, str], list[str]]:
    """Values by field name, and the signatures, which may be many."""
    fields: dict[str, str] = {}
    signatures: list[str] = []
    for line in text.removesuffix("\n").split("\n"):
        name, separator, value = line.partition(":")
        if not separator:
            raise FormatError(_KIND, f"the line {line[:100]!r} has no colon")
        if name == _REPEATABLE:
            signatures.append(value.strip())
        elif name in fields:
            raise FormatError(_KIND, f"the field {name[:100]} comes twice")
        else:
            fields[name] = value.strip()
    return fields, signatures


def _number(text: str) -> int:
    if _NUMBER.fullmatch(text) is None:
        raise FormatError(_KIND, f"{text[:100]!r} is not a size")
    return int(text)


def _base_name(path: str) -> str:
    return path.removeprefix(f"{STORE_DIR}/")
