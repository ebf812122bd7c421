"""The page of a build."""

import asyncio
import uuid
from dataclasses import replace
from typing import Any

from litestar import Request, Response

from fc.base.database import Database
from fc.base.errors import NotFoundError
from fc.base.settings import Settings
from fc.build.waiting import waiting_reason
from fc.tables.build_queries import (
    BuildDetail,
    build_dependencies,
    build_dependents,
    build_detail,
    build_metrics,
    build_products,
    build_steps,
)
from fc.web.log_files import Cursor, LogWindow, file_token, locate, read_tail
from fc.web.rendering import Pages
from fc.web.routing import live, page
from fc.web.topics import Topics

_TAIL = 300
"""Lines of the log on the page of a build."""
UNFINISHED = {"pending", "running"}


@page("/builds/{build_id:uuid}")
async def build_page(
    request: Request[Any, Any, Any],
    database: Database,
    settings: Settings,
    pages: Pages,
    topics: Topics,
    build_id: uuid.UUID,
) -> Response[str]:
    """One build."""
    current = await live(topics, "build", build_id)
    build = await find_build(database, build_id)
    unfinished = build.status in UNFINISHED
    token = file_token(build.log_path or "")
    path = locate(settings.data_dir, build.log_path) if build.log_path else None
    window = (
        await asyncio.to_thread(read_tail, path, token, lines=_TAIL, whole=not unfinished) if path else None
    )
    return pages.response(
        request,
        "build.html",
        live=replace(current, unfinished=unfinished),
        build=build,
        waiting=await waiting_reason(database, settings, build.id),
        window=window,
        beginning=LogWindow([], 0, 0, Cursor(token)),
        stream=f"/builds/{build.id}/log/live?from=" if unfinished else None,
        no_log=_why_no_log(build),
        steps=await build_steps(database, build_id),
        products=await build_products(database, build_id),
        metrics=await build_metrics(database, build_id),
        needs=await build_dependencies(database, build_id),
        needed_by=await build_dependents(database, build_id),
    )


def _why_no_log(build: BuildDetail) -> str:
    if build.log_path is not None:
        return "The log is not on this machine, or was removed."
    if build.started_at is None:
        return "It was never begun, so there is no log."
    return "There is no log."


async def find_build(database: Database, build_id: uuid.UUID) -> BuildDetail:
    """The build of this id.

    Raises:
        NotFoundError: there is none.
    """
    found = await build_detail(database, build_id)
    if found is None:
        kind = "build"
        raise NotFoundError(kind, str(build_id))
    return found
