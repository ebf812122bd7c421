"""Why a jobset is evaluated."""

import pytest

from fc.evaluate.cause import Previous, Requester, cause_of

BEFORE = Previous("a" * 40, {"lib": {"revision": "1"}})


@pytest.mark.parametrize("requester", ["push", "manual", "configuration"])
def test_who_asked_is_the_cause(requester: Requester) -> None:
    assert cause_of(requester, BEFORE, "b" * 40, {}) == requester


def test_without_anybody_asking_what_has_changed_is_the_cause() -> None:
    assert cause_of(None, None, "a" * 40, {}) == "configuration"
    assert cause_of(None, BEFORE, "b" * 40, BEFORE.inputs) == "poll"
    assert cause_of(None, BEFORE, "a" * 40, {"lib": {"revision": "2"}}) == "input"
    assert cause_of(None, BEFORE, "a" * 40, BEFORE.inputs) == "configuration"
