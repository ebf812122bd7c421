"""Plans for people and programs: text with field-level before and after, and JSON. Never a secret."""

from collections.abc import Iterable
from typing import Any

import msgspec
from rich.text import Text

from fc.config.diff import Action, Change, Plan
from fc.config.language import KIND_BY_NAME
from fc.config.redaction import redacted_value

_SIGNS = {"create": "+", "update": "~", "delete": "-", "rename": "→", "adopt": "="}
_STYLES = {"create": "green", "update": "yellow", "delete": "red", "rename": "cyan", "adopt": "magenta"}
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
                **({"was": change.was} if change.was is not None else {}),
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
            if change.before is not None and change.after is not None:
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
    return f"{counted['create']} to create, {counted['update']} to update, {counted['delete']} to remove{_seldom(plan, 'to rename', 'to adopt')} (plan {plan.short_digest})"


def applied_line(plan: Plan) -> str:
    """What was done, in one line."""
    counted = plan.summary
    return f"{counted['create']} created, {counted['update']} updated, {counted['delete']} removed{_seldom(plan, 'renamed', 'adopted')}"


def _seldom(plan: Plan, renamed: str, adopted: str) -> str:
    """The actions that most plans have none of."""
    words: tuple[tuple[Action, str], ...] = (("rename", renamed), ("adopt", adopted))
    return "".join(f", {plan.summary[action]} {word}" for action, word in words if action in plan.summary)


def effect(change: Change) -> str:
    """What a change does to the row, in a word or two."""
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
            return "taken over from whoever had it before"


def field_changes(change: Change) -> list[tuple[str, Any, Any]]:
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
