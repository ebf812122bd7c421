"""Mirrors: one bare repository for each remote one, fetched ref by ref, read without a working tree."""

import asyncio
import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from fc.base.errors import EnvironmentMissingError, GitError
from fc.base.git_batch import split_blobs
from fc.base.git_command import READ_SECONDS, GitCommand
from fc.base.git_url import check_git_url, check_ref, is_commit_hash, redact_git_url

try:
    from git.cmd import Git
except ImportError as missing:
    _MESSAGE = f"git is not installed or does not work ({missing}); install it (Debian and Ubuntu: apt-get install git)"
    raise EnvironmentMissingError(_MESSAGE.replace("\n", " ")) from missing

_ASK_SECONDS = 60.0
_FETCH_SECONDS = 900.0
_LOCK_POLL_SECONDS = 0.02
_MANY_PACKS = 50
_HEADER_BYTES = 128
_FETCH_OPTIONS = (
    "--no-tags",
    "--no-write-fetch-head",
    "--no-recurse-submodules",
    "--no-auto-maintenance",
    "--quiet",
    "--force",
)
_LEFTOVERS = ("*.lock", "refs/**/*.lock", "objects/pack/tmp_*", "objects/pack/.tmp-*", "objects/tmp_objdir-*")
_SUBMODULE = "160000"

# What was tried when it failed.
_FETCH = "fetch"
_READ = "cat-file"
_LIST = "ls-tree"


class CommitInfo(msgspec.Struct, frozen=True):
    """What a commit says about itself."""

    hash: str
    author: str
    subject: str
    committed_at: datetime


class TreeEntry(msgspec.Struct, frozen=True):
    """A file or symbolic link in a commit."""

    path: str
    """From the top of the repository."""
    blob: str
    mode: str
    """``100644``, ``100755`` or ``120000`` (a symbolic link)."""
    size: int
    """Bytes."""


class GitMirror:
    """A bare repository of our own that holds what was fetched of the repository at ``url``.

    Only what is asked for is fetched, without history where the server can do that. Submodules are not fetched.
    Fetches of one mirror exclude one another, also between processes; reading needs no lock. git runs without the
    configuration, hooks and credentials of the user, never asks, and is ended when it takes too long.
    """

    def __init__(
        self,
        directory: Path,
        url: str,
        ssh_key: Path | None = None,
        *,
        fetch_seconds: float = _FETCH_SECONDS,
        whole: bool = False,
    ) -> None:
        """Name a mirror; nothing happens yet.

        Args:
            directory: where all mirrors are, such as ``data_dir / "git"``.
            url: http, https, ssh, git or file URL, ``user@host:path``, or an absolute path.
            ssh_key: private key for SSH; none: no key of ours, so only what the server gives to everybody.
            fetch_seconds: how long one fetch may take.
            whole: fetch all of the history, into a mirror of its own, which no other fetch cuts short.

        Raises:
            InvalidInputError: ``url`` is none, or could make git run a command.
        """
        check_git_url(url)
        self.url = redact_git_url(url)
        """Without credentials: for people."""
        self._directory = directory.absolute()
        name = hashlib.sha256(url.encode()).hexdigest()[:32] + ("-whole" if whole else "")
        self.path = self._directory / f"{name}.git"
        self._lock_path = self._directory / f"{name}.lock"
        self._fetch_seconds = fetch_seconds
        self._whole = whole
        self._git = GitCommand(str(Git.GIT_PYTHON_GIT_EXECUTABLE or "git"), self.path, url, ssh_key)

    @property
    def command(self) -> GitCommand:
        """Runs git on this mirror, for those who read more than its files."""
        return self._git

    async def ls_remote(self, ref: str) -> str | None:
        """The commit that ``ref`` stands at now, without fetching; none when there is no such ref.

        Args:
            ref: a branch, a tag, a full ref (``refs/…``), ``HEAD``, or a commit hash, which is its own answer.
        """
        if is_commit_hash(ref):
            return ref
        names = _candidates(ref)
        patterns = [pattern for name in names for pattern in (name, f"{name}^{{}}")]
        result = await self._git.run(["ls-remote", "--", self.url, *patterns], _ASK_SECONDS)
        lines = [line.partition("\t") for line in result.output.decode(errors="replace").splitlines()]
        found = {name: commit for commit, _, name in lines}
        for name in names:
            commit = found.get(f"{name}^{{}}") or found.get(name)
            if commit is not None and is_commit_hash(commit):
                return commit
        return None

    async def default_branch(self) -> str | None:
        """Name of the branch a clone would check out; none when the repository is empty."""
        result = await self._git.run(["ls-remote", "--symref", "--", self.url, "HEAD"], _ASK_SECONDS)
        for line in result.output.decode(errors="replace").splitlines():
            target, _, name = line.partition("\t")
            if name == "HEAD" and target.startswith("ref: refs/heads/"):
                return target.removeprefix("ref: refs/heads/")
        return None

    async def fetch(self, wanted: str) -> str:
        """Get the commit ``wanted`` is or stands at, with its files, and return its hash.

        Args:
            wanted: as for ``ls_remote``. A commit that is there already is not fetched again.

        Raises:
            GitError: the repository cannot be reached, or has no such ref or commit.
        """
        async with self._locked() as lock:
            if not (self.path / "HEAD").exists():
                await self._create("sha1")
            await asyncio.to_thread(self._clear_leftovers)
            if is_commit_hash(wanted):
                if not await self._has(wanted):
                    await self._fetch_commit(wanted, lock)
                return wanted
            commit = await self._fetch_ref(wanted, lock)
            await self._consolidate(lock)
            return commit

    async def deepen(self, ref: str, commits: int) -> None:
        """Get up to ``commits`` more of the history of ``ref``, which was fetched.

        Raises:
            GitError: the repository cannot be reached, or cannot do that.
        """
        async with self._locked() as lock:
            await self._fetch_ref(ref, lock, f"--deepen={commits}")

    async def commit_info(self, commit: str) -> CommitInfo:
        """Author, subject and time of a commit that was fetched."""
        _check_hash(commit)
        form = "--format=%an%x00%s%x00%ct"
        result = await self._git.run(
            ["log", "--no-walk", "--no-show-signature", "--encoding=UTF-8", form, commit, "--"]
        )
        author, subject, seconds = result.output.decode(errors="replace").rstrip("\n").split("\0", 2)
        return CommitInfo(hash=commit, author=author, subject=subject, committed_at=_moment(seconds))

    async def trailers(self, commit: str, key: str) -> list[str]:
        """Values of the trailers ``key: value`` at the end of the message of a commit that was fetched."""
        _check_hash(commit)
        form = f"--format=%(trailers:key={key},valueonly)"
        result = await self._git.run(
            ["log", "--no-walk", "--no-show-signature", "--encoding=UTF-8", form, commit, "--"]
        )
        return result.output.decode(errors="replace").split()

    async def tree(self, commit: str, path: str = ".") -> list[TreeEntry]:
        """Files and symbolic links at and below ``path`` in a commit that was fetched, by path.

        Raises:
            GitError: there is nothing at ``path``.
        """
        _check_hash(commit)
        top = "/".join(part for part in path.split("/") if part not in {"", "."})
        result = await self._git.run(
            ["ls-tree", "-r", "-z", "-l", "--full-tree", commit, "--", *([top] if top else [])]
        )
        entries = []
        for line in result.output.decode(errors="replace").split("\0"):
            facts, _, name = line.partition("\t")
            if name:
                mode, _kind, blob, size = facts.split()
                if mode != _SUBMODULE:
                    entries.append(TreeEntry(path=name, blob=blob, mode=mode, size=int(size)))
        if top and not entries:
            raise GitError(_LIST, f"there is nothing at {path!r} in commit {commit} of {self.url}")
        return entries

    async def blobs(self, ids: Iterable[str], limit: int = 64 << 20) -> dict[str, bytes]:
        """Contents of blobs by their id, read by one process.

        Args:
            ids: blob ids out of ``tree``.
            limit: bytes that all of them may have together.

        Raises:
            GitError: a blob is missing, or they are larger than ``limit``.
        """
        wanted = list(dict.fromkeys(ids))
        for blob in wanted:
            _check_hash(blob)
        if not wanted:
            return {}
        result = await self._git.run(
            ["cat-file", "--batch"],
            given="".join(f"{blob}\n" for blob in wanted).encode(),
            output_limit=limit + _HEADER_BYTES * len(wanted),
        )
        return split_blobs(result.output, wanted)

    async def export(self, commit: str, destination: Path) -> None:
        """Write the files of a commit that was fetched to ``destination``, without ``.git``.

        The files are those of a checkout (attributes such as ``eol`` hold, ``export-ignore`` does not), all with
        the time of the commit, so that the same commit always gives the same tree. Directories of submodules are
        empty, and files kept by Git LFS are pointers.

        Args:
            commit: hash.
            destination: a directory that does not exist yet or is empty.
        """
        moment = (await self.commit_info(commit)).committed_at.timestamp()
        await asyncio.to_thread(destination.mkdir, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="index-", dir=self._directory) as made:
            index = {
                "GIT_INDEX_FILE": str(Path(made) / "index"),
                "GIT_WORK_TREE": str(destination.absolute()),
            }
            await self._git.run(["read-tree", commit], _FETCH_SECONDS, extra=index)
            checkout = ["checkout-index", "--all", "--force", "--quiet"]
            await self._git.run(checkout, _FETCH_SECONDS, extra=index, directory=destination)
        await asyncio.to_thread(_set_times, destination, moment)

    # The rest is how.

    async def _fetch_ref(self, ref: str, lock: int, depth: str = "--depth=1") -> str:
        for name in _candidates(ref):
            target = f"refs/fc/{hashlib.sha256(name.encode()).hexdigest()[:40]}"
            try:
                await self._fetch_spec([f"+{name}:{target}"], lock, depth)
            except GitError as error:
                if "couldn't find remote ref" not in error.detail:
                    raise
                continue
            result = await self._git.run(
                ["rev-parse", "--verify", "--end-of-options", f"{target}^{{commit}}"]
            )
            return result.output.decode().strip()
        missing = "is empty" if ref == "HEAD" else f"has no branch or tag {ref!r}"
        raise GitError(_FETCH, f"{self.url} {missing}")

    async def _fetch_commit(self, commit: str, lock: int) -> None:
        try:
            await self._fetch_spec([f"+{commit}:refs/fc/{commit}"], lock, "--depth=1")
        except GitError as refused:
            # A server may only give what a ref stands at: then the commit is looked for in branches and tags.
            try:
                await self._fetch_spec(
                    ["+refs/heads/*:refs/fc-all/heads/*", "+refs/tags/*:refs/fc-all/tags/*"], lock
                )
            except GitError as error:
                raise error from refused
            if not await self._has(commit):
                raise GitError(
                    _FETCH, f"{self.url} has no commit {commit} any more: {refused.detail}"
                ) from refused
            await self._git.run(["update-ref", f"refs/fc/{commit}", commit])

    async def _fetch_spec(self, specs: list[str], lock: int, cut: str = "") -> None:
        shallow = bool(cut) and not self._whole
        whole = ["--unshallow"] if (self.path / "shallow").exists() else []
        depth = [cut] if shallow else ["--prune", "--update-shallow", *whole]
        command = ["fetch", *_FETCH_OPTIONS, *depth, "--end-of-options", self.url, *specs]
        try:
            await self._git.run(command, self._fetch_seconds, lock=lock)
        except GitError as error:
            if "mismatched algorithms" in error.detail:
                await self._create("sha256")
            elif not (shallow and "shallow" in error.detail):
                raise
            command = [argument for argument in command if argument not in depth]
            await self._git.run(command, self._fetch_seconds, lock=lock)

    async def _has(self, commit: str) -> bool:
        """Whether the commit and the files it needs are here (rev-list fails on any that is missing)."""
        result = await self._git.attempt(
            ["rev-list", "--objects", "--no-walk", "--quiet", "--end-of-options", commit], READ_SECONDS
        )
        return result.status == 0

    async def _create(self, object_format: str) -> None:
        """A new, empty mirror in place of whatever is there; renamed into place only when whole."""
        with tempfile.TemporaryDirectory(prefix="new-", dir=self._directory) as made:
            new = Path(made) / "mirror"
            await self._git.run(
                ["init", "--bare", "--quiet", f"--object-format={object_format}", "--template=", str(new)]
            )
            if self.path.exists():
                await asyncio.to_thread(shutil.rmtree, self.path)
            new.rename(self.path)

    def _clear_leftovers(self) -> None:
        """Remove what a fetch that was killed left behind; whoever holds the lock knows that no fetch runs."""
        for pattern in _LEFTOVERS:
            for path in self.path.glob(pattern):
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink(missing_ok=True)

    async def _consolidate(self, lock: int) -> None:
        """Every fetch adds a pack; many make reading slow. What no ref reaches is kept: an evaluation may want it."""
        if len(list((self.path / "objects" / "pack").glob("*.pack"))) > _MANY_PACKS:
            await self._git.run(["repack", "-a", "-d", "-k", "-q"], self._fetch_seconds, lock=lock)

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[int]:
        """Hold the mirror's lock. Children inherit it: one that outlives a killed parent keeps it until it ends."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            async with asyncio.timeout(2 * self._fetch_seconds):
                while True:
                    try:
                        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        break
                    except BlockingIOError:
                        await asyncio.sleep(_LOCK_POLL_SECONDS)
        except BaseException as error:
            os.close(lock)
            if isinstance(error, TimeoutError):
                raise GitError(_FETCH, f"another process has been fetching {self.url} for too long") from None
            raise
        try:
            yield lock
        finally:
            os.close(lock)


def _candidates(ref: str) -> list[str]:
    check_ref(ref)
    if ref == "HEAD" or ref.startswith("refs/"):
        return [ref]
    return [f"refs/heads/{ref}", f"refs/tags/{ref}"]


def _check_hash(text: str) -> None:
    if not is_commit_hash(text):
        raise GitError(_READ, f"{text[:100]!r} is not a whole object id")


def _moment(seconds: str) -> datetime:
    """A commit's time; commits may claim any number."""
    try:
        return datetime.fromtimestamp(int(seconds), UTC)
    except (ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(0, UTC)


def _set_times(top: Path, moment: float) -> None:
    for directory, _, files in os.walk(top, topdown=False):
        for name in files:
            os.utime(os.path.join(directory, name), (moment, moment), follow_symlinks=False)  # noqa: PTH118 - hot loop
        os.utime(directory, (moment, moment))
