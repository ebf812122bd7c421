"""Log files of derivations: where they are, how they are written as the bytes come, how they are read."""

import os
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from fc.base.errors import NotFoundError
from fc.nix.storepath import parse_store_path

_DIRECTORY = "logs"
_NOTE = "[fc]"
"""Begins every line that FC itself has written."""


def log_path_of(drv_path: str) -> str:
    """The log of a derivation, below the data directory: ``logs/ab/cdef…-name.drv.log``, spread as Nix spreads its own."""
    base = parse_store_path(drv_path).base_name
    return f"{_DIRECTORY}/{base[:2]}/{base[2:]}.log"


def log_file(data_dir: Path, log_path: str) -> Path:
    """The file that ``log_path`` of a row means.

    Raises:
        NotFoundError: it leads out of the directory of logs, by its words or by a link, or is not there.
    """
    directory = (data_dir / _DIRECTORY).resolve()
    file = (data_dir / log_path).resolve()
    if not file.is_relative_to(directory) or not file.is_file():
        kind = "log"
        raise NotFoundError(kind, log_path)
    return file


class LogFile:
    """A derivation's log, open for one attempt; earlier attempts stay in front.

    Args:
        file: made with its directory if need be.
        limit: bytes this attempt may write; what is beyond is dropped.
    """

    def __init__(self, file: Path, limit: int) -> None:
        self._file = file
        self._left = limit
        self._descriptor = -1
        self._at_line_start = True
        self.overflowed = False
        """Whether something was dropped."""

    def __enter__(self) -> Self:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        # Appending in one call each: a reader, or an attempt that lives too long, never sees half a piece.
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._descriptor = os.open(self._file, flags, 0o640)
        self._at_line_start = self._ends_with_line()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def write(self, data: bytes) -> None:
        """Append what a build has printed."""
        if len(data) > self._left:
            self.overflowed = True
            data = data[: self._left]
        if data:
            self._left -= len(data)
            self._at_line_start = data.endswith(b"\n")
            _write_all(self._descriptor, data)

    def note(self, text: str) -> None:
        """Append a line of FC's own, marked as such."""
        start = "" if self._at_line_start else "\n"
        self._at_line_start = True
        moment = datetime.now(UTC).strftime("%H:%M:%S")
        _write_all(self._descriptor, f"{start}{_NOTE} {moment} {' '.join(text.split())}\n".encode())

    def _ends_with_line(self) -> bool:
        with self._file.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            if size == 0:
                return True
            file.seek(size - 1)
            return file.read(1) == b"\n"


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
