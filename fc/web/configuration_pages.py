"""Pages of the configuration as a whole, and of each of its sources."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from litestar import Request, Response

from fc.base.database import Database
from fc.base.errors import NotFoundError
from fc.tables.config_source_queries import (
    find_source,
    owned_counts,
    project_source_statuses,
    project_sources,
    settings_sources,
)
from fc.tables.configuration_queries import ConfigRevision, config_revisions
from fc.tables.drift_queries import recorded_drift
from fc.tables.pause_queries import config_pauses
from fc.tables.preview_queries import config_previews
from fc.web.configuration_shown import ShownSource, most_urgent_first, shown_sources
from fc.web.preview_looks import preview_look
from fc.web.rendering import Pages
from fc.web.routing import cursor, live, page, rest_of_path
from fc.web.topics import Topics

_REVISIONS = 30
_TROUBLED = 10
_PREVIEWS = 30
_DRIFTED = 20
_SOURCES = 100
_LONGEST_NAME = 255


def _turned(revisions: list[ConfigRevision]) -> dict[str, Any]:
    """One page of revisions, and where the next begins."""
    more = len(revisions) > _REVISIONS
    return {"revisions": revisions[:_REVISIONS], "older": revisions[_REVISIONS - 1].id if more else None}


def _unfinished(sources: list[ShownSource]) -> bool:
    return any(source.state == "unread" for source in sources)


@page("/configuration")
async def configuration_page(
    request: Request[Any, Any, Any], database: Database, pages: Pages, topics: Topics
) -> Response[str]:
    """Where the configuration comes from, and how its last synchronisations went."""
    current = await live(topics, "configuration")
    start = cursor(request.query_params.get("before"))
    pauses = await config_pauses(database)
    sources = most_urgent_first(shown_sources(await settings_sources(database), pauses))
    statuses = await project_source_statuses(database)
    troubled = await project_sources(database, trouble=True, limit=_TROUBLED + 1) if statuses else []
    drifted = await recorded_drift(database, limit=_DRIFTED + 1)
    return pages.response(
        request,
        "configuration.html",
        live=replace(current, unfinished=_unfinished(sources)),
        sources=sources,
        statuses=statuses,
        troubled=shown_sources(troubled[:_TROUBLED], pauses),
        more_trouble=len(troubled) > _TROUBLED,
        owned=await owned_counts(database),
        previews=await config_previews(database, limit=_PREVIEWS + 1),
        most_previews=_PREVIEWS,
        preview_look=preview_look,
        drifted=drifted[:_DRIFTED],
        more_drifted=len(drifted) > _DRIFTED,
        before=start,
        here="/configuration",
        **_turned(await config_revisions(database, before=start, limit=_REVISIONS + 1)),
    )


@page("/configuration/sources")
async def sources_page(
    request: Request[Any, Any, Any], database: Database, pages: Pages, topics: Topics
) -> Response[str]:
    """Sources that are a project's own file, in pages."""
    current = await live(topics, "configuration")
    after = request.query_params.get("after", "").replace("\0", "")[:_LONGEST_NAME]
    trouble = request.query_params.get("show") == "trouble"
    rows = await project_sources(database, trouble=trouble, after=after, limit=_SOURCES + 1)
    return pages.response(
        request,
        "configuration/all_sources.html",
        live=current,
        sources=shown_sources(rows[:_SOURCES], await config_pauses(database)),
        statuses=await project_source_statuses(database),
        trouble=trouble,
        after=after,
        more=rows[_SOURCES - 1].name if len(rows) > _SOURCES else None,
    )


@page("/configuration/sources/{name:path}")
async def source_page(
    request: Request[Any, Any, Any],
    database: Database,
    pages: Pages,
    topics: Topics,
    name: Path,  # noqa: ARG001 - it would join slashes that belong to the name
) -> Response[str]:
    """One source: how it is, what it owns, its revisions."""
    named = rest_of_path(request, "/configuration/sources/")
    current = await live(topics, "configuration")
    start = cursor(request.query_params.get("before"))
    row = await find_source(database, named)
    if row is None:
        kind = "configuration source"
        raise NotFoundError(kind, named)
    [source] = shown_sources([row], await config_pauses(database))
    return pages.response(
        request,
        "configuration/source.html",
        live=replace(current, unfinished=_unfinished([source])),
        source=source,
        owned=await owned_counts(database, named),
        before=start,
        here=request.url.path,
        **_turned(await config_revisions(database, before=start, limit=_REVISIONS + 1, source=named)),
    )
