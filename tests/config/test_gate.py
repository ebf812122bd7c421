"""What lets a plan through: who may confirm what, and when."""

from datetime import UTC, datetime

import pytest

from fc.config.diff import Plan, diff
from fc.config.errors import PlanHeldError, PlanWaitingError
from fc.config.gate import OPEN, Gate, Move, pass_gate
from tests.config.test_guards import roles
from tests.support.configuration import sealed

LARGE = ("it would remove much",)
MOVE = Move("a" * 40, "b" * 40)
SOON = datetime(2026, 1, 1, tzinfo=UTC)
PLAN = diff([], sealed(roles(1)).resources)
EMPTY = Plan((), "0" * 64, 0)


def held(plan: Plan, reasons: tuple[str, ...], gate: Gate, *confirmed: str) -> PlanHeldError:
    with pytest.raises(PlanHeldError) as caught:
        pass_gate(plan, reasons, gate, confirmed)
    return caught.value


def waiting(plan: Plan, reasons: tuple[str, ...], gate: Gate, *confirmed: str) -> PlanWaitingError:
    with pytest.raises(PlanWaitingError) as caught:
        pass_gate(plan, reasons, gate, confirmed)
    return caught.value


def test_a_plan_without_reasons_passes() -> None:
    assert pass_gate(PLAN, (), OPEN, ()) == ()


def test_a_plan_with_reasons_is_confirmed_by_a_commit_or_a_person() -> None:
    assert held(PLAN, LARGE, OPEN).digest == PLAN.digest
    assert held(PLAN, LARGE, OPEN, "0" * 12).by_commit
    assert pass_gate(PLAN, LARGE, OPEN, [PLAN.short_digest]) == LARGE
    assert pass_gate(PLAN, LARGE, Gate(by_person=PLAN.digest), ()) == LARGE


@pytest.mark.parametrize("plan", [PLAN, EMPTY])
def test_a_move_is_confirmed_by_a_person_alone(plan: Plan) -> None:
    error = held(plan, (), Gate(MOVE), plan.digest, plan.short_digest)
    assert not error.by_commit
    assert "FC-Confirm" not in str(error)
    assert error.reasons[0].startswith(
        "the branch was moved to bbbbbbbbbbbb, which does not contain aaaaaaaaaaaa"
    )
    held(plan, (), Gate(MOVE), error.digest)
    held(plan, (), Gate(MOVE, by_person=plan.digest))
    assert pass_gate(plan, (), Gate(MOVE, by_person=error.digest), ()) == error.reasons


def test_a_confirmation_of_a_move_is_of_both_commits_and_of_the_plan() -> None:
    digest = held(PLAN, (), Gate(MOVE)).digest
    for other in (Move("a" * 40, "c" * 40), Move("c" * 40, "b" * 40)):
        assert held(PLAN, (), Gate(other, by_person=digest)).digest != digest
    held(EMPTY, (), Gate(MOVE, by_person=digest))


def test_a_confirmed_move_also_confirms_what_the_plan_removes() -> None:
    error = held(PLAN, LARGE, Gate(MOVE))
    assert error.reasons[1:] == LARGE
    assert pass_gate(PLAN, LARGE, Gate(MOVE, by_person=error.digest), ()) == error.reasons


def test_without_an_open_window_a_plan_waits_unless_it_is_empty() -> None:
    error = waiting(PLAN, (), Gate(closed=True, opens_at=SOON))
    assert error.opens_at == SOON
    assert "opens at 2026-01-01 00:00:00 UTC" in str(error)
    assert "none is foreseen" in str(waiting(PLAN, (), Gate(closed=True)))
    assert pass_gate(EMPTY, (), Gate(closed=True), ()) == ()


def test_a_person_has_a_plan_applied_though_no_window_is_open_and_a_commit_does_not() -> None:
    error = waiting(PLAN, (), Gate(closed=True))
    assert waiting(PLAN, (), Gate(closed=True), error.digest, PLAN.digest).digest == error.digest
    assert pass_gate(PLAN, (), Gate(closed=True, by_person=error.digest), ()) == ()


def test_a_plan_that_is_held_stays_held_and_waits_when_it_is_confirmed() -> None:
    shut = Gate(closed=True, opens_at=SOON)
    assert held(PLAN, LARGE, shut).digest == PLAN.digest
    by_commit = waiting(PLAN, LARGE, shut, PLAN.digest)
    by_person = waiting(PLAN, LARGE, Gate(closed=True, by_person=PLAN.digest))
    assert by_commit.digest == by_person.digest != PLAN.digest
    assert by_person.passed == PLAN.digest
    assert pass_gate(PLAN, LARGE, Gate(closed=True, by_person=by_person.digest), ()) == LARGE


def test_a_move_without_an_open_window_is_confirmed_twice() -> None:
    first = held(PLAN, (), Gate(MOVE, closed=True))
    second = waiting(PLAN, (), Gate(MOVE, closed=True, by_person=first.digest))
    assert second.passed == first.digest
    assert pass_gate(PLAN, (), Gate(MOVE, closed=True, by_person=second.digest), ()) == first.reasons
