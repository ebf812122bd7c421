"""Source trees: the files of a commit on disk, shared by every evaluation that reads them, removed when old."""

import asyncio
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fc.base.git import GitMirror

_POLL_SECONDS = 0.02
_KEPT = 8
"""Trees that stay for the next evaluation of the same commit."""


class SourceTrees:
    """Checked out commits below one directory.

    A tree's path depends on repository and commit alone, and its last part is always ``source``: so the paths an
    expression can see, and the names of what it copies to the store, are the same at every evaluation.
    """

    def __init__(self, directory: Path, kept: int = _KEPT) -> None:
        self._directory = directory.resolve()
        self._kept = kept

    @asynccontextmanager
    async def checkout(self, mirror: GitMirror, commit: str) -> AsyncIterator[Path]:
        """The files of ``commit``, fetched if need be; they stay as long as the block runs.

        Raises:
            GitError: the commit cannot be had.
        """
        key = hashlib.sha256(f"{mirror.path.name}\0{commit}".encode()).hexdigest()[:32]
        top = self._directory / key
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        # A lock that is turned into a weaker one is let go of in between, so it is looked again until it holds.
        while True:
            lock = await self._acquire(top, fcntl.LOCK_SH)
            if (top / "source").exists():
                break
            os.close(lock)
            lock = await self._acquire(top, fcntl.LOCK_EX)
            try:
                if not (top / "source").exists():
                    await self._fill(top, mirror, commit)
            finally:
                os.close(lock)
        try:
            os.utime(lock)
            yield top / "source"
        finally:
            os.close(lock)
            await asyncio.to_thread(self._remove_old)

    async def _fill(self, top: Path, mirror: GitMirror, commit: str) -> None:
        await mirror.fetch(commit)
        top.mkdir(exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(prefix="new-", dir=top) as made:
            new = Path(made) / "source"
            await mirror.export(commit, new)
            new.rename(top / "source")

    async def _acquire(self, top: Path, kind: int) -> int:
        """The lock of a tree. It lies beside the tree, and is removed with it: then the new one is taken."""
        path = top.with_suffix(".lock")
        while True:
            lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(lock, kind | fcntl.LOCK_NB)
                if path.exists() and os.fstat(lock).st_ino == path.stat().st_ino:
                    return lock
            except (BlockingIOError, FileNotFoundError):
                await asyncio.sleep(_POLL_SECONDS)
            except BaseException:
                os.close(lock)
                raise
            os.close(lock)

    def _remove_old(self) -> None:
        """Remove the trees that were used longest ago and that nobody uses now."""
        used = sorted(self._directory.glob("*.lock"), key=_age)
        for path in used[: -self._kept] if self._kept else used:
            try:
                lock = os.open(path, os.O_RDWR | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path.with_suffix(""), ignore_errors=True)
                path.unlink(missing_ok=True)
            except BlockingIOError:
                continue
            finally:
                os.close(lock)


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
