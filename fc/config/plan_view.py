"""A plan as people and programs are shown it: one shape for the command line, JSON and the API. Never a secret."""

from collections.abc import Iterable
from typing import Any

import msgspec

from fc.config.diff import DIGEST_SHOWN, Action, Change, Plan
from fc.config.language import KIND_BY_NAME
from fc.config.redaction import redacted_value


class FieldView(msgspec.Struct, frozen=True, omit_defaults=True):
    """One field that differs."""

    field: str
    before: Any
    after: Any
    default: str | None = None
    """Where the default stands that gives it; none: the declaration writes it itself."""


class ChangeView(msgspec.Struct, frozen=True, omit_defaults=True):
    """What happens to one resource."""

    action: Action
    kind: str
    key: str
    effect: str
    """What that does to the row, in a word or two."""
    file: str
    line: int
    fields: list[FieldView]
    was: str | None = None
    """The key it had, if it gets another one."""


class PlanView(msgspec.Struct, frozen=True):
    """Everything that has to happen, and why it would have to be confirmed."""

    digest: str
    held: list[str]
    """Reasons for which it has to be confirmed; none: it need not be."""
    summary: dict[Action, int]
    """How many of each action."""
    changes: list[ChangeView]

    @property
    def short_digest(self) -> str:
        """Enough of the digest to name this plan."""
        return self.digest[:DIGEST_SHOWN]


def view(plan: Plan, reasons: Iterable[str] = ()) -> PlanView:
    """``plan``, with the reasons for which it has to be confirmed."""
    return PlanView(plan.digest, list(reasons), plan.summary, [_change(change) for change in plan.changes])


def _change(change: Change) -> ChangeView:
    return ChangeView(
        change.action,
        change.kind,
        change.key,
        _effect(change),
        change.file,
        change.line,
        [FieldView(*field, change.defaulted.get(field[0])) for field in _field_changes(change)],
        change.was,
    )


def _effect(change: Change) -> str:
    match change.action:
        case "create":
            return "created"
        case "update":
            return "updated"
        case "delete":
            kept = KIND_BY_NAME[change.kind].archived
            gone = "deleted with its history" if kept else "deleted"
            return gone if change.destroys else "disabled, its history is kept"
        case "rename":
            return f"renamed from {change.was}"
        case "adopt":
            return "taken over from whoever made it by hand"


def _field_changes(change: Change) -> list[tuple[str, Any, Any]]:
    """Name, before and after of each field that differs, with secrets redacted; new rows leave out what is empty."""
    listed = []
    for name in change.differing():
        before, after = (
            redacted_value((change.before or {}).get(name)),
            redacted_value((change.after or {}).get(name)),
        )
        both = change.before is not None and change.after is not None
        if both and before == after:
            after = f"{after} (its value has changed)"
        if both or not (_is_empty(before) and _is_empty(after)):
            listed.append((name, before, after))
    return listed


def _is_empty(value: Any) -> bool:
    return value in (None, "", [])
