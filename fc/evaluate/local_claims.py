"""Claims of the processes on this machine: which of them are left by a process that is dead."""

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


class LocalClaims:
    """A locked file for each claim that a process of this data directory holds.

    The kernel unlocks it however the process ends. So what a killed process worked on is taken over at once, not
    only when its lease is over; leases are for other machines, which see no files of ours.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    @contextmanager
    def held(self, token: uuid.UUID) -> Iterator[None]:
        """Show that the claim ``token`` is being worked on while the block runs."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._directory / str(token)
        new = self._directory / f"new-{token}"
        lock = os.open(new, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # Locked before it can be seen under its name, so that it is never mistaken for an abandoned one.
            fcntl.flock(lock, fcntl.LOCK_EX)
            new.rename(path)
            yield
        finally:
            path.unlink(missing_ok=True)
            os.close(lock)

    def abandoned(self) -> list[uuid.UUID]:
        """Claims whose process is gone, until they are forgotten."""
        found = []
        with suppress(FileNotFoundError):
            for path in list(self._directory.iterdir()):
                with suppress(ValueError):
                    token = uuid.UUID(path.name)
                    if _is_free(path):
                        found.append(token)
        return found

    def forget(self, token: uuid.UUID) -> None:
        """Remove what is left of an abandoned claim."""
        (self._directory / str(token)).unlink(missing_ok=True)


def _is_free(path: Path) -> bool:
    try:
        lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(lock)
    return True
