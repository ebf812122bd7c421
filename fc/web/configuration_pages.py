"""Pages of the configuration: its sources, its revisions, what each of them changed."""

import uuid
from dataclasses import dataclass, replace
from typing import Any

from litestar import Request, Response

from fc.base.database import Database
from fc.base.errors import NotFoundError
from fc.tables.configuration_queries import (
    ConfigChange,
    ConfigRevision,
    config_changes,
    config_resource_counts,
    config_revision,
    config_revisions,
    config_sources,
)
from fc.tables.drift_queries import recorded_drift
from fc.tables.pause_queries import config_pauses
from fc.tables.preview_queries import config_previews
from fc.web.preview_looks import preview_look
from fc.web.rendering import Pages, show_value
from fc.web.routing import cursor, live, page
from fc.web.topics import Topics

_REVISIONS = 30
_PREVIEWS = 30
_DRIFTED = 20
_WORDS = {
    "create": "added",
    "update": "changed",
    "delete": "removed",
    "rename": "renamed",
    "adopt": "adopted",
}
_TONES = {"create": "good", "update": "busy", "delete": "bad", "rename": "busy", "adopt": "busy"}


@dataclass(frozen=True, slots=True)
class _Changed:
    """A changed resource with its fields, line by line."""

    kind: str
    key: str
    action: str
    file: str | None
    line: int | None
    lines: list[tuple[str, str, str]]
    """``same``, ``old`` or ``new``; the field's name; its value."""


def changes_in_words(revision: ConfigRevision) -> str:
    """How much a revision changed."""
    counts = (
        ("added", revision.created),
        ("changed", revision.updated),
        ("removed", revision.deleted),
        ("renamed", revision.renamed),
        ("adopted", revision.adopted),
    )
    return ", ".join(f"{count} {word}" for word, count in counts if count) or "nothing changed"


@page("/configuration")
async def configuration_page(
    request: Request[Any, Any, Any], database: Database, pages: Pages, topics: Topics
) -> Response[str]:
    """Where the configuration comes from, and how its last synchronisations went."""
    current = await live(topics, "configuration")
    start = cursor(request.query_params.get("before"))
    revisions = await config_revisions(database, before=start, limit=_REVISIONS + 1)
    sources = await config_sources(database)
    drifted = await recorded_drift(database, limit=_DRIFTED + 1)
    return pages.response(
        request,
        "configuration.html",
        live=replace(current, unfinished=any(source.status == "pending" for source in sources)),
        sources=sources,
        pauses={one.source: one for one in await config_pauses(database)},
        owned=await config_resource_counts(database),
        previews=await config_previews(database, limit=_PREVIEWS + 1),
        most_previews=_PREVIEWS,
        preview_look=preview_look,
        drifted=drifted[:_DRIFTED],
        more_drifted=len(drifted) > _DRIFTED,
        revisions=revisions[:_REVISIONS],
        before=start,
        older=revisions[_REVISIONS - 1].id if len(revisions) > _REVISIONS else None,
        changes_in_words=changes_in_words,
    )


@page("/configuration/revisions/{revision_id:uuid}")
async def revision_page(
    request: Request[Any, Any, Any], database: Database, pages: Pages, revision_id: uuid.UUID
) -> Response[str]:
    """One revision and everything it changed."""
    revision = await config_revision(database, revision_id)
    if revision is None:
        kind = "configuration revision"
        raise NotFoundError(kind, str(revision_id))
    return pages.response(
        request,
        "revision.html",
        revision=revision,
        changes=[_changed(change) for change in await config_changes(database, revision_id)],
        changes_in_words=changes_in_words,
        words=_WORDS,
        tones=_TONES,
    )


def _changed(change: ConfigChange) -> _Changed:
    return _Changed(
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
            lines.append(("same", name, old or ""))
            continue
        if old is not None:
            lines.append(("old", name, old))
        if new is not None:
            lines.append(("new", name, new))
    return lines
