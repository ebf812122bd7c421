"""Check runs of previews: the status of a pull request, with its plan to read and remarks beside its lines. Pure."""

import posixpath
from collections.abc import Iterable

import msgspec

from fc.forge.github_checks import LONGEST_SUMMARY, Annotation, Conclusion
from fc.forge.markdown import code_span
from fc.report.configuration_plan import ChangeFacts, PreviewFacts, ProblemFacts, preview_status
from fc.report.plan import Message

ANNOTATIONS = 200
"""Of one check run; they are sent by fifties, and nobody reads more. The summary lists the rest."""
_LISTED = 1_000
"""Lines of a list in the summary."""
_ROOM = 2_000
"""Bytes of the summary that are kept free for what stands around the list."""
_FIELDS_NAMED = 8

_CONCLUSIONS: dict[str, Conclusion] = {
    "planned": "success",
    "held": "action_required",
    "failed": "failure",
}


def preview_check(preview: PreviewFacts, public_url: str, path: str) -> Message | None:
    """The check run of a pull request's head; none: there is nothing to say.

    Args:
        preview: how it went.
        public_url: where FC's pages are, without a slash at the end.
        path: of the source, from the top of its repository.
    """
    message = preview_status(preview, public_url)
    if message is None:
        return None
    content = message.content | {
        "conclusion": _CONCLUSIONS.get(preview.status),
        "summary": summarise(preview, path),
        "annotations": [msgspec.to_builtins(one) for one in annotate(preview, path)],
    }
    if preview.reruns:
        # Whoever asked again is to get an answer, though it be in the same words.
        content["again"] = preview.reruns
    return msgspec.structs.replace(message, content=content)


def annotate(preview: PreviewFacts, path: str) -> list[Annotation]:
    """What is remarked at lines of the head: every error, or every change. A removal has no line there."""
    found: list[Annotation] = []
    if preview.status == "failed":
        found = [
            _error(one, where) for one in preview.errors if (where := place_of(path, one.file, one.line))
        ]
    elif preview.status in {"planned", "held"}:
        found = [
            _change(one, where)
            for one in preview.plan.changes
            if one.action != "delete" and (where := place_of(path, one.file, one.line))
        ]
    return found[:ANNOTATIONS]


def place_of(path: str, file: str | None, line: int | None) -> tuple[str, int] | None:
    """A file from the top of the repository and a line in it; none: there is no such place."""
    if not file or not line or line < 1 or file.startswith("/"):
        return None
    whole = posixpath.normpath(posixpath.join(path.strip("/"), file))
    return None if whole.startswith("..") and whole.split("/")[0] == ".." else (whole, line)


def summarise(preview: PreviewFacts, path: str) -> str:
    """The preview in Markdown. Nothing that others wrote is obeyed in it."""
    plan = preview.plan
    match preview.status:
        case "failed":
            text = [] if preview.errors else [code_span(preview.message or "It could not be planned.")]
            return _joined(text, [_error_line(one, path) for one in preview.errors])
        case "held":
            reasons = plan.reasons or (preview.message or "it has to be confirmed",)
            confirm = code_span(f"fcctl confirm {plan.short_digest}")
            text = [
                f"Once it is merged, this plan is held until somebody confirms it with {confirm}, because",
                "\n".join(f"- {code_span(reason)}" for reason in reasons[:20]),
            ]
            return _joined(text, _change_lines(plan.changes, path), plan.more)
        case "planned":
            text = [] if plan.changes else ["Nothing would change."]
            return _joined(text, _change_lines(plan.changes, path), plan.more)
        case _:
            return "What would change is being planned."


def _change_lines(changes: Iterable[ChangeFacts], path: str) -> list[str]:
    """Removals first: they have no remark in the files."""
    return [_change_line(one, path) for one in sorted(changes, key=lambda one: one.action != "delete")]


def _change_line(change: ChangeFacts, path: str) -> str:
    where = place_of(path, change.file, change.line)
    stood = "was at " if change.action == "delete" else ""
    place = f" ({stood}{code_span(f'{where[0]}:{where[1]}')})" if where else ""
    named = _fields(change)
    return f"- {code_span(f'{change.action} {_kind(change)}')} {code_span(change.key)}{f': {code_span(named)}' if named else ''}{place}"


def _error_line(problem: ProblemFacts, path: str) -> str:
    where = place_of(path, problem.file, problem.line)
    place = f"{code_span(f'{where[0]}:{where[1]}:{problem.column}')} " if where else ""
    return f"- {place}{code_span(problem.message)}"


def _error(problem: ProblemFacts, where: tuple[str, int]) -> Annotation:
    return Annotation(
        path=where[0],
        line=where[1],
        column=problem.column if problem.column >= 1 else None,
        level="failure",
        title="Configuration error",
        message=problem.message or "It cannot be read",
    )


def _change(change: ChangeFacts, where: tuple[str, int]) -> Annotation:
    named = _fields(change)
    title = f"{change.action} {_kind(change)} {change.key}"
    return Annotation(
        path=where[0],
        line=where[1],
        level="notice",
        title=title,
        message=f"Merging this would {title}{f': {named}' if named else ''}",
    )


def _fields(change: ChangeFacts) -> str:
    """The fields that an update changes; of anything else all are new, or gone."""
    if change.action != "update":
        return ""
    names = [one.field for one in change.fields]
    more = len(names) - _FIELDS_NAMED
    return ", ".join(names[:_FIELDS_NAMED]) + (f" and {more} more" if more > 0 else "")


def _kind(change: ChangeFacts) -> str:
    return change.kind.replace("_", " ")


def _joined(text: list[str], lines: list[str], more: int = 0) -> str:
    """Paragraphs and a list, as much of it as a summary may have; ``more``: lines that are known by number only."""
    room = LONGEST_SUMMARY - _ROOM - sum(len(part.encode()) for part in text)
    shown = []
    for line in lines[:_LISTED]:
        room -= len(line.encode()) + 1
        if room < 0:
            break
        shown.append(line)
    rest = len(lines) - len(shown) + more
    parts = [*text, "\n".join(shown), f"… and {rest} more, which FC's page lists." if rest else ""]
    return "\n\n".join(part for part in parts if part)
