"""Pages of projects and jobsets."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response

from fc.base.database import Database
from fc.base.errors import NotFoundError
from fc.base.settings import Settings
from fc.tables.configuration_queries import config_owner
from fc.tables.evaluation_queries import EvaluationRow, find_jobset, recent_evaluations
from fc.tables.project_queries import (
    find_project,
    job_matrix,
    jobset_inputs,
    list_channels,
    list_jobsets,
    notification_targets,
    project_evaluations,
    project_removal,
)
from fc.web.rendering import Pages
from fc.web.routing import cursor, live, page
from fc.web.topics import Topics

_COLUMNS = 10
_ROWS = 100
_LONGEST_NAME = 255


def _unfinished(rows: list[EvaluationRow]) -> bool:
    return any(row.status in {"pending", "running"} or row.builds.unfinished for row in rows)


@page("/projects/{project:str}")
async def project_page(
    request: Request[Any, Any, Any],
    database: Database,
    pages: Pages,
    topics: Topics,
    settings: Settings,
    project: str,
) -> Response[str]:
    """One project: its jobsets, channels and newest evaluations."""
    found = await find_project(database, project)
    if found is None:
        kind = "project"
        raise NotFoundError(kind, project)
    current = await live(topics, "project", found.id)
    evaluations = await project_evaluations(database, found.id, limit=15)
    return pages.response(
        request,
        "project.html",
        live=replace(current, unfinished=_unfinished(evaluations)),
        project=found,
        jobsets=await list_jobsets(database, found.id),
        evaluations=evaluations,
        channels=await list_channels(database, found.id),
        targets=await notification_targets(database, found.id),
        owner=await config_owner(database, "project", project),
        removal=await project_removal(database, found.id),
        retention=timedelta(seconds=settings.configuration.retention),
    )


@page("/projects/{project:str}/jobsets/{jobset:str}")
async def jobset_page(
    request: Request[Any, Any, Any],
    database: Database,
    pages: Pages,
    topics: Topics,
    project: str,
    jobset: str,
) -> Response[str]:
    """One jobset: its evaluations, and its jobs over them."""
    asked = request.query_params
    start = cursor(asked.get("before"))
    after, prefix = (asked.get(name, "")[:_LONGEST_NAME] for name in ("after", "job"))
    failing = asked.get("show") == "failing"
    found = await find_jobset(database, project, jobset)
    if found is None:
        kind = "jobset"
        raise NotFoundError(kind, f"{project}/{jobset}")
    current = await live(topics, "jobset", found.id)
    rows = await recent_evaluations(database, jobset=found.id, before=start, limit=_COLUMNS + 1)
    evaluations = rows[:_COLUMNS]
    jobs = await job_matrix(
        database,
        [row.id for row in evaluations if row.builds.total],
        after=after,
        prefix=prefix,
        failing=failing,
        limit=_ROWS + 1,
    )

    def query(**changes: str | None) -> str:
        """The address of this page with other filters."""
        chosen = {"before": str(start) if start else None} | changes
        return "?" + urlencode({name: value for name, value in chosen.items() if value})

    return pages.response(
        request,
        "jobset.html",
        live=replace(current, unfinished=_unfinished(evaluations)),
        jobset=found,
        inputs=await jobset_inputs(database, found.id),
        owner=await config_owner(database, "jobset", f"{project}/{jobset}"),
        evaluations=evaluations,
        before=start,
        older=evaluations[-1].id if len(rows) > _COLUMNS else None,
        jobs=jobs[:_ROWS],
        more=len(jobs) > _ROWS,
        prefix=prefix,
        failing=failing,
        query=query,
    )
