"""The overview: what runs, what waits, how every jobset stands."""

import itertools
from dataclasses import replace
from typing import Any

from litestar import Request, Response

from fc.base.database import Database
from fc.base.settings import Settings
from fc.tables.build_queries import finished_builds, running_builds
from fc.tables.builder_queries import LOCAL, list_builders, running_derivations
from fc.tables.config_source_queries import settings_sources
from fc.tables.evaluation_queries import recent_evaluations
from fc.tables.overview_queries import current_load, queued_builds
from fc.tables.pause_queries import config_pauses
from fc.tables.project_queries import list_jobsets, list_projects
from fc.web.configuration_shown import most_urgent_first, shown_sources
from fc.web.rendering import Pages
from fc.web.routing import live, page
from fc.web.topics import Topics

_LINES = 8


@page("/")
async def overview(
    request: Request[Any, Any, Any], database: Database, settings: Settings, pages: Pages, topics: Topics
) -> Response[str]:
    """Everything at a glance."""
    current = await live(topics, "overview")
    load = await current_load(database)
    builders = await list_builders(database)
    jobsets = {
        name: list(group)
        for name, group in itertools.groupby(await list_jobsets(database), lambda jobset: jobset.project)
    }
    local_running = sum(work.builder == LOCAL for work in await running_derivations(database))
    local_jobs = settings.builders.local_jobs
    serving = [builder for builder in builders if builder.health in {"ok", "failing", "unknown"}]
    pauses = await config_pauses(database)
    sources = most_urgent_first(shown_sources(await settings_sources(database), pauses))
    shown = [source for source in sources if source.row.active]
    return pages.response(
        request,
        "overview.html",
        live=replace(
            current, unfinished=bool(load.builds_pending or load.builds_running or load.evaluations_running)
        ),
        load=load,
        slots=sum(builder.max_jobs for builder in serving) + local_jobs,
        builders=builders,
        builders_up=len(serving),
        local={"running": local_running, "max_jobs": local_jobs} if local_jobs or local_running else None,
        sources=shown,
        stopped=next((source for source in shown if source.state != "synced"), None),
        projects=[(project, jobsets.get(project.name, [])) for project in await list_projects(database)],
        evaluations=await recent_evaluations(database, limit=10),
        running=await running_builds(database, _LINES),
        queued=await queued_builds(database, _LINES),
        finished=await finished_builds(database, _LINES),
    )
