"""What stands between a plan and its application: confirmations and sync windows. Pure."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from fc.config.diff import Plan
from fc.config.errors import PlanHeldError, PlanWaitingError

_SHOWN = 12


@dataclass(frozen=True, slots=True)
class Move:
    """A branch that no longer holds the commit in force."""

    was: str
    """The commit in force."""
    now: str
    """The commit at which the branch stands."""


@dataclass(frozen=True, slots=True)
class Gate:
    """Under which circumstances a plan is to be applied."""

    moved: Move | None = None
    """The branch was moved, and that has to be confirmed."""
    closed: bool = False
    """Whether nothing may be applied now."""
    opens_at: datetime | None = None
    """When it may; none: that cannot be foreseen."""
    by_person: str | None = None
    """The whole digest that somebody confirmed; a commit can confirm less."""


OPEN = Gate()
"""Nothing stands in the way but the plan itself."""


def pass_gate(
    plan: Plan, reasons: tuple[str, ...], gate: Gate, confirmed: Collection[str]
) -> tuple[str, ...]:
    """Let a plan through; for what it had to be confirmed.

    A plan that is held stays held, whether a window is open or not. What is confirmed is the plan; with a move the
    plan and both commits; to have it applied though no window is open, that it waits.

    Args:
        plan: what is to be applied.
        reasons: for which the plan itself has to be confirmed.
        gate: the circumstances.
        confirmed: digests of plans, or their beginnings, that commits or arguments name.

    Raises:
        PlanHeldError: it has to be confirmed, and was not.
        PlanWaitingError: no window is open.
    """
    digest = plan.digest
    if gate.moved is not None:
        reasons = (_moved(gate.moved), *reasons)
        digest = _bound("moved", digest, gate.moved.was, gate.moved.now)
    waiting = _bound("waiting", digest)
    if gate.by_person == waiting:
        return reasons
    by_commit = gate.moved is None
    passed = gate.by_person == digest or (by_commit and plan.confirmed_by(confirmed))
    if reasons and not passed:
        raise PlanHeldError(plan, reasons, digest, by_commit=by_commit)
    if gate.closed and plan.changes:
        raise PlanWaitingError(plan, reasons, waiting, digest, gate.opens_at)
    return reasons


def _moved(move: Move) -> str:
    return f"the branch was moved to {move.now[:_SHOWN]}, which does not contain {move.was[:_SHOWN]}, the commit in force"


def _bound(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
