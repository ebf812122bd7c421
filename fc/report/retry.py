"""What becomes of a task after a try: done, again later, or given up. Pure."""

from typing import TypeAlias

import msgspec

from fc.forge.status_answers import Answer, Refused, Taken

FIRST_WAIT = 10.0
"""Seconds before the second try; doubled after each."""
LONGEST_WAIT = 3600.0
OLDEST = 3 * 86400.0
"""Seconds after which even a task that only rate limits hold up is given up: nobody waits for it any more."""


class Done(msgspec.Struct, frozen=True):
    """It was delivered."""


class Again(msgspec.Struct, frozen=True):
    """To be tried again."""

    reason: str
    wait: float
    """Seconds."""
    counts: bool
    """This try counts as one of those it has."""


class GivenUp(msgspec.Struct, frozen=True):
    """It will not be tried again."""

    reason: str


Decision: TypeAlias = Done | Again | GivenUp


def decide(answer: Answer, attempts: int, max_attempts: int, age: float, spread: float) -> Decision:
    """What to do after ``answer``.

    Args:
        answer: what came of this try.
        attempts: tries so far that count, this one included.
        max_attempts: how many it has.
        age: seconds since the task was planned.
        spread: from 0 to 1, at random: many tasks that failed together do not come back together.
    """
    if isinstance(answer, Taken):
        return Done()
    if isinstance(answer, Refused):
        return GivenUp(answer.reason)
    if age > OLDEST:
        return GivenUp(f"{answer.reason}; given up after {age / 86400:.0f} days")
    if answer.limited:
        # The target is well and says when: that is no failed attempt.
        return Again(answer.reason, (answer.after or FIRST_WAIT) + spread, counts=False)
    if attempts >= max_attempts:
        return GivenUp(f"{answer.reason}; given up after {attempts} attempts")
    wait = min(FIRST_WAIT * 2.0 ** min(attempts - 1, 30), LONGEST_WAIT) * (0.75 + spread / 2)
    return Again(answer.reason, max(wait, answer.after or 0.0), counts=True)
