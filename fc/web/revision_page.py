"""The page of a revision: what it changed, or would have, or why it did not."""

import re
import uuid
from typing import Any

from litestar import Request, Response

from fc.base.database import Database
from fc.base.errors import NotFoundError
from fc.tables.config_change_queries import change_counts, changes_in, planned_changes
from fc.tables.config_source_queries import find_source
from fc.tables.configuration_queries import config_revision
from fc.web.configuration_shown import changed
from fc.web.rendering import Pages
from fc.web.routing import cursor, page

_CHANGES = 50
_NUMBER = re.compile(r"[0-9]{1,7}")


@page("/configuration/revisions/{revision_id:uuid}")
async def revision_page(
    request: Request[Any, Any, Any], database: Database, pages: Pages, revision_id: uuid.UUID
) -> Response[str]:
    """One revision and what it changed, a page of changes at a time."""
    revision = await config_revision(database, revision_id)
    if revision is None:
        what = "configuration revision"
        raise NotFoundError(what, str(revision_id))
    counts = await change_counts(database, revision_id)
    asked = request.query_params.get("kind")
    kind = asked if asked in counts else None
    after = cursor(request.query_params.get("after"))
    changes = await changes_in(database, revision_id, kind=kind, after=after, limit=_CHANGES + 1)
    skip = _number(request.query_params.get("skip"))
    planned = None
    if revision.status != "applied":
        planned = await planned_changes(database, revision_id, skip=skip, limit=_CHANGES)
    return pages.response(
        request,
        "revision.html",
        revision=revision,
        source=await find_source(database, revision.source),
        counts=counts,
        kind=kind,
        changes=[changed(change) for change in changes[:_CHANGES]],
        after=after,
        more=changes[_CHANGES - 1].id if len(changes) > _CHANGES else None,
        planned=planned,
        would=[changed(change) for change in planned.changes] if planned else [],
        skip=skip,
        further=skip + _CHANGES if planned and planned.stored > skip + _CHANGES else None,
    )


def _number(text: str | None) -> int:
    """How many planned changes the pages before have shown."""
    return int(text) if text is not None and _NUMBER.fullmatch(text) else 0
