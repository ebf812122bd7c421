"""Live logs: the lines of a file as it grows, from any cursor, until nothing more can come."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from fc.web.file_watch import FileWatch
from fc.web.log_files import Cursor, file_token, locate, read_on
from fc.web.streams import COMMENT, Streams, message

_LONGEST_WAIT = 1.0
"""Seconds between two looks at a file that tells nothing: it may not be there yet, or be on a network."""
_SHORTEST_PAUSE = 0.1
"""Seconds between two messages to one reader, so that a chatty build costs few of them."""


@dataclass(frozen=True, slots=True)
class LogSource:
    """Where a log is now, and whether it can still grow."""

    log_path: str | None
    """Below the data directory; none: nothing was written yet."""
    final: bool


class _Reader:
    """Reads one log step by step, whichever file it is in."""

    def __init__(self, data_dir: Path, start: str) -> None:
        self._data_dir = data_dir
        self._start = start
        self._cursor: Cursor | None = None
        self.path: Path | None = None

    @property
    def position(self) -> str | None:
        """The cursor to resume from."""
        return None if self._cursor is None else self._cursor.dump()

    def turn_to(self, log_path: str | None) -> bool:
        """Read this file from now on. True: lines that were given before are of another one."""
        if log_path is None:
            return False
        self.path = locate(self._data_dir, log_path)
        token = file_token(log_path)
        if self._cursor is not None and self._cursor.file == token:
            return False
        moved = self._cursor is not None
        self._cursor = Cursor(token) if moved else Cursor.load(self._start, token)
        return moved

    async def read(self, *, whole: bool) -> list[bytes]:
        """The next messages; none: there is nothing new."""
        if self.path is None or self._cursor is None:
            return []
        expected = self._cursor.line
        lines, self._cursor = await asyncio.to_thread(read_on, self.path, self._cursor, whole=whole)
        if not lines:
            return []
        pairs = [(line.number, str(line.html)) for line in lines]
        begun_again = [message("reset", None)] if lines[0].number < expected else []
        return [*begun_again, message("lines", pairs, identifier=self.position)]


@dataclass(frozen=True, slots=True)
class LogStreams:
    """What following logs needs."""

    data_dir: Path
    streams: Streams
    files: FileWatch

    async def follow(self, source: Callable[[], Awaitable[LogSource]], start: str) -> AsyncIterator[bytes]:
        """Messages of a live log.

        ``lines`` with pairs of number and HTML, ``reset`` when the lines so far are of another file, ``end`` when
        nothing more will come. The identifier of each is the cursor to resume from.

        Args:
            source: asks where the log is now; asked once a second, however much is written.
            start: the cursor to go on from.
        """
        stopping = self.streams.stopping
        clock = asyncio.get_running_loop().time
        reader = _Reader(self.data_dir, start)
        grown = asyncio.Event()
        spoken = clock()
        asked = -_LONGEST_WAIT
        with ExitStack() as watches:
            watched: Path | None = None
            while not stopping.is_set():
                grown.clear()
                # Asked before the file is read: what was written before the end is read after it.
                if clock() - asked >= _LONGEST_WAIT:
                    state, asked = await source(), clock()
                if reader.turn_to(state.log_path):
                    yield message("reset", None)
                if reader.path != watched and reader.path is not None and reader.path.exists():
                    watches.pop_all().close()
                    watches.enter_context(self.files.watch(reader.path, grown))
                    watched = reader.path
                while (messages := await reader.read(whole=state.final)) and not stopping.is_set():
                    for one in messages:
                        yield one
                    spoken = clock()
                    await asyncio.sleep(_SHORTEST_PAUSE)
                if state.final:
                    yield message("end", None, identifier=reader.position)
                    return
                if clock() - spoken >= self.streams.heartbeat:
                    spoken = clock()
                    yield COMMENT
                left = asked + _LONGEST_WAIT - clock()
                await self.streams.wait(grown, max(0.0, min(left, self.streams.heartbeat)))
