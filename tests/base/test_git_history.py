"""What led to a commit, in shallow mirrors and whole ones."""

from pathlib import Path

import pytest

from fc.base import git_history
from fc.base.errors import GitError
from fc.base.git import GitMirror
from fc.base.git_history import contains, new_commits
from tests.support.repository import Repository, commits_in


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "origin")


@pytest.fixture(params=["shallow", "whole"])
def mirror(tmp_path: Path, repository: Repository, request: pytest.FixtureRequest) -> GitMirror:
    return GitMirror(tmp_path / "git", repository.url, whole=request.param == "whole")


async def held(mirror: GitMirror, wanted: str) -> bool | None:
    """Whether the branch, as it is now, contains ``wanted``."""
    return await contains(mirror, "main", await mirror.fetch("main"), wanted)


async def test_a_branch_that_grew_contains_what_it_was(mirror: GitMirror, repository: Repository) -> None:
    first = repository.commit()
    assert await held(mirror, first) is True
    repository.commit()
    assert await held(mirror, first) is True
    for _ in range(60):
        repository.commit()
    assert await held(mirror, first) is True


async def test_a_branch_that_was_moved_does_not(mirror: GitMirror, repository: Repository) -> None:
    base = repository.commit()
    lost = repository.commit(message="Lost")
    assert await held(mirror, lost) is True
    repository.git("reset", "--hard", base)
    repository.commit(message="Instead")
    assert await held(mirror, lost) is False
    assert await held(mirror, base) is True


async def test_a_branch_that_was_set_back_does_not(mirror: GitMirror, repository: Repository) -> None:
    base = repository.commit()
    lost = repository.commit()
    await mirror.fetch("main")
    repository.git("reset", "--hard", base)
    assert await held(mirror, lost) is False
    repository.git("reset", "--hard", lost)
    assert await held(mirror, lost) is True


async def test_a_branch_without_common_history_does_not(mirror: GitMirror, repository: Repository) -> None:
    lost = repository.commit()
    await mirror.fetch("main")
    repository.git("checkout", "--quiet", "--orphan", "other")
    repository.commit(message="Anew")
    repository.git("branch", "--force", "main", "other")
    assert await held(mirror, lost) is False


async def test_what_was_merged_is_contained(mirror: GitMirror, repository: Repository) -> None:
    repository.commit()
    repository.git("checkout", "--quiet", "-b", "side")
    side = repository.commit({"side": "1"})
    repository.git("checkout", "--quiet", "main")
    repository.commit({"main": "1"})
    repository.git("merge", "--quiet", "--no-edit", "side")
    for _ in range(3):
        repository.commit()
    assert await held(mirror, side) is True


async def test_a_history_that_is_too_long_is_unknown_not_wrong(
    tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(git_history, "_STEPS", (0, 2))
    mirror = GitMirror(tmp_path / "git", repository.url)
    commits = [repository.commit() for _ in range(9)]
    assert await held(mirror, "0" * 40) is None
    assert await held(mirror, commits[-2]) is True


async def test_a_repository_that_cannot_be_reached_is_unknown(tmp_path: Path, repository: Repository) -> None:
    mirror = GitMirror(tmp_path / "git", repository.url)
    for _ in range(3):
        repository.commit()
    commit = await mirror.fetch("main")
    repository.path.rename(tmp_path / "away")
    assert await contains(mirror, "main", commit, "0" * 40) is None


async def test_a_mirror_cut_short_by_another_fetch_is_deepened_again(
    tmp_path: Path, repository: Repository
) -> None:
    mirror = GitMirror(tmp_path / "git", repository.url)
    commits = [repository.commit() for _ in range(5)]
    assert await held(mirror, commits[0]) is True
    await GitMirror(tmp_path / "git", repository.url).fetch("main")
    assert await held(mirror, commits[0]) is True


async def test_everything_new_is_listed_also_what_was_merged(tmp_path: Path, repository: Repository) -> None:
    mirror = GitMirror(tmp_path / "git", repository.url, whole=True)
    base = repository.commit()
    repository.git("checkout", "--quiet", "-b", "side")
    side = [repository.commit({"side": str(number)}) for number in range(2)]
    repository.git("checkout", "--quiet", "main")
    main = repository.commit({"main": "1"})
    repository.git("merge", "--quiet", "--no-edit", "side")
    merge = repository.head()
    assert await mirror.fetch("main") == merge
    # Another mirror of the same repository does not cut this one short.
    await GitMirror(tmp_path / "git", repository.url).fetch("main")
    found = await new_commits(mirror, merge, base)
    assert sorted(found) == sorted([*side, main, merge])
    assert len(commits_in(mirror.path)) == 5
    assert await new_commits(mirror, merge, merge) == []


async def test_what_is_new_since_a_commit_that_was_pushed_away_is_known_while_the_mirror_has_it(
    tmp_path: Path, repository: Repository
) -> None:
    mirror = GitMirror(tmp_path / "git", repository.url, whole=True)
    base = repository.commit()
    lost = repository.commit()
    await mirror.fetch("main")
    repository.git("reset", "--hard", base)
    instead = repository.commit(message="Instead")
    assert await new_commits(mirror, await mirror.fetch("main"), lost) == [instead]
    repository.git("reflog", "expire", "--expire=now", "--all")
    repository.git("gc", "--quiet", "--prune=now")
    other = GitMirror(tmp_path / "elsewhere", repository.url, whole=True)
    await other.fetch("main")
    with pytest.raises(GitError, match="has no commit"):
        await new_commits(other, instead, lost)


async def test_a_server_with_a_part_of_its_history_or_too_much_that_is_new_is_refused(
    tmp_path: Path, repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = [repository.commit() for _ in range(4)]
    mirror = GitMirror(tmp_path / "git", repository.url, whole=True)
    await mirror.fetch("main")
    monkeypatch.setattr(git_history, "MOST_NEW", 2)
    with pytest.raises(GitError, match="more than 2 commits"):
        await new_commits(mirror, commits[3], commits[0])
    repository.git("clone", "--quiet", "--bare", "--depth=2", repository.url, str(tmp_path / "part"))
    part = GitMirror(tmp_path / "git", f"file://{tmp_path / 'part'}", whole=True)
    await part.fetch("main")
    with pytest.raises(GitError, match="only a part of its history"):
        await new_commits(part, commits[3], commits[2])
