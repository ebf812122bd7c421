"""Whether to try again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc.forge.status_answers import Answer, Later, Refused, Taken
from fc.report.retry import FIRST_WAIT, LONGEST_WAIT, OLDEST, Again, Done, GivenUp, decide


def again(answer: Answer, attempts: int = 1, age: float = 0.0, spread: float = 0.5) -> Again:
    decision = decide(answer, attempts, 12, age, spread)
    assert isinstance(decision, Again)
    return decision


def test_what_was_taken_is_done() -> None:
    assert decide(Taken(), 12, 12, OLDEST + 1, 0.5) == Done()


def test_what_was_refused_is_given_up_at_once() -> None:
    assert decide(Refused("no such repository"), 1, 12, 0.0, 0.5) == GivenUp("no such repository")


def test_waits_double_up_to_an_hour() -> None:
    assert [again(Later("busy"), attempts).wait for attempts in (1, 2, 3, 4)] == [10, 20, 40, 80]
    assert again(Later("busy"), 11).wait == LONGEST_WAIT
    assert again(Later("busy")).counts


def test_waits_are_spread() -> None:
    assert again(Later("busy"), spread=0.0).wait == FIRST_WAIT * 0.75
    assert again(Later("busy"), spread=1.0).wait == FIRST_WAIT * 1.25


def test_a_forge_may_ask_for_a_longer_wait_but_not_for_a_shorter_one() -> None:
    assert again(Later("maintenance", after=120.0)).wait == 120.0
    assert again(Later("maintenance", after=1.0)).wait == 10.0


def test_the_last_try_ends_it() -> None:
    assert decide(Later("busy"), 12, 12, 0.0, 0.5) == GivenUp("busy; given up after 12 attempts")


def test_a_rate_limit_waits_as_long_as_it_says_and_counts_for_nothing() -> None:
    decision = again(Later("rate limit", after=60.0, limited=True), attempts=12)
    assert (decision.wait, decision.counts) == (60.5, False)
    assert again(Later("rate limit", limited=True)).wait == FIRST_WAIT + 0.5


@pytest.mark.parametrize("limited", [True, False])
def test_nothing_waits_for_ever(limited: bool) -> None:
    decision = decide(Later("rate limit", limited=limited), 1, 12, OLDEST + 1, 0.5)
    assert decision == GivenUp("rate limit; given up after 3 days")


@given(
    st.builds(Later, st.just("x"), st.none() | st.floats(min_value=1, max_value=7200), st.booleans()),
    st.integers(min_value=1, max_value=10**6),
    st.floats(min_value=0, max_value=1),
)
def test_every_wait_is_positive_and_bounded(answer: Later, attempts: int, spread: float) -> None:
    decision = decide(answer, attempts, 10**7, 0.0, spread)
    assert isinstance(decision, Again)
    assert 1.0 <= decision.wait <= 7201.0
