"""The data directory: made private, proved writable, held by one service at a time."""

import fcntl
import os
from pathlib import Path
from typing import TextIO

from fc.base.errors import ConflictError, EnvironmentMissingError


def prepare_data_dir(directory: Path) -> Path:
    """Make ``directory`` if need be and prove that it can be written; its absolute path.

    Raises:
        EnvironmentMissingError: it cannot be made or written; says what to do.
    """
    absolute = directory.absolute()
    probe = absolute / f".writable-{os.getpid()}"
    try:
        absolute.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as error:
        message = (
            f"the data directory {absolute} cannot be written: {error.strerror or error}; "
            f"make it writable for the user {os.getuid()}, or set data_dir (FC_DATA_DIR) to another place"
        )
        raise EnvironmentMissingError(message) from error
    return absolute


class DataDirLock:
    """Held while a service runs on a data directory; let go by the kernel however the process ends."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "lock"
        self._held: TextIO | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            ConflictError: another process has it; names the process.
        """
        held = self._file.open("a+", encoding="ascii")
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            held.seek(0)
            owner = held.read().strip() or "unknown"
            held.close()
            message = f"another fcctl serve (process {owner}) runs on {self._file.parent}; stop it first"
            raise ConflictError(message) from None
        held.truncate(0)
        held.write(f"{os.getpid()}\n")
        held.flush()
        self._held = held

    def release(self) -> None:
        """Let go of the lock."""
        if self._held is not None:
            self._held.close()
            self._held = None
