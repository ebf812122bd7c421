"""Plans for people and programs: text with field-level before and after, and JSON. Never a secret."""

from collections.abc import Iterable
from typing import Any

import msgspec
from rich.text import Text

from fc.config.diff import Action, Plan
from fc.config.plan_view import PlanView, view

_SIGNS = {"create": "+", "update": "~", "delete": "-", "rename": "→", "adopt": "="}
_STYLES = {"create": "green", "update": "yellow", "delete": "red", "rename": "cyan", "adopt": "magenta"}
_LONGEST = 200


def plan_json(plan: Plan, reasons: Iterable[str] = ()) -> dict[str, Any]:
    """A plan as JSON values, with the reasons for which it has to be confirmed."""
    made: dict[str, Any] = msgspec.to_builtins(view(plan, reasons))
    return made


def plan_text(plan: Plan, reasons: Iterable[str] = ()) -> Text:
    """A plan to read, coloured where the output can show it, with the reasons for which it has to be confirmed."""
    return view_text(view(plan, reasons))


def view_text(plan: PlanView) -> Text:
    """As ``plan_text``, of a plan that may come from elsewhere."""
    text = Text()
    for change in plan.changes:
        style = _STYLES[change.action]
        text.append(
            f"{_SIGNS[change.action]} {printable(change.kind)} {printable(change.key)}", f"bold {style}"
        )
        text.append(f"  ({printable(change.effect)}, {printable(change.file)}:{change.line})\n", style="dim")
        for field in change.fields:
            text.append(f"    {printable(field.field)}: ")
            if change.action not in {"create", "delete"}:
                text.append(shown(field.before), style="red")
                text.append(" → ")
            text.append(shown(field.before if change.action == "delete" else field.after), style=style)
            if field.default is not None:
                text.append(f"  (default, {printable(field.default)})", style="dim")
            text.append("\n")
    text.append(f"{summary_line(plan)}\n")
    for reason in plan.held:
        text.append(f"held: {shown(reason)}\n", style="bold red")
    return text


def summary_line(plan: Plan | PlanView) -> str:
    """A plan in one line."""
    if not plan.changes:
        return "nothing to change"
    counted = plan.summary
    named = f" (plan {plan.short_digest})" if plan.digest else ""
    return f"{counted['create']} to create, {counted['update']} to update, {counted['delete']} to remove{_seldom(plan, 'to rename', 'to adopt')}{named}"


def applied_line(plan: Plan) -> str:
    """What was done, in one line."""
    counted = plan.summary
    return f"{counted['create']} created, {counted['update']} updated, {counted['delete']} removed{_seldom(plan, 'renamed', 'adopted')}"


def shown(value: Any) -> str:
    """A value on one line, cut when it is long, without anything that a terminal would obey."""
    if value is None:
        return "none"
    text = value if isinstance(value, str) and value else msgspec.json.encode(value).decode()
    return printable(text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…")


def printable(text: str) -> str:
    """``text`` without anything that a terminal would obey."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode("ascii") for one in text)


def _seldom(plan: Plan | PlanView, renamed: str, adopted: str) -> str:
    """The actions that most plans have none of."""
    words: tuple[tuple[Action, str], ...] = (("rename", renamed), ("adopt", adopted))
    return "".join(f", {plan.summary[action]} {word}" for action, word in words if action in plan.summary)
