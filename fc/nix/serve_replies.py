"""Readings of the replies of the serve protocol; ``fc.nix.serve`` has the requests."""

from typing import Any

import msgspec

from fc.nix.build_result import BuildResult, BuildStatus, strip_ansi
from fc.nix.errors import FormatError, ProtocolError
from fc.nix.hashes import format_sha256, parse_sha256
from fc.nix.path_info import PathInfo
from fc.nix.storepath import parse_base_name, parse_store_path
from fc.nix.wire import (
    Limits,
    Reading,
    encode_number,
    read_bool,
    read_bytes,
    read_map,
    read_number,
    read_text,
    read_texts,
)

_SERVER_MAGIC = 0x5452EECB

_EXIT_STATUSES = {
    100: BuildStatus.PERMANENT_FAILURE,
    101: BuildStatus.TIMED_OUT,
    102: BuildStatus.OUTPUT_REJECTED,
    104: BuildStatus.NOT_DETERMINISTIC,
}


class Version(msgspec.Struct, frozen=True, order=True):
    """A version of the protocol."""

    major: int
    minor: int


OLDEST = Version(2, 2)
"""The oldest remote this client can talk to."""


def read_hello() -> Reading[Version]:
    """The remote's half of the handshake."""
    magic = yield from read_number()
    if magic != _SERVER_MAGIC:
        text = encode_number(magic)
        message = f"the remote does not speak Nix's serve protocol; it began with {text!r}"
        raise ProtocolError(message)
    number = yield from read_number()
    version = Version(number >> 8, number & 0xFF)
    if version.major != OLDEST.major or version < OLDEST:
        message = f"the remote speaks version {version.major}.{version.minor} of the serve protocol; 2.2 or a later 2.x is needed"
        raise ProtocolError(message)
    return version


def read_acknowledgement() -> Reading[None]:
    """The 1 that ends a command which stores something."""
    number = yield from read_number()
    if number != 1:
        message = f"the remote acknowledged with {number} instead of 1"
        raise ProtocolError(message)


def _read_message(limits: Limits) -> Reading[str]:
    """Text for people, whatever its bytes, without colours, and without NUL, which no database takes."""
    data = yield from read_bytes(limits)
    return strip_ansi(data.decode("utf-8", "replace")).replace("\0", "\ufffd")


def _checked(path: str) -> str:
    """``path`` if it is a store path.

    Raises:
        ProtocolError: it is something else.
    """
    try:
        parse_store_path(path)
    except FormatError as error:
        message = f"the remote sent {error}"
        raise ProtocolError(message) from None
    return path


def read_store_paths(limits: Limits) -> Reading[list[str]]:
    """A list of store paths."""
    paths = yield from read_texts(limits)
    return [_checked(path) for path in paths]


def read_path_infos(version: Version, limits: Limits) -> Reading[list[PathInfo]]:
    """Path infos up to the empty path; hash, content address and signatures from 2.4 on."""
    infos: list[PathInfo] = []
    while path := (yield from read_text(limits)):
        if len(infos) >= limits.items:
            message = f"more than {limits.items} paths in one reply"
            raise ProtocolError(message)
        deriver = yield from read_text(limits)
        references = yield from read_store_paths(limits)
        yield from read_number()  # download size: Nix sends the size of the NAR
        fields: dict[str, Any] = {"nar_size": (yield from read_number())}
        if version >= Version(2, 4):
            fields["nar_hash"] = _checked_hash((yield from read_text(limits)))
            fields["ca"] = yield from read_text(limits)
            fields["signatures"] = tuple((yield from read_texts(limits)))
        infos.append(
            PathInfo(
                path=_checked(path),
                deriver=_checked(deriver) if deriver else None,
                references=tuple(references),
                **fields,
            ),
        )
    return infos


def _checked_hash(text: str) -> str:
    try:
        return format_sha256(parse_sha256(text))
    except FormatError as error:
        message = f"the remote sent {error}"
        raise ProtocolError(message) from None


def read_build_paths(limits: Limits) -> Reading[BuildResult]:
    """0, or an exit status and a message.

    The number is not a build status but what nix-store would exit with (Worker::failingExitStatus): from 100 on
    flags of what went wrong, else any error at all.
    """
    number = yield from read_number()
    if number == 0:
        return BuildResult(status=BuildStatus.BUILT)
    text = yield from _read_message(limits)
    return BuildResult(status=_EXIT_STATUSES.get(number, BuildStatus.MISC_FAILURE), message=text)


def _status(number: int) -> tuple[BuildStatus, str]:
    """The status and a prefix for the message; a number of a later Nix is a miscellaneous failure."""
    try:
        return BuildStatus(number), ""
    except ValueError:
        return BuildStatus.MISC_FAILURE, f"(build status {number}) "


def read_build_result(remote: Version, version: Version, limits: Limits) -> Reading[BuildResult]:
    """The result of one build; ``version`` is what both sides speak, ``remote`` what the remote could."""
    number = yield from read_number()
    text = yield from _read_message(limits)
    status, prefix = _status(number)
    fields: dict[str, Any] = {}
    if version >= Version(2, 3):
        fields["times_built"] = yield from read_number()
        fields["is_non_deterministic"] = yield from read_bool()
        fields["start_time"] = yield from read_number()
        fields["stop_time"] = yield from read_number()
    # Nix 2.4 to 2.10.3 send this map to every client, whatever it announced.
    if remote >= Version(2, 6):
        fields["built_outputs"] = _built_outputs((yield from read_map(limits)))
    return BuildResult(status=status, message=prefix + text, **fields)


class _Realisation(msgspec.Struct):
    """The part of a realisation that is wanted (libstore/realisation.cc)."""

    out_path: str = msgspec.field(name="outPath")


def _built_outputs(entries: dict[str, str]) -> dict[str, str]:
    """Store path by output name, from ``sha256:…!name`` to realisations in JSON."""
    outputs = {}
    for key, value in entries.items():
        _, mark, name = key.rpartition("!")
        try:
            realisation = msgspec.json.decode(value, type=_Realisation)
            path = str(parse_base_name(realisation.out_path))
        except (msgspec.MsgspecError, FormatError, RecursionError) as error:
            message = f"the remote sent a realisation that cannot be read: {error}"
            raise ProtocolError(message) from None
        if not mark or not name:
            message = f"the remote sent a realisation of {key[:200]!r}, which names no output"
            raise ProtocolError(message)
        outputs[name] = path
    return outputs
