"""Watches files grow: Linux's inotify on the event loop, one descriptor for the whole process."""

import asyncio
import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

log = structlog.get_logger(__name__)

_IN_MODIFY = 0x2
_IN_CLOSE_WRITE = 0x8
_IN_MOVE_SELF = 0x800
_IN_DELETE_SELF = 0x400
_EVENT = struct.Struct("iIII")
_BUFFER = 1 << 14


class FileWatch:
    """Tells whoever waits that a file was written to. A hint only: who waits looks again from time to time."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._descriptor = self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._waiting: dict[int, set[asyncio.Event]] = {}
        if self._descriptor >= 0:
            asyncio.get_running_loop().add_reader(self._descriptor, self._read)
        else:
            log.warning("files cannot be watched; logs are looked at once a second", error=_reason())

    def close(self) -> None:
        """Stop watching."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    @contextmanager
    def watch(self, path: Path, event: asyncio.Event) -> Iterator[bool]:
        """Set ``event`` whenever ``path`` is written to, while the block runs. False: it cannot be watched (yet)."""
        number = self._add(path)
        if number < 0:
            yield False
            return
        self._waiting.setdefault(number, set()).add(event)
        try:
            yield True
        finally:
            events = self._waiting.get(number, set())
            events.discard(event)
            if not events:
                self._waiting.pop(number, None)
                if self._descriptor >= 0:
                    self._libc.inotify_rm_watch(self._descriptor, number)

    def _add(self, path: Path) -> int:
        """The kernel's number for a watch of ``path``, the same for the same file; negative when there is none."""
        if self._descriptor < 0:
            return -1
        flags = _IN_MODIFY | _IN_CLOSE_WRITE | _IN_MOVE_SELF | _IN_DELETE_SELF
        return int(self._libc.inotify_add_watch(self._descriptor, os.fsencode(path), flags))

    def _read(self) -> None:
        try:
            notices = os.read(self._descriptor, _BUFFER)
        except BlockingIOError:
            return
        position = 0
        while position < len(notices):
            number, _, _, length = _EVENT.unpack_from(notices, position)
            position += _EVENT.size + length
            for event in self._waiting.get(number, ()):
                event.set()


def _reason() -> str:
    return os.strerror(ctypes.get_errno())
