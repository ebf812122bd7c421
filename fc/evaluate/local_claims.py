"""Claims of the processes on this machine: which of them are left by a process that is dead."""

import fcntl
import os
import re
import secrets
import uuid
from contextlib import suppress
from pathlib import Path

_HALF = 64
_PREFIX = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}")

PREFIX_LENGTH = 18
"""Characters of a token's text that name its process: the first half, with the dashes in it."""


class LocalClaims:
    """Tokens for the claims of one process, and a locked file that shows that it lives.

    The kernel unlocks the file however the process ends. So what a killed process worked on is taken over at once,
    not only when its lease is over; leases are for other machines, which do not see the file. It stands before the
    first token is given away, so there is no moment at which a death would go unnoticed.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._half = secrets.randbits(_HALF)
        self._prefix = self._token(0)[:PREFIX_LENGTH]
        self._lock: int | None = None

    def new_token(self) -> uuid.UUID:
        """A token of this process."""
        if self._lock is None:
            self._lock = self._show()
        return uuid.UUID(self._token(secrets.randbits(_HALF)))

    def abandoned(self) -> list[str]:
        """What the tokens of dead processes begin with, until they are forgotten."""
        with suppress(FileNotFoundError):
            return [path.name for path in list(self._directory.iterdir()) if self._is_dead(path)]
        return []

    def forget(self, prefix: str) -> None:
        """Remove what is left of a dead process."""
        (self._directory / prefix).unlink(missing_ok=True)

    def close(self) -> None:
        """This process claims nothing any more."""
        if self._lock is not None:
            self.forget(self._prefix)
            os.close(self._lock)
            self._lock = None

    def _token(self, number: int) -> str:
        return str(uuid.UUID(int=self._half << _HALF | number))

    def _show(self) -> int:
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = self._directory / f"new-{self._prefix}"
        lock = os.open(new, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # Locked before it can be seen under its name, so that it is never mistaken for an abandoned one.
        fcntl.flock(lock, fcntl.LOCK_EX)
        new.rename(self._directory / self._prefix)
        return lock

    def _is_dead(self, path: Path) -> bool:
        if not _PREFIX.fullmatch(path.name) or path.name == self._prefix:
            return False
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
