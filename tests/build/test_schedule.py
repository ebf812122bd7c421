"""Which derivation is built next, and where."""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from fc.build.schedule import (
    Assignment,
    Candidate,
    Demand,
    Shape,
    Slots,
    Waiting,
    open_to,
    plan,
    startable,
    why_waiting,
)

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
LINUX = "x86_64-linux"
ARM = "aarch64-linux"
JOBSETS = [uuid.UUID(int=number) for number in range(1, 9)]


def builder(name: str = "big-1", **fields: Any) -> Slots:
    given: dict[str, Any] = {
        "id": uuid.uuid5(uuid.NAMESPACE_DNS, name),
        "systems": frozenset({LINUX}),
        "max_jobs": 1,
    }
    return Slots(name=name, **(given | fields))


def local(**fields: Any) -> Slots:
    return builder("local", **({"id": None} | fields))


def demand(jobset: int = 0, **fields: Any) -> Demand:
    given: dict[str, Any] = {"jobset_id": JOBSETS[jobset], "shares": 100, "wanted_since": NOW}
    return Demand(**(given | fields))


def candidate(number: int, *demands: Demand, **fields: Any) -> Candidate:
    given: dict[str, Any] = {"shape": Shape(LINUX), "path_length": 0, "demands": demands or (demand(),)}
    return Candidate(derivation_id=uuid.UUID(int=1000 + number), drv_path=f"drv-{number}", **(given | fields))


def placed(assignments: Iterable[Assignment]) -> list[tuple[str, str]]:
    return [(one.candidate.drv_path, one.builder.name) for one in assignments]


def order(*candidates: Candidate, usage: dict[uuid.UUID, float] | None = None) -> list[str]:
    builders = [builder(max_jobs=len(candidates))]
    return [one.candidate.drv_path for one in plan(candidates, builders, usage or {}, NOW)]


def test_nothing_is_assigned_when_nothing_is_ready_or_nobody_builds() -> None:
    assert plan([], [builder()], {}, NOW) == []
    assert plan([candidate(1)], [], {}, NOW) == []


def test_global_priority_comes_before_everything_else() -> None:
    urgent = candidate(2, demand(1, global_priority=1))
    assert order(candidate(1, path_length=900), urgent, usage={JOBSETS[1]: 1e6}) == ["drv-2", "drv-1"]


def test_the_jobset_with_the_smallest_usage_for_its_shares_comes_next() -> None:
    many = candidate(1, demand(0, shares=1000))
    few = candidate(2, demand(1, shares=10))
    usage = {JOBSETS[0]: 5000.0, JOBSETS[1]: 100.0}
    assert order(few, many, usage=usage) == ["drv-1", "drv-2"]


def test_a_derivation_that_two_jobsets_need_goes_by_the_one_that_is_further_behind() -> None:
    shared = candidate(2, demand(0), demand(1))
    usage = {JOBSETS[0]: 5000.0}
    assert order(candidate(1, demand(0), path_length=9), shared, usage=usage) == ["drv-2", "drv-1"]


def test_then_the_longest_path_then_local_priority_then_age() -> None:
    older = NOW - timedelta(minutes=1)
    candidates = [
        candidate(1, demand()),
        candidate(2, demand(wanted_since=older)),
        candidate(3, demand(local_priority=5)),
        candidate(4, demand(), path_length=7),
    ]
    builders = [builder(max_jobs=4)]
    # One jobset: what it has got so far is the same for all four.
    assert [one.candidate.drv_path for one in plan(candidates, builders, {}, NOW)] == [
        "drv-4",
        "drv-3",
        "drv-2",
        "drv-1",
    ]


def test_slots_that_are_free_at_one_moment_are_shared_out_by_shares() -> None:
    candidates = [candidate(number, demand(0, shares=300)) for number in range(8)]
    candidates += [candidate(100 + number, demand(1, shares=100)) for number in range(8)]
    assignments = plan(candidates, [builder(max_jobs=8)], {}, NOW)
    first = sum(one.candidate.demands[0].jobset_id == JOBSETS[0] for one in assignments)
    assert (len(assignments), first) == (8, 6)


def test_shares_of_nothing_count_as_one() -> None:
    assert order(candidate(1, demand(0, shares=0))) == ["drv-1"]


def test_no_builder_gets_more_than_its_slots() -> None:
    candidates = [candidate(number) for number in range(9)]
    assignments = plan(candidates, [builder("a", max_jobs=3, running=1), builder("b", max_jobs=2)], {}, NOW)
    assert sorted(name for _, name in placed(assignments)) == ["a", "a", "b", "b"]


def test_blocked_candidates_never_keep_others_waiting() -> None:
    blocked = [
        candidate(number, demand(global_priority=9), shape=Shape(ARM), path_length=99) for number in range(50)
    ]
    builders = [builder(), builder("arm", systems=frozenset({ARM}), running=1)]
    assert placed(plan([*blocked, candidate(99)], builders, {}, NOW)) == [("drv-99", "big-1")]


def test_the_fastest_builder_is_chosen_then_the_emptiest() -> None:
    slow = builder("slow", max_jobs=8)
    half = builder("half", max_jobs=4, running=2, speed_factor=3)
    empty = builder("quarter", max_jobs=4, running=1, speed_factor=3)
    assert placed(plan([candidate(1)], [slow, half, empty], {}, NOW)) == [("drv-1", "quarter")]


def test_what_prefers_the_head_waits_for_it_where_it_can_build_it() -> None:
    shape = Shape(LINUX, prefer_local=True)
    busy = local(running=1)
    assert plan([candidate(1, shape=shape)], [busy, builder()], {}, NOW) == []
    assert placed(plan([candidate(1, shape=shape)], [local(), builder()], {}, NOW)) == [("drv-1", "local")]
    foreign = local(systems=frozenset({ARM}))
    assert placed(plan([candidate(1, shape=shape)], [foreign, builder()], {}, NOW)) == [("drv-1", "big-1")]


@pytest.mark.parametrize(
    ("given", "shape", "fits"),
    [
        ({}, Shape(LINUX), True),
        ({}, Shape(ARM), False),
        ({}, Shape("builtin"), True),
        ({"max_jobs": 0}, Shape(LINUX), False),
        ({}, Shape(LINUX, frozenset({"kvm"})), False),
        ({"supported_features": frozenset({"kvm"})}, Shape(LINUX, frozenset({"kvm"})), True),
        ({"mandatory_features": frozenset({"kvm"})}, Shape(LINUX, frozenset({"kvm"})), True),
        ({"mandatory_features": frozenset({"kvm"})}, Shape(LINUX), False),
    ],
)
def test_a_builder_fits_by_system_and_features(given: dict[str, Any], shape: Shape, fits: bool) -> None:
    assert builder(**given).fits(shape) is fits


def test_a_disabled_or_backing_off_builder_gets_nothing() -> None:
    later = NOW + timedelta(seconds=1)
    assert builder(enabled=False).free(NOW) == 0
    assert builder(disabled_until=later).free(NOW) == 0
    assert builder(disabled_until=NOW).free(NOW) == 1


def test_after_a_failure_one_build_is_tried_alone() -> None:
    tried = builder(max_jobs=8, failures=2)
    assert tried.free(NOW) == 1
    assert builder(max_jobs=8, failures=2, running=1).free(NOW) == 0
    assert len(plan([candidate(1), candidate(2)], [tried], {}, NOW)) == 1


def test_what_was_lost_on_one_builder_goes_to_another() -> None:
    builders = [builder("a", speed_factor=9), builder("b")]
    assert placed(plan([candidate(1, avoid="a")], builders, {}, NOW)) == [("drv-1", "b")]
    busy = [builder("a"), builder("b", running=1)]
    assert plan([candidate(1, avoid="a")], busy, {}, NOW) == []


def test_what_was_lost_goes_back_to_the_same_builder_when_there_is_no_other() -> None:
    later = NOW + timedelta(minutes=5)
    for other in (
        builder("b", enabled=False),
        builder("b", disabled_until=later, failures=1),
        builder("b", failures=1),
    ):
        assert ("drv-1", "a") in placed(plan([candidate(1, avoid="a")], [builder("a"), other], {}, NOW))


def test_only_shapes_that_could_begin_now_are_worth_reading() -> None:
    shapes = [Shape(LINUX), Shape(ARM), Shape(LINUX, prefer_local=True)]
    builders = [local(running=1), builder(), builder("arm", systems=frozenset({ARM}), enabled=False)]
    assert startable(shapes, builders, NOW) == [Shape(LINUX)]
    assert [one.name for one in open_to(Shape(ARM), builders)] == ["arm"]


def reason(*builders: Slots, shape: Shape | None = None, **fields: Any) -> str:
    return why_waiting(Waiting(shape=shape or Shape(LINUX), **fields), builders, NOW)


def test_why_a_build_waits_for_its_inputs() -> None:
    assert reason(queued=False) == "It was recorded just now and is about to be queued."
    assert reason(missing_inputs=1) == "It waits for one input."
    assert reason(missing_inputs=1, inputs=["zlib"]) == "It waits for one input: zlib."
    assert reason(missing_inputs=2, inputs=["a", "b"]) == "It waits for 2 inputs: a and b."
    assert reason(missing_inputs=9, inputs=list("abcde")) == "It waits for 9 inputs: a, b, c and 6 more."


def test_why_a_build_waits_for_its_next_attempt() -> None:
    later = NOW + timedelta(seconds=90)
    assert (
        reason(builder(), attempts=2, next_attempt_at=later, last_error="big-1: connection lost")
        == "Attempt 2 was lost: big-1: connection lost. The next one is at 12:01:30 UTC."
    )
    assert (
        reason(builder(), attempts=1, next_attempt_at=later)
        == "Attempt 1 was lost. The next one is at 12:01:30 UTC."
    )


def test_why_a_build_waits_that_nobody_can_build() -> None:
    kvm = Shape(LINUX, frozenset({"kvm"}))
    assert reason(builder(), shape=Shape(ARM)) == "No builder has the system aarch64-linux."
    assert reason(local(max_jobs=0)) == "No builder has the system x86_64-linux."
    assert reason(builder(), shape=kvm) == "No builder for x86_64-linux has the feature kvm."
    two = Shape("builtin", frozenset({"kvm", "benchmark"}))
    assert reason(builder(), shape=two) == "No builder for builtin has the features benchmark and kvm."
    reserved = builder(mandatory_features=frozenset({"kvm"}))
    assert reason(reserved) == "Every builder for x86_64-linux is reserved: big-1 for kvm."


def test_why_a_build_waits_whose_builders_are_away() -> None:
    later = NOW + timedelta(minutes=2)
    away = builder("a", disabled_until=later, failures=1, last_error="connection refused")
    assert (
        reason(away, builder("b", enabled=False))
        == "No builder that fits is to be had: a is backing off until 12:02:00 UTC (connection refused) and b is disabled."
    )
    quiet = builder("a", disabled_until=later)
    assert reason(quiet) == "No builder that fits is to be had: a is backing off until 12:02:00 UTC."


def test_why_a_build_waits_for_a_slot() -> None:
    assert reason(builder()) == "A slot is free for it; it begins when its turn comes."
    tried = builder("b", max_jobs=8, running=1, failures=1)
    assert (
        reason(builder("a", running=1), tried)
        == "Every builder that fits is busy: a builds 1 of at most 1 and b is on trial after a failure."
    )
