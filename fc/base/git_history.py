"""What led to a commit: whether it contains another one, and which commits are new in it. Reads a mirror."""

from fc.base.errors import GitError
from fc.base.git import GitMirror

_STEPS = (0, 50, 2_000, 20_000)
"""How much more of the history is fetched, one after another, while it is unknown."""
_MOST = 50_000
"""Commits that are walked through at most."""
MOST_NEW = 10_000
"""Commits that may be new at once."""


async def contains(mirror: GitMirror, ref: str, commit: str, wanted: str) -> bool | None:
    """Whether ``commit``, at which ``ref`` was fetched, is ``wanted`` or comes after it; none: that cannot be told.

    Fetches more of the history only while it has to be known.
    """
    if commit == wanted or wanted in await _parents(mirror, commit):
        return True
    for more in _STEPS:
        try:
            if more:
                await mirror.deepen(ref, more)
            found = await _walk(mirror, commit, wanted)
        except GitError:
            return None
        if found is not None:
            return found
    return None


async def new_commits(mirror: GitMirror, commit: str, base: str) -> list[str]:
    """Everything that ``commit`` contains and ``base`` does not, newest first, also what was merged.

    Args:
        mirror: a whole one.
        commit: that was fetched.
        base: that need not be contained in it.

    Raises:
        GitError: ``base`` cannot be found any more, a part of the history is missing, or too much is new.
    """
    action = "rev-list"
    await mirror.fetch(base)
    if (mirror.path / "shallow").exists():
        raise GitError(action, f"{mirror.url} itself has only a part of its history")
    result = await mirror.command.run(
        ["rev-list", f"--max-count={MOST_NEW + 1}", "--end-of-options", commit, f"^{base}"]
    )
    found = result.output.decode().split()
    if len(found) > MOST_NEW:
        raise GitError(action, f"more than {MOST_NEW} commits of {mirror.url} are new since {base}")
    return found


async def _walk(mirror: GitMirror, commit: str, wanted: str) -> bool | None:
    """Whether ``wanted`` is among what led to ``commit``, as far as that is here; none: it is not all here.

    One git process sees one state, whatever others fetch meanwhile.
    """
    result = await mirror.command.run(
        ["rev-list", "--parents", f"--max-count={_MOST}", "--end-of-options", commit]
    )
    lines = [line.split() for line in result.output.decode().splitlines()]
    if any(line[0] == wanted for line in lines):
        return True
    if len(lines) >= _MOST:
        return None
    # Where the history is cut off git shows no parents, though the commit itself names them.
    ends = [line[0] for line in lines if len(line) == 1]
    return None if any([await _parents(mirror, end) for end in ends]) else False


async def _parents(mirror: GitMirror, commit: str) -> list[str]:
    """The parents that a commit names, whether they are here or not."""
    result = await mirror.command.run(["cat-file", "commit", commit])
    head = result.output.partition(b"\n\n")[0].decode(errors="replace")
    return [line.removeprefix("parent ") for line in head.split("\n") if line.startswith("parent ")]
