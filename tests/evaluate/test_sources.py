"""Source trees that evaluations share."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from fc.base.errors import GitError
from fc.base.git import GitMirror
from fc.evaluate.sources import SourceTrees
from tests.support.repository import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "origin")


def trees(tmp_path: Path) -> list[Path]:
    return [path for path in (tmp_path / "sources").iterdir() if path.is_dir()]


async def test_evaluations_of_one_commit_share_one_tree(tmp_path: Path, repository: Repository) -> None:
    commit = repository.commit({"a": "1"})
    mirror = GitMirror(tmp_path / "git", repository.url)
    made = SourceTrees(tmp_path / "sources")

    async def use() -> Path:
        async with made.checkout(mirror, commit) as source:
            assert (source / "a").read_text() == "1"
            return source

    found = await asyncio.gather(*(use() for _ in range(5)))
    assert len(set(found)) == 1
    assert found[0].name == "source"
    assert len(trees(tmp_path)) == 1


async def test_only_the_trees_used_last_are_kept_and_none_that_is_used(
    tmp_path: Path, repository: Repository
) -> None:
    mirror = GitMirror(tmp_path / "git", repository.url)
    made = SourceTrees(tmp_path / "sources", kept=2)
    async with AsyncExitStack() as used:
        first = await used.enter_async_context(made.checkout(mirror, repository.commit({"a": "0"})))
        for number in range(1, 6):
            async with made.checkout(mirror, repository.commit({"a": str(number)})):
                pass
        assert (first / "a").read_text() == "0"
        assert len(trees(tmp_path)) == 3
    assert len(trees(tmp_path)) == 2
    assert len(list((tmp_path / "sources").glob("*.lock"))) == 2


async def test_a_removed_tree_is_made_again(tmp_path: Path, repository: Repository) -> None:
    mirror = GitMirror(tmp_path / "git", repository.url)
    commit = repository.commit({"a": "1"})
    made = SourceTrees(tmp_path / "sources", kept=0)
    for _ in range(3):
        async with made.checkout(mirror, commit) as source:
            assert (source / "a").read_text() == "1"
        assert trees(tmp_path) == []


async def test_many_at_once_never_see_half_a_tree(tmp_path: Path, repository: Repository) -> None:
    mirror = GitMirror(tmp_path / "git", repository.url)
    commits = [
        repository.commit({f"f{number}": "x" for number in range(20)} | {"n": str(n)}) for n in range(3)
    ]
    made = [SourceTrees(tmp_path / "sources", kept=0) for _ in range(3)]

    async def use(number: int) -> None:
        for commit in commits:
            async with made[number].checkout(mirror, commit) as source:
                assert len(list(source.iterdir())) == 21
                await asyncio.sleep(0)
                assert len(list(source.iterdir())) == 21

    await asyncio.gather(*(use(number) for number in range(3)))


async def test_a_commit_that_cannot_be_had_leaves_nothing(tmp_path: Path, repository: Repository) -> None:
    repository.commit({"a": "1"})
    mirror = GitMirror(tmp_path / "git", repository.url)
    with pytest.raises(GitError):
        async with SourceTrees(tmp_path / "sources", kept=0).checkout(mirror, "1" * 40):
            pass
    assert trees(tmp_path) == []
