"""A session: requests of the serve protocol, one after another, over a channel; its log as it comes."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from types import TracebackType
from typing import NoReturn, Self, TypeVar

from fc.build.transport import PIECE, BuilderError, Carrier, Channel
from fc.nix.build_result import BuildResult, strip_ansi
from fc.nix.derivation import BasicDerivation
from fc.nix.errors import ProtocolError
from fc.nix.hashes import parse_sha256
from fc.nix.nar import NarParser
from fc.nix.path_info import PathInfo
from fc.nix.serve import BuildOptions, Exchange, Serve, hello
from fc.nix.wire import Receiver

T = TypeVar("T")

_LOG_TAIL = 2048
_LOG_SECONDS = 5.0
"""How long the rest of the log may take to come once all is done."""
_HELLO_SECONDS = 60.0
_STALL_SECONDS = 900.0
"""A process that neither takes nor gives a byte for so long, while nothing is built, hangs."""


class Session:
    """One process of ``nix-store --serve --write``, spoken to by one task.

    Enter it to get it started; leaving it ends the process, in the middle of a build too.

    Args:
        carrier: the way there.
        on_log: given what the process prints to standard error, as it comes.
    """

    def __init__(self, carrier: Carrier, on_log: Callable[[bytes], None] | None = None) -> None:
        self.name = carrier.name
        self.on_log = on_log
        self._carrier = carrier
        self._channel: Channel | None = None
        self._log: asyncio.Task[None] | None = None
        self._tail = b""
        self._serve: Serve | None = None
        self._patience: float | None = _STALL_SECONDS

    async def __aenter__(self) -> Self:
        self._channel = await self._carrier.open()
        self._log = asyncio.create_task(self._read_log(self._channel), name=f"log of {self.name}")
        try:
            async with asyncio.timeout(_HELLO_SECONDS):
                self._serve = Serve(await self._ask(hello()))
        except TimeoutError:
            await self.close()
            raise BuilderError(self.name, "nix-store does not answer") from None
        except BaseException:
            await self.close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the process."""
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()
        if self._log is not None:
            self._log.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._log

    async def finish_log(self) -> None:
        """Let the process end, so that the log is known to be whole: it has no other end. No request can follow."""
        if self._channel is not None and self._log is not None:
            self._channel.end_input()
            await asyncio.wait({self._log}, timeout=_LOG_SECONDS)

    async def valid_paths(self, paths: Iterable[str], *, lock: bool = False) -> set[str]:
        """Which of ``paths`` are valid there; with ``lock`` they stay so until the session ends."""
        wanted = list(paths)
        if not wanted:
            return set()
        return set(await self._ask(self._speaker.query_valid_paths(wanted, lock=lock)))

    async def path_infos(self, paths: Iterable[str]) -> dict[str, PathInfo]:
        """What is known there of those of ``paths`` that are valid."""
        wanted = list(paths)
        if not wanted:
            return {}
        return {info.path: info for info in await self._ask(self._speaker.query_path_infos(wanted))}

    async def closure(self, paths: Iterable[str]) -> list[str]:
        """The closure of ``paths``, which must be valid there."""
        return await self._ask(self._speaker.query_closure(paths))

    async def build(self, drv_path: str, derivation: BasicDerivation, options: BuildOptions) -> BuildResult:
        """Build ``derivation``, whose inputs must be valid there. It may take any time: the caller watches the clock."""
        exchange = self._speaker.build_derivation(drv_path, derivation, options)
        await self._write(exchange.request)
        self._patience = None
        try:
            return await self._receive(exchange.receiver())
        finally:
            self._patience = _STALL_SECONDS

    async def dump(self, info: PathInfo) -> AsyncGenerator[bytes, None]:
        """The NAR of a path, piece by piece: of the size and hash that ``info`` says, or it ends in an error.

        Compared here as well as by the store that takes it, so that the blame falls on the one who sent it.
        """
        if info.nar_hash is None:
            self._fail(f"its Nix is too old to say the hash of {info.path}")
        await self._write(self._speaker.dump_store_path(info.path))
        parser = NarParser()
        digest = hashlib.sha256()
        left = info.nar_size
        while left:
            piece = await self._read(min(left, PIECE))
            try:
                taken = parser.feed(piece)
            except ProtocolError as error:
                self._fail(f"the archive of {info.path} cannot be read ({error})")
            if taken < len(piece) or (parser.finished and len(piece) < left):
                self._fail(f"the archive of {info.path} is shorter than its {info.nar_size} bytes")
            left -= len(piece)
            digest.update(piece)
            if left == 0 and digest.digest() != parse_sha256(info.nar_hash):
                self._fail(f"the archive of {info.path} does not have the hash it is said to have")
            yield piece
        if not parser.finished:
            self._fail(f"the archive of {info.path} is longer than its {info.nar_size} bytes")

    async def add(self, info: PathInfo, nar: AsyncIterator[bytes]) -> None:
        """Put a path into the store there. Nix compares size and hash; the references must be there already."""
        try:
            exchange = self._speaker.add_to_store_nar(info)
        except ProtocolError as error:
            raise BuilderError(self.name, str(error)) from None
        await self._write(exchange.request)
        async for piece in nar:
            await self._write(piece)
        await self._receive(exchange.receiver())

    @property
    def _speaker(self) -> Serve:
        assert self._serve is not None, "the session was not entered"
        return self._serve

    async def _ask(self, exchange: Exchange[T]) -> T:
        await self._write(exchange.request)
        return await self._receive(exchange.receiver())

    async def _receive(self, receiver: Receiver[T]) -> T:
        try:
            while not receiver.finished:
                receiver.feed(await self._read(min(receiver.needed, PIECE)))
        except ProtocolError as error:
            self._fail(str(error))
        return receiver.value

    async def _write(self, data: bytes) -> None:
        if self._channel is None:
            raise BuilderError(self.name, "the session was ended")
        try:
            async with asyncio.timeout(self._patience):
                for start in range(0, len(data), PIECE):
                    await self._channel.write(data[start : start + PIECE])
        except TimeoutError:
            self._fail("nix-store takes no more data")
        except OSError as error:
            await self._await_last_words()
            self._lost(error)

    async def _read(self, most: int) -> bytes:
        if self._channel is None:
            raise BuilderError(self.name, "the session was ended")
        try:
            async with asyncio.timeout(self._patience):
                data = await self._channel.read(most)
        except TimeoutError:
            self._fail("nix-store does not answer")
        except OSError as error:
            self._lost(error)
        if not data:
            await self._await_last_words()
            self._fail("nix-store ended in the middle of its work")
        return data

    async def _await_last_words(self) -> None:
        """The process has ended: what it says of the reason may still be on its way."""
        if self._log is not None:
            await asyncio.wait({self._log}, timeout=_LOG_SECONDS)

    def _lost(self, error: OSError) -> NoReturn:
        self._fail(f"the connection was lost ({str(error) or type(error).__name__})")

    def _fail(self, detail: str) -> NoReturn:
        """Give up, with the last that the process said."""
        lines = strip_ansi(self._tail.decode("utf-8", "replace")).strip().splitlines()
        if self._patience is None:
            # While it builds, the last words are mostly the build's own.
            lines = [line for line in lines if line.startswith("error:")]
        last = lines[-3:]
        raise BuilderError(self.name, f"{detail}: {' / '.join(last)}" if last else detail)

    async def _read_log(self, channel: Channel) -> None:
        with contextlib.suppress(OSError):
            while data := await channel.read_log():
                self._tail = (self._tail + data)[-_LOG_TAIL:]
                if self.on_log is not None:
                    self.on_log(data)
