"""What a merge of two commits would give, worked out in a mirror, without a working tree and without a commit."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from fc.base.errors import GitError
from fc.base.git import GitMirror

_MERGE_SECONDS = 60.0
_USAGE = 129
"""Exit status of a git that does not know an option."""
_HUNK = re.compile(rb"^@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@", re.MULTILINE)
_MOST_CONFLICTS = 100


@dataclass(frozen=True, slots=True)
class Fetched:
    """Two commits that were fetched with their history."""

    base: str
    head: str | None
    """None: there is no such ref any more."""


@dataclass(frozen=True, slots=True)
class Merged:
    """The result of a merge."""

    tree: str | None
    """Of the merged files; none: they cannot be merged."""
    conflicts: tuple[str, ...] = ()
    """Paths of the files that conflict."""
    message: str = ""
    """Why there is no tree, if it is not for conflicts."""


class MergingMirror(GitMirror):
    """A mirror with history. It is one of its own: what strangers offer never lies where anything is applied from."""

    async def fetch_both(self, base: str, head: str) -> Fetched:
        """Get two refs with their history.

        Args:
            base: a branch.
            head: a full ref.

        Raises:
            GitError: the repository cannot be reached, or has no ``base``.
        """
        async with self._locked() as lock:
            if not (self.path / "HEAD").exists():
                await self._create("sha1")
            self._clear_leftovers()
            found = Fetched(await self._fetch_whole(_full(base), "base", lock), None)
            try:
                return Fetched(found.base, await self._fetch_whole(head, "head", lock))
            except GitError as error:
                if "couldn't find remote ref" not in error.detail:
                    raise
                return found

    async def contains(self, commit: str, other: str) -> bool:
        """Whether ``commit`` has ``other`` in its history."""
        result = await self._git.attempt(["merge-base", "--is-ancestor", other, commit])
        return result.status == 0

    async def merge(self, base: str, head: str) -> Merged:
        """The files that a merge of ``head`` into ``base`` would give; both were fetched.

        Raises:
            GitError: git failed.
        """
        command = ["merge-tree", "--write-tree", "--name-only", "--no-messages", "-z", base, head]
        result = await self._git.attempt(command, _MERGE_SECONDS)
        if result.timed_out or result.overflowed:
            return Merged(None, message=f"the merge takes longer than {_MERGE_SECONDS:.0f} s")
        if result.status == _USAGE:
            if await self.contains(head, base):
                return Merged(head)
            return Merged(None, message="the git here is older than 2.38 and cannot merge; rebase it")
        tree, *names = result.output.decode(errors="replace").split("\0")
        if result.status == 0:
            return Merged(tree)
        if result.status == 1 and names:
            conflicts = tuple(dict.fromkeys(name for name in names if name))
            return Merged(None, conflicts[:_MOST_CONFLICTS])
        if b"unrelated histories" in result.errors:
            return Merged(None, message="it has no commit in common with the branch")
        said = result.errors.decode(errors="replace").strip()[-500:]
        raise GitError(command[0], said or f"exit status {result.status}")

    async def moved_lines(self, old: str, new: str) -> "MovedLines":
        """How the lines of the blob ``new`` stood in the blob ``old``."""
        command = ["diff", "--unified=0", "--no-color", "--no-ext-diff", "--no-textconv", old, new]
        result = await self._git.run(command)
        hunks = [tuple(int(one or 1) for one in match) for match in _HUNK.findall(result.output)]
        return MovedLines(hunks)

    async def _fetch_whole(self, ref: str, name: str, lock: int) -> str:
        target = f"refs/fc-merge/{name}"
        await self._fetch_spec([f"+{ref}:{target}"], lock)
        result = await self._git.run(["rev-parse", "--verify", "--end-of-options", f"{target}^{{commit}}"])
        await self._consolidate(lock)
        return result.output.decode().strip()


class MovedLines:
    """Lines of a new text in an old one."""

    def __init__(self, hunks: Iterable[tuple[int, ...]]) -> None:
        """``hunks``: first line and number of lines, in the old text and in the new one, as a unified diff has them."""
        self._hunks = tuple(hunks)

    def before(self, line: int) -> int | None:
        """The line of the old text that is ``line`` of the new one; none: it is not in it."""
        shift = 0
        for _old, removed, new, added in self._hunks:
            # A hunk that adds nothing names the line before it.
            first = new if added else new + 1
            if line < first:
                break
            if line < first + added:
                return None
            shift += removed - added
        return line + shift


def _full(branch: str) -> str:
    return branch if branch.startswith("refs/") else f"refs/heads/{branch}"
