"""Pages of logs: a build's own and those of its steps, whole, and as they grow."""

import asyncio
import uuid
from dataclasses import dataclass
from typing import Any

from litestar import Request, Response
from litestar.response import Stream

from fc.base.database import Database
from fc.base.errors import NotFoundError
from fc.base.settings import Settings
from fc.tables.build_queries import BuildDetail, StepRow, build_steps
from fc.web.build_pages import UNFINISHED, find_build
from fc.web.log_files import file_token, locate, read_window
from fc.web.log_stream import LogSource, LogStreams
from fc.web.rendering import Pages
from fc.web.routing import page

_PAGE = 1000
"""Lines on a page of the whole log."""
_LONGEST_NUMBER = 9

_OF_BUILD = """
SELECT b.status, COALESCE(b.log_path, d.log_path) AS log_path
FROM builds b LEFT JOIN derivations d ON d.id = b.derivation_id WHERE b.id = $1
"""
_OF_STEP = """
SELECT COALESCE(status, 'running') AS status, log_path FROM build_steps WHERE build_id = $1 AND step_number = $2
"""


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
        return self.status not in UNFINISHED


async def _step(database: Database, build_id: uuid.UUID, number: int) -> StepRow:
    for step in await build_steps(database, build_id):
        if step.step_number == number:
            return step
    kind = "step"
    raise NotFoundError(kind, f"{build_id}/{number}")


async def _log(database: Database, build_id: uuid.UUID, number: int | None) -> _Log:
    """The log of a build, or of its step ``number``."""
    build = await find_build(database, build_id)
    address = f"/builds/{build.id}"
    if number is None:
        return _Log(build, build.job, build.status, build.log_path, f"{address}/log", f"/api/v1{address}/log")
    step = await _step(database, build_id, number)
    name = f"step {number} of {build.job}"
    return _Log(build, name, step.status, step.log_path, f"{address}/steps/{number}/log", None)


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
    await find_build(database, build_id)
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
        row = await (
            database.fetchrow(_OF_BUILD, build_id)
            if number is None
            else database.fetchrow(_OF_STEP, build_id, number)
        )
        if row is None:
            return LogSource(None, final=True)
        return LogSource(row["log_path"], row["status"] not in UNFINISHED)

    start: str = request.headers.get("last-event-id") or request.query_params.get("from") or ""
    return logs.streams.response(logs.follow(source, start))
