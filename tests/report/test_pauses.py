"""Who is left alone for a while."""

import uuid

from fc.forge.status_answers import Later, Refused, Taken
from fc.report.pauses import Pauses

TARGET = uuid.uuid4()
LIMITED = Later("rate limit", after=60.0, limited=True)
DOWN = Later("no answer", down=True)


def test_a_rate_limit_pauses_the_target_and_not_its_host() -> None:
    pauses = Pauses()
    pauses.note(LIMITED, TARGET, "h:443", 100.0)
    assert pauses.targets(159.0) == {TARGET}
    assert pauses.hosts(159.0) == frozenset()
    assert pauses.next_end(159.0) == 1.0
    assert pauses.targets(160.0) == frozenset()
    assert pauses.next_end(160.0) is None


def test_a_configuration_repository_is_a_target_too() -> None:
    pauses = Pauses()
    pauses.note(LIMITED, "team-a", "h:443", 100.0)
    assert pauses.targets(159.0) == {"team-a"}


def test_the_longest_of_several_limits_holds() -> None:
    pauses = Pauses()
    pauses.note(LIMITED, TARGET, "h:443", 100.0)
    pauses.note(Later("rate limit", limited=True), TARGET, "h:443", 101.0)
    assert pauses.targets(159.0) == {TARGET}


def test_a_limit_of_a_target_that_is_gone_pauses_nobody() -> None:
    pauses = Pauses()
    pauses.note(LIMITED, None, "h:443", 100.0)
    assert pauses.next_end(100.0) is None


def test_a_host_that_does_not_answer_is_paused_ever_longer_and_at_most_a_minute() -> None:
    pauses = Pauses()
    now = 0.0
    lengths = []
    for _ in range(6):
        pauses.note(DOWN, TARGET, "h:443", now)
        length = pauses.next_end(now)
        assert length is not None
        lengths.append(length)
        now += length
    assert lengths == [5, 10, 20, 40, 60, 60]


def test_trouble_of_one_target_alone_does_not_pause_its_host() -> None:
    pauses = Pauses()
    pauses.note(Later("secret 'x' is not known"), TARGET, "h:443", 100.0)
    assert pauses.next_end(100.0) is None


def test_tries_that_were_under_way_do_not_lengthen_the_pause() -> None:
    pauses = Pauses()
    for _ in range(4):
        pauses.note(DOWN, TARGET, "h:443", 100.0)
    assert pauses.hosts(104.0) == {"h:443"}
    assert pauses.hosts(105.0) == frozenset()


def test_an_answer_ends_the_pause_even_a_refusal() -> None:
    for answer in (Taken(), Refused("no")):
        pauses = Pauses()
        pauses.note(DOWN, TARGET, "h:443", 100.0)
        pauses.note(answer, TARGET, "h:443", 101.0)
        assert pauses.hosts(101.0) == frozenset()
        pauses.note(DOWN, TARGET, "h:443", 102.0)
        assert pauses.next_end(102.0) == 5.0
