"""Who is asked for what, and who is blamed."""

import pytest

from fc.evaluate.shards import (
    LARGEST_SHARD,
    ROOT,
    SMALLEST_SHARD,
    Answer,
    Shard,
    after_crash,
    job_name,
    split,
)


def test_a_set_is_answered_by_its_children_in_order() -> None:
    shard = Shard([("a",), ("z",)])
    assert shard.take(Answer("set", ("a",), ("x", "y")))
    assert list(shard.pending) == [("a", "x"), ("a", "y"), ("z",)]
    assert shard.take(Answer("job", ("a", "x")))
    assert shard.take(Answer("thrown", ("a", "y")))
    assert shard.take(Answer("skip", ("z",)))
    assert not shard.pending
    assert shard.thrown == [("a", "y")]
    assert shard.answers == 4


def test_a_large_set_is_left_for_others() -> None:
    shard = Shard([ROOT])
    assert shard.take(Answer("set", ROOT, ("x", "y"), deferred=True))
    assert not shard.pending
    assert shard.deferred == [("x",), ("y",)]


def test_an_answer_to_something_else_is_none() -> None:
    shard = Shard([("a",)])
    assert not shard.take(Answer("job", ("b",)))
    assert shard.take(Answer("job", ("a",)))
    assert not shard.take(Answer("job", ("a",)))


def test_the_first_path_without_an_answer_is_blamed() -> None:
    shard = Shard([("a",), ("b",), ("c",)])
    shard.take(Answer("job", ("a",)))
    verdict = after_crash(shard, exhausted=False)
    assert verdict.blamed == ("b",)
    assert [list(retry.pending) for retry in verdict.retry] == [[("c",)]]


def test_a_lack_of_memory_is_only_blamed_on_a_path_that_was_alone() -> None:
    shard = Shard([("a",), ("b",), ("c",)])
    shard.take(Answer("job", ("a",)))
    verdict = after_crash(shard, exhausted=True)
    assert verdict.blamed is None
    alone, rest = verdict.retry
    assert alone.alone
    assert (alone.paths, rest.paths) == ((("b",),), (("c",),))
    assert after_crash(alone, exhausted=True).blamed == ("b",)


def test_a_lack_of_memory_at_the_first_path_is_its_own() -> None:
    assert after_crash(Shard([("a",), ("b",)]), exhausted=True).blamed == ("a",)


@pytest.mark.parametrize(("count", "workers"), [(0, 2), (1, 2), (31, 4), (1000, 2), (100_000, 8)])
def test_shards_share_the_work(count: int, workers: int) -> None:
    paths = [(str(number),) for number in range(count)]
    shards = split(paths, workers)
    assert [path for shard in shards for path in shard.paths] == paths
    assert all(len(shard.paths) <= LARGEST_SHARD for shard in shards)
    assert len(shards) <= max(workers * 4, -(-count // LARGEST_SHARD))
    assert all(len(shard.paths) >= SMALLEST_SHARD for shard in shards[:-1])


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ((), "default"),
        (("hello", "x86_64-linux"), "hello.x86_64-linux"),
        (("a.b", "c"), '"a.b".c'),
        (('q"', "\\", "\n"), '"q\\""."\\\\"."\\n"'),
        (("",), '""'),
        (("gtk+'s",), "gtk+'s"),
    ],
)
def test_a_job_is_named_by_its_path(path: tuple[str, ...], name: str) -> None:
    assert job_name(path) == name
