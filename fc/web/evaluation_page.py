"""The page of an evaluation: its errors, what has changed, its builds by state."""

import uuid
from dataclasses import dataclass, replace
from typing import Any

from litestar import Request, Response

from fc.base.database import Database
from fc.base.errors import NotFoundError
from fc.tables.build_queries import BuildStatus
from fc.tables.comparison_queries import (
    Change,
    ChangedJob,
    GroupedBuild,
    builds_in,
    changed_jobs,
    status_counts,
)
from fc.tables.evaluation_queries import evaluation_errors, find_evaluation
from fc.tables.project_queries import FAILED
from fc.web.rendering import Pages
from fc.web.routing import live, page
from fc.web.topics import Topics

_MOST_ERRORS = 50
_MOST_BUILDS = 100
_GROUPS: tuple[tuple[str, str, tuple[BuildStatus, ...]], ...] = (
    ("failed", "Failed", FAILED),
    ("running", "Running", ("running",)),
    ("queued", "Queued", ("pending",)),
    ("succeeded", "Succeeded", ("succeeded",)),
    ("cancelled", "Cancelled", ("cancelled",)),
)
_CHANGES: tuple[tuple[Change, str], ...] = (
    ("broken", "Newly failing"),
    ("fixed", "Fixed"),
    ("added", "New jobs"),
    ("removed", "Removed jobs"),
)
_CAUSES = {
    "poll": "found by looking",
    "push": "pushed",
    "pull_request": "proposed",
    "input": "an input changed",
    "configuration": "the configuration changed",
    "manual": "asked for",
}


@dataclass(frozen=True, slots=True)
class _Group:
    name: str
    title: str
    count: int
    builds: list[GroupedBuild]
    after: str
    more: bool


@page("/evaluations/{evaluation_id:uuid}")
async def evaluation_page(
    request: Request[Any, Any, Any],
    database: Database,
    pages: Pages,
    topics: Topics,
    evaluation_id: uuid.UUID,
    group: str | None = None,
    after: str = "",
) -> Response[str]:
    """One evaluation."""
    current = await live(topics, "evaluation", evaluation_id)
    detail = await find_evaluation(database, evaluation_id)
    if detail is None:
        kind = "evaluation"
        raise NotFoundError(kind, str(evaluation_id))
    row = detail.evaluation
    unfinished = row.status in {"pending", "running"} or row.builds.unfinished > 0
    return pages.response(
        request,
        "evaluation.html",
        live=replace(current, unfinished=unfinished),
        detail=detail,
        row=row,
        causes=_CAUSES,
        errors=await evaluation_errors(database, evaluation_id, limit=_MOST_ERRORS) if row.errors else [],
        changes=await _changes(database, evaluation_id, detail.previous_id) if row.builds.total else [],
        groups=await _groups(database, evaluation_id, group, after),
    )


async def _changes(
    database: Database, evaluation: uuid.UUID, previous: uuid.UUID | None
) -> list[tuple[Change, str, list[ChangedJob]]]:
    """What differs from the evaluation before, without what does not."""
    if previous is None:
        return []
    found = [
        (change, title, await changed_jobs(database, change, now=evaluation, before=previous))
        for change, title in _CHANGES
    ]
    return [entry for entry in found if entry[2]]


async def _groups(database: Database, evaluation: uuid.UUID, chosen: str | None, after: str) -> list[_Group]:
    """The builds by state, a page of each; the group ``chosen`` is shown after the job ``after``."""
    counts = await status_counts(database, evaluation)
    groups = []
    for name, title, statuses in _GROUPS:
        count = sum(counts.get(status, 0) for status in statuses)
        if not count:
            continue
        start = after if name == chosen else ""
        builds = await builds_in(database, evaluation, list(statuses), after=start, limit=_MOST_BUILDS + 1)
        groups.append(_Group(name, title, count, builds[:_MOST_BUILDS], start, len(builds) > _MOST_BUILDS))
    return groups
