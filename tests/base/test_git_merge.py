"""Merges that are only worked out."""

from pathlib import Path

import pytest
from git.cmd import Git

from fc.base.errors import GitError
from fc.base.git_merge import MergingMirror, MovedLines
from tests.support.repository import Repository

HEAD = "refs/pull/1/head"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "configuration")
    made.commit({"a.yaml": "one\ntwo\nthree\nfour\nfive\n", "b.yaml": "b\n"})
    return made


@pytest.fixture
def mirror(tmp_path: Path, repository: Repository) -> MergingMirror:
    return MergingMirror(tmp_path / "mirrors", repository.url)


def offer(repository: Repository, files: dict[str, str | bytes | None], number: int = 1) -> str:
    """Offer a commit on top of the branch as a forge does; the branch stays."""
    repository.git("checkout", "--quiet", "--detach")
    commit = repository.commit(files)
    repository.git("update-ref", f"refs/pull/{number}/head", commit)
    repository.git("checkout", "--quiet", "main")
    return commit


async def test_both_sides_are_in_the_merge(repository: Repository, mirror: MergingMirror) -> None:
    head = offer(repository, {"a.yaml": "ONE\ntwo\nthree\nfour\nfive\n", "new.yaml": "new\n"})
    base = repository.commit({"a.yaml": "one\ntwo\nthree\nfour\nFIVE\n"})
    fetched = await mirror.fetch_both("main", HEAD)
    assert (fetched.base, fetched.head) == (base, head)
    merged = await mirror.merge(base, head)
    assert merged.tree is not None
    found = {one.path: one.blob for one in await mirror.tree(merged.tree)}
    assert set(found) == {"a.yaml", "b.yaml", "new.yaml"}
    contents = await mirror.blobs(found.values())
    assert contents[found["a.yaml"]] == b"ONE\ntwo\nthree\nfour\nFIVE\n"
    assert not await mirror.contains(base, head)


async def test_conflicts_are_named(repository: Repository, mirror: MergingMirror) -> None:
    head = offer(repository, {"a.yaml": "mine\n", "b.yaml": None, "c\nd.yaml": "x\n"})
    base = repository.commit({"a.yaml": "theirs\n", "b.yaml": "changed\n"})
    await mirror.fetch_both("main", HEAD)
    merged = await mirror.merge(base, head)
    assert (merged.tree, merged.conflicts) == (None, ("a.yaml", "b.yaml"))


async def test_a_ref_that_is_gone_is_none(repository: Repository, mirror: MergingMirror) -> None:
    assert (await mirror.fetch_both("main", HEAD)).head is None
    with pytest.raises(GitError, match="couldn't find remote ref"):
        await mirror.fetch_both("nowhere", HEAD)


async def test_what_was_merged_is_contained(repository: Repository, mirror: MergingMirror) -> None:
    head = offer(repository, {"c.yaml": "c\n"})
    repository.git("merge", "--quiet", "--no-ff", "--message=Merge", head)
    fetched = await mirror.fetch_both("main", HEAD)
    assert await mirror.contains(fetched.base, head)


async def test_histories_without_a_common_commit_are_told(
    repository: Repository, mirror: MergingMirror
) -> None:
    repository.git("checkout", "--quiet", "--orphan", "other")
    head = repository.commit({"a.yaml": "x\n"})
    repository.git("update-ref", HEAD, head)
    repository.git("checkout", "--quiet", "main")
    fetched = await mirror.fetch_both("main", HEAD)
    merged = await mirror.merge(fetched.base, head)
    assert (merged.tree, merged.message) == (None, "it has no commit in common with the branch")


async def test_a_git_that_cannot_merge_takes_what_needs_no_merge(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old-git"
    old.write_text('#!/bin/sh\ncase "$*" in *merge-tree*) exit 129;; esac\nexec git "$@"\n', encoding="utf-8")
    old.chmod(0o755)
    monkeypatch.setattr(Git, "GIT_PYTHON_GIT_EXECUTABLE", str(old))
    mirror = MergingMirror(tmp_path / "mirrors", repository.url)
    head = offer(repository, {"c.yaml": "c\n"})
    fetched = await mirror.fetch_both("main", HEAD)
    assert (await mirror.merge(fetched.base, head)).tree == head
    base = repository.commit({"b.yaml": "moved on\n"})
    await mirror.fetch_both("main", HEAD)
    assert "rebase" in (await mirror.merge(base, head)).message


async def test_lines_of_the_merge_are_found_in_the_head(
    repository: Repository, mirror: MergingMirror
) -> None:
    head = offer(repository, {"a.yaml": "ONE\ntwo\nthree\nfour\nfive\n"})
    base = repository.commit({"a.yaml": "one\ntwo\nthree\nfour\nfour and a half\nfour and more\nfive\n"})
    await mirror.fetch_both("main", HEAD)
    merged = await mirror.merge(base, head)
    assert merged.tree is not None
    (old,) = [one.blob for one in await mirror.tree(head) if one.path == "a.yaml"]
    (new,) = [one.blob for one in await mirror.tree(merged.tree) if one.path == "a.yaml"]
    moved = await mirror.moved_lines(old, new)
    assert [moved.before(line) for line in range(1, 8)] == [1, 2, 3, 4, None, None, 5]


@pytest.mark.parametrize(
    ("hunks", "line", "before"),
    [
        ([], 7, 7),
        ([(3, 2, 2, 0)], 2, 2),
        ([(3, 2, 2, 0)], 3, 5),
        ([(0, 0, 1, 2)], 1, None),
        ([(0, 0, 1, 2)], 3, 1),
        ([(5, 1, 5, 3), (9, 2, 11, 1)], 8, 6),
        ([(5, 1, 5, 3), (9, 2, 11, 1)], 11, None),
        ([(5, 1, 5, 3), (9, 2, 11, 1)], 12, 11),
    ],
)
def test_lines_move_by_what_stands_before_them(
    hunks: list[tuple[int, ...]], line: int, before: int | None
) -> None:
    assert MovedLines(hunks).before(line) == before
