"""Somebody's own working copies, as their git sees them: nothing is changed, and no hook runs."""

import os
from collections.abc import Iterable
from pathlib import Path

from fc.base.errors import EnvironmentMissingError, GitError
from fc.base.git_command import READ_SECONDS
from fc.base.process import run_process

_AT_ONCE = 500
"""Paths on one command line."""
_ELSEWHERE = frozenset(
    (
        "GIT_DIR",
        "GIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_PREFIX",
        "GIT_COMMON_DIR",
        "GIT_OBJECT_DIRECTORY",
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_NAMESPACE",
    )
)
"""Variables of a git that runs us, as a hook, and mean its repository."""


async def uncommitted_files(files: Iterable[Path]) -> list[Path]:
    """Those of ``files`` with anything that git could not give back: changed, staged, untracked or ignored.

    Files in no working copy of git are left out, and so are those that are not there. git runs with the settings of
    the user, which say how lines end, and refuses a repository of somebody else.

    Args:
        files: absolute, without symbolic links.

    Raises:
        EnvironmentMissingError: there is no git.
        GitError: git cannot say.
    """
    by_top: dict[Path, list[Path]] = {}
    for file in files:
        top = next((one for one in file.parents if (one / ".git").exists()), None)
        if top is not None:
            by_top.setdefault(top, []).append(file)
    found: list[Path] = []
    for top, inside in sorted(by_top.items()):
        for begin in range(0, len(inside), _AT_ONCE):
            found += await _dirty(top, inside[begin : begin + _AT_ONCE])
    return sorted(found)


async def _dirty(top: Path, files: list[Path]) -> list[Path]:
    names = {file.relative_to(top).as_posix(): file for file in files}
    environment = {name: value for name, value in os.environ.items() if name not in _ELSEWHERE}
    environment |= {"LC_ALL": "C", "GIT_OPTIONAL_LOCKS": "0", "GIT_LITERAL_PATHSPECS": "1"}
    settings = ["-c", "core.fsmonitor=false", "-c", "status.renames=false"]
    what = ["status", "--porcelain=v1", "-z", "--untracked-files=all", "--ignored=matching"]
    try:
        done = await run_process(
            ["git", *settings, *what, "--", *names],
            environment=environment,
            directory=top,
            timeout=READ_SECONDS,
        )
    except FileNotFoundError:
        message = f"git is not installed, so nobody can say what is not committed in {top}"
        raise EnvironmentMissingError(message) from None
    if done.status != 0:
        said = "it took too long" if done.timed_out else done.errors.decode(errors="replace").strip()
        action = "status"
        raise GitError(action, f"{top}: {said}")
    listed = [os.fsdecode(entry[3:]) for entry in done.output.split(b"\0") if entry]
    # A directory that is ignored as a whole is named in place of what it holds.
    return [
        file
        for name, file in names.items()
        if any(name == one or (one.endswith("/") and name.startswith(one)) for one in listed)
        and os.path.lexists(file)
    ]
