"""Configuration as pages show it: states in words, scopes in words, changes field by field."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from fc.tables.configuration_queries import ConfigChange, ConfigRevision, ConfigSource
from fc.tables.pause_queries import ConfigPause
from fc.web.shown_values import show_value

WORDS = {
    "create": "added",
    "update": "changed",
    "delete": "removed",
    "rename": "renamed",
    "adopt": "adopted",
}
TONES = {"create": "good", "update": "busy", "delete": "bad", "rename": "busy", "adopt": "busy"}
_LONGEST_VALUE = 2000
_URGENCY = {
    state: number
    for number, state in enumerate(
        ("failed", "held", "pinned", "paused", "waiting", "unread", "synced", "retired")
    )
}


@dataclass(frozen=True, slots=True)
class Changed:
    """A changed resource with its fields, line by line."""

    kind: str
    key: str
    action: str
    file: str | None
    line: int | None
    lines: list[tuple[str, str, str]]
    """``same``, ``old`` or ``new``; the field's name; its value."""


@dataclass(frozen=True, slots=True)
class ShownSource:
    """A source, and what stops it, if anything does."""

    row: ConfigSource
    pause: ConfigPause | None

    @property
    def state(self) -> str:
        """Its status, or ``retired``, ``pinned`` or ``paused``: what matters most."""
        if not self.row.active:
            return "retired"
        if self.pause is not None:
            return "paused" if self.pause.pinned_revision_id is None else "pinned"
        return "unread" if self.row.status == "pending" else self.row.status

    @property
    def followed(self) -> bool:
        """Whether it will be looked at again by itself."""
        return self.row.active and self.pause is None


def shown_sources(rows: Iterable[ConfigSource], pauses: Iterable[ConfigPause]) -> list[ShownSource]:
    """Sources with their pauses, in the order they came."""
    by_source = {pause.source: pause for pause in pauses}
    return [ShownSource(row, by_source.get(row.name)) for row in rows]


def most_urgent_first(sources: Iterable[ShownSource]) -> list[ShownSource]:
    """What needs somebody first, what is not followed any more last; else in the order they came."""
    return sorted(sources, key=lambda source: _URGENCY.get(source.state, len(_URGENCY)))


def changes_in_words(revision: ConfigRevision) -> str:
    """How much a revision changed, or would."""
    return counts_in_words(
        {
            "create": revision.created,
            "update": revision.updated,
            "delete": revision.deleted,
            "rename": revision.renamed,
            "adopt": revision.adopted,
        }
    )


def counts_in_words(counts: Mapping[str, int]) -> str:
    """How many resources were added, changed and so on."""
    return ", ".join(f"{counts[action]} {word}" for action, word in WORDS.items() if counts.get(action)) or (
        "nothing changed"
    )


def scope_in_words(scope: list[dict[str, list[str]]]) -> str:
    """What a source may declare."""
    if not scope:
        return "everything"
    return "; ".join(
        f"{_listed(kind.replace('_', ' ') + 's' for kind in rule.get('kinds', [])) or 'every kind'}"
        f" named {_listed(rule.get('names', ['*']))}"
        if rule.get("names", ["*"]) != ["*"]
        else _listed(f"all {kind.replace('_', ' ')}s" for kind in rule.get("kinds", [])) or "everything"
        for rule in scope
    )


def _listed(words: Iterable[str]) -> str:
    *first, last = [*words] or [""]
    return f"{', '.join(first)} and {last}" if first else last


def changed(change: ConfigChange) -> Changed:
    """A change with its fields, line by line."""
    return Changed(
        change.kind,
        change.key,
        change.action,
        change.file,
        change.line,
        difference(change.before, change.after),
    )


def difference(before: dict[str, Any] | None, after: dict[str, Any] | None) -> list[tuple[str, str, str]]:
    """Two states of a resource, field by field: what is the ``same``, what was ``old``, what is ``new``."""
    lines = []
    for name in sorted({*(before or {}), *(after or {})}):
        old = None if before is None or name not in before else show_value(before[name])
        new = None if after is None or name not in after else show_value(after[name])
        if old == new:
            lines.append(("same", name, cut(old or "")))
            continue
        if old is not None:
            lines.append(("old", name, cut(old)))
        if new is not None:
            lines.append(("new", name, cut(new)))
    return lines


def cut(text: str) -> str:
    """A value, short enough for a page."""
    left = len(text) - _LONGEST_VALUE
    return text if left <= 0 else f"{text[:_LONGEST_VALUE]}… ({left} more characters)"


def kind_name(kind: str) -> str:
    """A kind as people call it."""
    return kind.replace("_", " ")


def source_url(name: str) -> str:
    """The page of a source."""
    return f"/configuration/sources/{quote(name, safe='/')}"


def resource_url(kind: str, key: str) -> str:
    """The page of a resource."""
    return f"/configuration/resources/{quote(kind, safe='')}/{quote(key, safe='/')}"
