"""``/api/v1/builds``: builds, one build with all that belongs to it, its log."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, get
from litestar.di import Provide
from litestar.params import Parameter
from litestar.response import Stream

from fc.base.database import Database
from fc.base.errors import InvalidInputError, NotFoundError
from fc.base.settings import Settings
from fc.build.byte_ranges import UnsatisfiableRangeError, parse_range
from fc.build.logs import log_file
from fc.build.waiting import waiting_reason
from fc.tables.build_queries import (
    BuildDetail,
    BuildFilter,
    BuildRow,
    BuildStatus,
    MetricRow,
    ProductRow,
    RelatedBuild,
    StepRow,
    build_dependencies,
    build_dependents,
    build_detail,
    build_metrics,
    build_products,
    build_steps,
    decode_position,
    encode_position,
    list_builds,
    next_position,
)

_PIECE = 1 << 16
_TEXT = "text/plain"
_BUILD = "build"
_LOG = "log of build"


class BuildPage(msgspec.Struct, frozen=True):
    """Some builds, newest first."""

    items: list[BuildRow]
    next: str | None
    """``after`` of the following page; none: this is the last."""


class BuildAnswer(msgspec.Struct, frozen=True):
    """One build and all that belongs to it."""

    build: BuildDetail
    waiting: str | None
    """Why it is not being built now, for people; none: it is, or it has ended."""
    steps: list[StepRow]
    products: list[ProductRow]
    metrics: list[MetricRow]
    dependencies: list[RelatedBuild]
    """Builds of the same evaluation that it needs."""
    dependents: list[RelatedBuild]
    """Builds of the same evaluation that need it."""


def _chosen(
    project: Annotated[str | None, Parameter(description="Only of this project.")] = None,
    jobset: Annotated[str | None, Parameter(description="Only of jobsets of this name.")] = None,
    job: Annotated[str | None, Parameter(description="Only of jobs of this name.")] = None,
    status: Annotated[BuildStatus | None, Parameter(description="Only in this state.")] = None,
    system: Annotated[str | None, Parameter(description="Only for this system.")] = None,
    evaluation: Annotated[uuid.UUID | None, Parameter(description="Only of this evaluation.")] = None,
) -> BuildFilter:
    return BuildFilter(
        project=project, jobset=jobset, job=job, status=status, system=system, evaluation_id=evaluation
    )


@get(
    "/api/v1/builds",
    dependencies={"chosen": Provide(_chosen, sync_to_thread=False)},
    tags=["builds"],
    summary="Builds, newest first",
)
async def get_builds(
    database: Database,
    chosen: BuildFilter,
    after: Annotated[str | None, Parameter(description="``next`` of the page before.")] = None,
    limit: Annotated[int, Parameter(ge=1, le=200, description="How many.")] = 50,
) -> BuildPage:
    """A page of builds. Pages are found by position, so the last is as quick as the first."""
    position = decode_position(after) if after is not None else None
    if after is not None and position is None:
        message = f"after={after[:100]!r} is no place in the list; take it from 'next' of the page before"
        raise InvalidInputError(message)
    rows = await list_builds(database, chosen, after=position, limit=limit)
    following = next_position(rows, limit)
    return BuildPage(rows, encode_position(following) if following is not None else None)


@get("/api/v1/builds/{build_id:uuid}", tags=["builds"], summary="One build")
async def get_build(database: Database, settings: Settings, build_id: uuid.UUID) -> BuildAnswer:
    """A build with its steps, products, measurements, neighbours, and the reason it waits."""
    return BuildAnswer(
        build=await _build(database, build_id),
        waiting=await waiting_reason(database, settings, build_id),
        steps=await build_steps(database, build_id),
        products=await build_products(database, build_id),
        metrics=await build_metrics(database, build_id),
        dependencies=await build_dependencies(database, build_id),
        dependents=await build_dependents(database, build_id),
    )


@get("/api/v1/builds/{build_id:uuid}/log", tags=["builds"], summary="Log of a build, as far as it is written")
async def get_log(
    request: Request[Any, Any, Any], database: Database, settings: Settings, build_id: uuid.UUID
) -> Response[Any]:
    """The log as plain text. ``Range`` is honoured: read on from where the last answer ended."""
    build = await _build(database, build_id)
    if build.log_path is None:
        raise NotFoundError(_LOG, str(build_id))
    file = log_file(settings.data_dir, build.log_path)
    size = file.stat().st_size
    headers = {"Accept-Ranges": "bytes", "Cache-Control": "no-cache"}
    try:
        wanted = parse_range(request.headers.get("range"), size)
    except UnsatisfiableRangeError:
        headers["Content-Range"] = f"bytes */{size}"
        return Response("", status_code=416, headers=headers, media_type=_TEXT)
    start, length = wanted if wanted is not None else (0, size)
    headers["Content-Length"] = str(length)
    if wanted is not None:
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{size}"
    return Stream(
        _pieces(file, start, length),
        status_code=200 if wanted is None else 206,
        headers=headers,
        media_type=_TEXT,
    )


async def _build(database: Database, build_id: uuid.UUID) -> BuildDetail:
    found = await build_detail(database, build_id)
    if found is None:
        raise NotFoundError(_BUILD, str(build_id))
    return found


async def _pieces(file: Path, start: int, length: int) -> AsyncIterator[bytes]:
    """Exactly ``length`` bytes of a file that may be growing."""
    with file.open("rb") as opened:
        opened.seek(start)
        while length > 0:
            piece = await asyncio.to_thread(opened.read, min(length, _PIECE))
            if not piece:
                return
            length -= len(piece)
            yield piece


ROUTES = [get_builds, get_build, get_log]
"""What the application serves of building."""
