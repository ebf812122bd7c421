"""Pages of builds: the build itself, and its logs."""

import asyncio
import uuid
from dataclasses import dataclass, replace
from typing import Any

from litestar import Request, Response
from litestar.response import Stream

from fc.base.database import Database
from fc.base.errors import NotFoundError
from fc.base.settings import Settings
from fc.tables.build_queries import (
    BuildDetail,
    StepRow,
    build_dependencies,
    build_dependents,
    build_detail,
    build_metrics,
    build_products,
    build_steps,
)
from fc.web.log_files import Cursor, LogWindow, file_token, locate, read_tail, read_window
from fc.web.log_stream import LogSource, LogStreams
from fc.web.rendering import Pages
from fc.web.routing import live, page
from fc.web.topics import Topics
from fc.web.waiting import why_build_waits

_UNFINISHED = {"pending", "running"}
_TAIL = 300
"""Lines of the log on the page of a build."""
_PAGE = 1000
"""Lines on a page of the whole log."""
_LONGEST_NUMBER = 9


@dataclass(frozen=True, slots=True)
class _Log:
    """A log that a page shows: the build's own, or one step's."""

    build: BuildDetail
    name: str
    status: str
    log_path: str | None
    url: str
    """Its page."""
    raw: str | None
    """Its text, where it has an address of its own."""

    @property
    def final(self) -> bool:
        """Whether it is complete."""
        return self.status not in _UNFINISHED


async def _build(database: Database, build_id: uuid.UUID) -> BuildDetail:
    found = await build_detail(database, build_id)
    if found is None:
        kind = "build"
        raise NotFoundError(kind, str(build_id))
    return found


async def _step(database: Database, build_id: uuid.UUID, number: int) -> StepRow:
    for step in await build_steps(database, build_id):
        if step.step_number == number:
            return step
    kind = "step"
    raise NotFoundError(kind, f"{build_id}/{number}")


async def _log(database: Database, build_id: uuid.UUID, number: int | None) -> _Log:
    """The log of a build, or of its step ``number``."""
    build = await _build(database, build_id)
    address = f"/builds/{build.id}"
    if number is None:
        return _Log(build, build.job, build.status, build.log_path, f"{address}/log", f"/api/v1{address}/log")
    step = await _step(database, build_id, number)
    name = f"step {number} of {build.job}"
    return _Log(build, name, step.status, step.log_path, f"{address}/steps/{number}/log", None)


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
    build = await _build(database, build_id)
    unfinished = build.status in _UNFINISHED
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
        waiting=await why_build_waits(database, settings, build.derivation_id) if unfinished else None,
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


@page("/builds/{build_id:uuid}/log")
async def log_page(
    request: Request[Any, Any, Any], database: Database, settings: Settings, pages: Pages, build_id: uuid.UUID
) -> Response[str]:
    """The whole log of a build, page by page."""
    return await _log_page(request, settings, pages, await _log(database, build_id, None))


@page("/builds/{build_id:uuid}/steps/{number:int}/log")
async def step_log_page(
    request: Request[Any, Any, Any],
    database: Database,
    settings: Settings,
    pages: Pages,
    build_id: uuid.UUID,
    number: int,
) -> Response[str]:
    """The whole log of one step, page by page."""
    return await _log_page(request, settings, pages, await _log(database, build_id, number))


async def _log_page(
    request: Request[Any, Any, Any], settings: Settings, pages: Pages, log: _Log
) -> Response[str]:
    asked = request.query_params.get("line", "")
    line = int(asked) if asked.isascii() and asked.isdigit() and len(asked) <= _LONGEST_NUMBER else 1
    path = locate(settings.data_dir, log.log_path) if log.log_path else None
    # Windows begin at round numbers, so that a line's neighbours are where they were.
    first = max(0, line - 1) // _PAGE * _PAGE + 1
    token = file_token(log.log_path or "")
    window = (
        await asyncio.to_thread(read_window, path, token, first=first, count=_PAGE, whole=log.final)
        if path
        else None
    )
    if window is None:
        kind = "log of"
        raise NotFoundError(kind, log.name)
    follows = not log.final and window.last == window.total
    return pages.response(
        request,
        "log.html",
        build=log.build,
        name=log.name,
        status=log.status,
        window=window,
        page=_PAGE,
        raw=log.raw,
        stream=f"{log.url}/live?from=" if follows else None,
    )


@page("/builds/{build_id:uuid}/log/live")
async def log_stream(
    request: Request[Any, Any, Any], database: Database, logs: LogStreams, build_id: uuid.UUID
) -> Stream:
    """The log of a build as it grows."""
    await _build(database, build_id)
    return _stream(request, database, logs, build_id, None)


@page("/builds/{build_id:uuid}/steps/{number:int}/log/live")
async def step_log_stream(
    request: Request[Any, Any, Any], database: Database, logs: LogStreams, build_id: uuid.UUID, number: int
) -> Stream:
    """The log of one step as it grows."""
    await _step(database, build_id, number)
    return _stream(request, database, logs, build_id, number)


def _stream(
    request: Request[Any, Any, Any],
    database: Database,
    logs: LogStreams,
    build_id: uuid.UUID,
    number: int | None,
) -> Stream:
    async def source() -> LogSource:
        try:
            log = await _log(database, build_id, number)
        except NotFoundError:
            return LogSource(None, final=True)
        return LogSource(log.log_path, log.final)

    start: str = request.headers.get("last-event-id") or request.query_params.get("from") or ""
    return logs.streams.response(logs.follow(source, start))
