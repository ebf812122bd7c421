"""Plans for people and programs: text with field-level before and after, and JSON. Never a secret."""

from collections.abc import Iterable
from typing import Any

import msgspec
from rich.text import Text

from fc.config.diff import Change, Plan
from fc.config.language import KIND_BY_NAME
from fc.config.redaction import redacted_value

_SIGNS = {"create": "+", "update": "~", "delete": "-"}
_STYLES = {"create": "green", "update": "yellow", "delete": "red"}
_LONGEST = 200


def plan_json(plan: Plan, reasons: Iterable[str] = ()) -> dict[str, Any]:
    """A plan as JSON values, with the reasons for which it has to be confirmed."""
    return {
        "digest": plan.digest,
        "held": list(reasons),
        "summary": plan.summary,
        "changes": [
            {
                "action": change.action,
                "kind": change.kind,
                "key": change.key,
                "effect": effect(change),
                "file": change.file,
                "line": change.line,
                "fields": [
                    {"field": name, "before": before, "after": after, **_default(change, name)}
                    for name, before, after in field_changes(change)
                ],
            }
            for change in plan.changes
        ],
    }


def plan_text(plan: Plan, reasons: Iterable[str] = ()) -> Text:
    """A plan to read, coloured where the output can show it, with the reasons for which it has to be confirmed."""
    text = Text()
    for change in plan.changes:
        style = _STYLES[change.action]
        text.append(f"{_SIGNS[change.action]} {change.kind} {change.key}", style=f"bold {style}")
        text.append(f"  ({effect(change)}, {change.file}:{change.line})\n", style="dim")
        for name, before, after in field_changes(change):
            text.append(f"    {name}: ")
            if change.action == "update":
                text.append(_shown(before), style="red")
                text.append(" → ")
            text.append(_shown(before if change.action == "delete" else after), style=style)
            if name in change.defaulted:
                text.append(f"  (default, {change.defaulted[name]})", style="dim")
            text.append("\n")
    text.append(f"{summary_line(plan)}\n")
    for reason in reasons:
        text.append(f"held: {_shown(reason)}\n", style="bold red")
    return text


def summary_line(plan: Plan) -> str:
    """A plan in one line."""
    if not plan.changes:
        return "nothing to change"
    counted = plan.summary
    return f"{counted['create']} to create, {counted['update']} to update, {counted['delete']} to remove (plan {plan.short_digest})"


def applied_line(plan: Plan) -> str:
    """What was done, in one line."""
    counted = plan.summary
    return f"{counted['create']} created, {counted['update']} updated, {counted['delete']} removed"


def effect(change: Change) -> str:
    """What a change does to the row, in a word or two."""
    if change.action == "delete":
        return "disabled, its history is kept" if KIND_BY_NAME[change.kind].archived else "deleted"
    return "created" if change.action == "create" else "updated"


def field_changes(change: Change) -> list[tuple[str, Any, Any]]:
    """Name, before and after of each field that differs, with secrets redacted; new rows leave out what is empty."""
    listed = []
    for name in change.differing():
        before, after = (
            redacted_value((change.before or {}).get(name)),
            redacted_value((change.after or {}).get(name)),
        )
        if change.action == "update" and before == after:
            after = f"{after} (its value has changed)"
        if change.action == "update" or not (_is_empty(before) and _is_empty(after)):
            listed.append((name, before, after))
    return listed


def _default(change: Change, name: str) -> dict[str, str]:
    """Where a field's default stands, if that is what it is."""
    return {"default": change.defaulted[name]} if name in change.defaulted else {}


def _is_empty(value: Any) -> bool:
    return value in (None, "", [])


def _shown(value: Any) -> str:
    """A value on one line, without anything that a terminal would obey."""
    if value is None:
        return "none"
    text = value if isinstance(value, str) and value else msgspec.json.encode(value).decode()
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in cut)
