"""Problems and plans as workflow commands of GitHub Actions, which show them beside the lines they are about. Pure."""

from collections.abc import Callable, Iterable
from typing import Literal

from fc.base.problems import Problem
from fc.config.plan_view import ChangeView, PlanView
from fc.config.render import printable, shown, summary_line

MOST_ANNOTATIONS = 10
"""GitHub shows no more of one level for a step."""
Level = Literal["error", "warning", "notice"]
_LEVELS: tuple[Level, ...] = ("error", "warning", "notice")
_Annotation = tuple[Level, dict[str, object], str]
Locate = Callable[[str], str]
"""The path of a file of the tree, from the root of the checkout."""


def problem_commands(problems: Iterable[Problem], locate: Locate, closing: str) -> list[str]:
    """Lines that show every problem at its place, and ``closing`` after them."""
    annotations: list[_Annotation] = [
        (
            "error",
            {"file": locate(one.file), "line": one.line, "col": one.column, "title": "FC configuration"},
            one.message,
        )
        for one in problems
    ]
    return [*_commands(annotations), plain_line(closing)]


def plan_commands(plan: PlanView, locate: Locate) -> list[str]:
    """Lines that show each change where it is declared, or was; what removes or is held as a warning."""
    annotations: list[_Annotation] = [
        ("warning", {"title": " ".join(filter(None, ("Plan", plan.short_digest, "is held")))}, reason)
        for reason in plan.held
    ]
    annotations += [
        (
            "warning" if change.action == "delete" else "notice",
            {
                "file": locate(change.file),
                "line": change.line,
                "title": f"{change.action} {change.kind} {change.key}",
            },
            _said(change),
        )
        for change in plan.changes
    ]
    return [*_commands(annotations), plain_line(summary_line(plan))]


def error_command(message: str) -> str:
    """A line that shows what went wrong at no place in particular."""
    return _command(("error", {"title": "fcctl"}, message))


def plain_line(text: str) -> str:
    """A line of the log that GitHub takes for no command, whatever stands in it."""
    line = printable(text).replace("##[", "## [")
    return f"- {line}" if line.lstrip().startswith("::") else line


def _said(change: ChangeView) -> str:
    """What a change does, field by field."""
    lines = [change.effect]
    if change.action not in {"create", "delete"}:
        lines += [f"{one.field}: {shown(one.before)} → {shown(one.after)}" for one in change.fields]
    elif change.action == "create":
        lines += [f"{one.field}: {shown(one.after)}" for one in change.fields]
    return "\n".join(lines)


def _commands(annotations: Iterable[_Annotation]) -> list[str]:
    """Commands by level; of more than are shown, the rest as plain lines that the last command counts."""
    by_level: dict[Level, list[_Annotation]] = {level: [] for level in _LEVELS}
    for one in annotations:
        by_level[one[0]].append(one)
    lines = []
    for level, found in by_level.items():
        fit = len(found) if len(found) <= MOST_ANNOTATIONS else MOST_ANNOTATIONS - 1
        lines += [_command(one) for one in found[:fit]]
        rest = found[fit:]
        if rest:
            many = f"{len(rest)} more like these; the log of this step lists them"
            lines.append(_command((level, {"title": "fcctl"}, many)))
            lines += [_plain(one) for one in rest]
    return lines


def _command(annotation: _Annotation) -> str:
    level, properties, message = annotation
    written = ",".join(f"{name}={_property(str(value))}" for name, value in properties.items())
    return f"::{level} {written}::{_data(message)}"


def _plain(annotation: _Annotation) -> str:
    level, properties, message = annotation
    place = ":".join(str(properties[one]) for one in ("file", "line", "col") if one in properties)
    title = f"{properties['title']}: " if level != "error" else ""
    return plain_line(f"- {place}: {title}{message.splitlines()[0] if message else ''}")


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
