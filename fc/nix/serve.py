"""Client side of the serve protocol (``nix-store --serve``), versions 2.2 to 2.7, without I/O.

Source: libstore/serve-protocol.hh and opServe in nix-store.cc. Requests are bytes, replies are fed to a
``Receiver``. One request at a time; there are no error frames: a remote that fails ends its output, and
the reason is on its standard error.
"""

import enum
from collections.abc import Callable, Iterable, Sequence
from typing import Generic, TypeVar

import msgspec

from fc.nix.build_result import BuildResult
from fc.nix.derivation import BasicDerivation
from fc.nix.errors import FormatError, ProtocolError
from fc.nix.hashes import parse_sha256
from fc.nix.path_info import PathInfo
from fc.nix.serve_replies import (
    Version,
    read_acknowledgement,
    read_build_paths,
    read_build_result,
    read_hello,
    read_path_infos,
    read_store_paths,
)
from fc.nix.wire import (
    DEFAULT_LIMITS,
    Limits,
    Reading,
    Receiver,
    encode_map,
    encode_number,
    encode_string,
    encode_strings,
)

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_CLIENT_MAGIC = 0x390C9DEB
_EXPORT_MAGIC = 0x4558494E

ANNOUNCED = Version(2, 7)
"""What this client says it speaks."""


class Command(enum.IntEnum):
    """Numbers of the commands."""

    QUERY_VALID_PATHS = 1
    QUERY_PATH_INFOS = 2
    DUMP_STORE_PATH = 3
    IMPORT_PATHS = 4
    BUILD_PATHS = 6
    QUERY_CLOSURE = 7
    BUILD_DERIVATION = 8
    ADD_TO_STORE_NAR = 9


class BuildOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one build. 0: no limit."""

    max_silent: int = 0
    """Seconds without a line of log."""
    timeout: int = 0
    """Seconds."""
    max_log_size: int = 0
    """Bytes."""
    keep_failed: bool = False
    """Whether the build directory of a failed build stays (remotes of 2.7)."""


class Exchange(msgspec.Struct, Generic[T_co], frozen=True):
    """One request and how its reply is read."""

    request: bytes
    """Send this first (commands that take a NAR: then the NAR and whatever the command's docstring says)."""
    reading: Callable[[], Reading[T_co]]
    limits: Limits

    def receiver(self) -> Receiver[T_co]:
        """A fresh receiver for the reply."""
        return Receiver(self.reading(), self.limits)


def hello(limits: Limits = DEFAULT_LIMITS, announced: Version = ANNOUNCED) -> Exchange[Version]:
    """The handshake. Its value is the remote's version, to be given to ``Serve``.

    The receiver raises ProtocolError when the remote does not speak the protocol, or only versions before 2.2
    or from 3 on. A login shell that prints something is the usual cause of the former.
    """
    request = encode_number(_CLIENT_MAGIC) + encode_number(announced.major << 8 | announced.minor)
    return Exchange(request, read_hello, limits)


class Serve:
    """Requests to one remote whose version is known.

    Store paths are whole paths. What the remote says is checked: a reply holds valid store paths or the
    receiver raises ProtocolError.
    """

    def __init__(
        self, remote: Version, *, announced: Version = ANNOUNCED, limits: Limits = DEFAULT_LIMITS
    ) -> None:
        self.remote = remote
        self.version = min(remote, announced)
        """What both sides speak."""
        self.limits = limits

    def query_valid_paths(
        self,
        paths: Iterable[str],
        *,
        lock: bool = False,
        substitute: bool = False,
    ) -> Exchange[list[str]]:
        """Which of ``paths`` are valid there.

        Args:
            paths: asked for.
            lock: protect them from garbage collection until the connection ends (needs ``--write``).
            substitute: let the remote fetch missing ones from its substituters first.
        """
        request = _command(
            Command.QUERY_VALID_PATHS,
            encode_number(lock),
            encode_number(substitute),
            encode_strings(paths),
        )
        return self._exchange(request, lambda: read_store_paths(self.limits))

    def query_path_infos(self, paths: Iterable[str]) -> Exchange[list[PathInfo]]:
        """What the remote knows about those of ``paths`` that are valid there."""
        request = _command(Command.QUERY_PATH_INFOS, encode_strings(paths))
        return self._exchange(request, lambda: read_path_infos(self.version, self.limits))

    def dump_store_path(self, path: str) -> bytes:
        """Request for the NAR of ``path``, which must be valid. The reply is the raw NAR (``fc.nix.nar`` finds its end)."""
        return _command(Command.DUMP_STORE_PATH, encode_string(path))

    def query_closure(self, paths: Iterable[str], *, include_outputs: bool = False) -> Exchange[list[str]]:
        """The closure of ``paths`` under references (and outputs of derivations). All must be valid there."""
        request = _command(Command.QUERY_CLOSURE, encode_number(include_outputs), encode_strings(paths))
        return self._exchange(request, lambda: read_store_paths(self.limits))

    def build_paths(self, paths: Iterable[str], options: BuildOptions) -> Exchange[BuildResult]:
        """Realise ``paths``: store paths, or ``….drv!out,dev`` for outputs of a derivation that is there."""
        request = _command(Command.BUILD_PATHS, encode_strings(paths), self._settings(options))
        return self._exchange(request, lambda: read_build_paths(self.limits))

    def build_derivation(
        self,
        drv_path: str,
        derivation: BasicDerivation,
        options: BuildOptions,
    ) -> Exchange[BuildResult]:
        """Build ``derivation``, whose inputs must be valid there. The ``.drv`` file itself need not be."""
        request = _command(
            Command.BUILD_DERIVATION,
            encode_string(drv_path),
            _encode_derivation(derivation),
            self._settings(options),
        )
        return self._exchange(request, lambda: read_build_result(self.remote, self.version, self.limits))

    def add_to_store_nar(self, info: PathInfo) -> Exchange[None]:
        """Put one path into the store (remotes from 2.5 on): send the request, ``info.nar_size`` bytes of raw NAR, await the reply.

        The references of the path must be valid there already.

        Raises:
            ProtocolError: the remote is too old; use ``import_path``.
            FormatError: ``info`` has no usable NAR hash or size.
        """
        if self.version < Version(2, 5):
            message = "AddToStoreNar needs version 2.5 of the serve protocol; use ImportPaths"
            raise ProtocolError(message)
        if info.nar_hash is None or info.nar_size <= 0:
            kind = "path info"
            raise FormatError(kind, f"{info.path} lacks the size or hash of its NAR")
        request = _command(
            Command.ADD_TO_STORE_NAR,
            encode_string(info.path),
            encode_string(info.deriver or ""),
            encode_string(parse_sha256(info.nar_hash).hex()),
            encode_strings(info.references),
            encode_number(0),  # registration time: the remote's own
            encode_number(info.nar_size),
            encode_number(0),  # ultimate: only what a store has built itself is
            encode_strings(info.signatures),
            encode_string(info.ca),
        )
        return self._exchange(request, read_acknowledgement)

    def import_paths(self) -> Exchange[None]:
        """Import paths into the store, for remotes before 2.5: send the request; for each path ``IMPORT_NEXT``,
        its raw NAR, ``import_trailer(info)``; then ``IMPORT_END``; await the reply.

        The remote keeps each NAR in memory.
        """  # noqa: D205 - the order of bytes is the summary
        return self._exchange(_command(Command.IMPORT_PATHS), read_acknowledgement)

    def _exchange(self, request: bytes, reading: Callable[[], Reading[T]]) -> Exchange[T]:
        return Exchange(request, reading, self.limits)

    def _settings(self, options: BuildOptions) -> bytes:
        parts = [
            encode_number(options.max_silent),
            encode_number(options.timeout),
            encode_number(options.max_log_size),
        ]
        if self.version >= Version(2, 3):
            parts += (
                encode_number(0),
                encode_number(0),
            )  # repeat and enforce-determinism, gone from newer Nix
        if self.version >= Version(2, 7):
            parts.append(encode_number(options.keep_failed))
        return b"".join(parts)


IMPORT_NEXT = encode_number(1)
"""Before each NAR of an import."""

IMPORT_END = encode_number(0)
"""After the last path of an import."""


def import_trailer(info: PathInfo) -> bytes:
    """What follows the NAR of ``info.path`` in an import."""
    return b"".join(
        (
            encode_number(_EXPORT_MAGIC),
            encode_string(info.path),
            encode_strings(info.references),
            encode_string(info.deriver or ""),
            encode_number(0),  # no signature of the old kind
        ),
    )


def _command(command: Command, *parts: bytes) -> bytes:
    return b"".join((encode_number(command), *parts))


def _encode_derivation(derivation: BasicDerivation) -> bytes:
    parts = [encode_number(len(derivation.outputs))]
    for output in derivation.outputs:
        parts += (encode_string(text) for text in (output.name, output.path, output.hash_algo, output.hash))
    parts += (
        encode_strings(derivation.input_srcs),
        encode_string(derivation.system),
        encode_string(derivation.builder),
        encode_strings(derivation.args),
        encode_map(derivation.env),
    )
    return b"".join(parts)


def drv_outputs(drv_path: str, outputs: Sequence[str] = ()) -> str:
    """``drv_path`` with the wanted ``outputs`` (none: all of them) as ``build_paths`` takes it."""
    return f"{drv_path}!{','.join(outputs)}" if outputs else drv_path
