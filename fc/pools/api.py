"""``/api/v1/builders`` and ``/api/v1/worker-pools``: who builds, how they are, and the pools they belong to."""

from typing import Any

import msgspec
from litestar import get

from fc.base.database import Database
from fc.base.errors import NotFoundError
from fc.tables.builder_queries import (
    BuilderRow,
    RunningDerivation,
    WorkerPoolRow,
    builder_row,
    list_builders,
    list_worker_pools,
    running_derivations,
)


class BuilderPage(msgspec.Struct, frozen=True):
    """Every remote builder."""

    items: list[BuilderRow]
    running: list[RunningDerivation]
    """What is being built now, in the head's own store (``local``) too."""


class WorkerPoolPage(msgspec.Struct, frozen=True):
    """Every worker pool."""

    items: list[WorkerPoolRow]


@get("/api/v1/builders", tags=["builders"], summary="Builders, their health and what they do")
async def get_builders(database: Database) -> BuilderPage:
    """Every builder by name, with its health, its slots and until when it is backing off."""
    return BuilderPage(await list_builders(database), await running_derivations(database))


@get("/api/v1/builders/{name:str}", tags=["builders"], summary="One builder")
async def get_builder(database: Database, name: str) -> BuilderRow:
    """One builder."""
    found = await builder_row(database, name)
    if found is None:
        kind = "builder"
        raise NotFoundError(kind, name)
    return found


@get("/api/v1/worker-pools", tags=["builders"], summary="Worker pools")
async def get_worker_pools(database: Database) -> WorkerPoolPage:
    """Every worker pool by its id."""
    return WorkerPoolPage(await list_worker_pools(database))


ROUTES: list[Any] = [get_builders, get_builder, get_worker_pools]
"""What the application serves of builders and pools."""
