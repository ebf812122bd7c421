"""The page of the builders."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from litestar import Request, Response

from fc.base.database import Database
from fc.base.nix_cli import machine_system
from fc.base.settings import Settings
from fc.tables.builder_queries import LOCAL, BuilderRow, RunningDerivation, list_builders, running_derivations
from fc.tables.configuration_queries import config_owners
from fc.web.rendering import Pages
from fc.web.routing import live, page
from fc.web.topics import Topics


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shown:
    """A builder as the page shows it: a remote one, or the head's own store."""

    name: str
    health: str
    ssh_uri: str = "this machine, in its own store"
    running: int = 0
    max_jobs: int = 0
    systems: list[str]
    supported_features: list[str]
    mandatory_features: list[str]
    speed_factor: int = 1
    host_key: str | None = None
    consecutive_failures: int = 0
    disabled_until: datetime | None = None
    last_failure: datetime | None = None
    last_error: str | None = None
    last_seen_at: datetime | None = None
    work: list[RunningDerivation]


@page("/builders")
async def builders_page(
    request: Request[Any, Any, Any], database: Database, settings: Settings, pages: Pages, topics: Topics
) -> Response[str]:
    """Every builder, how it is and what it does."""
    current = await live(topics, "builders")
    work: dict[str, list[RunningDerivation]] = {}
    for one in await running_derivations(database):
        work.setdefault(one.builder, []).append(one)
    rows = [_remote(builder, work.get(builder.name, [])) for builder in await list_builders(database)]
    if settings.builders.local_jobs or LOCAL in work:
        rows.insert(0, _local(settings, work.get(LOCAL, [])))
    return pages.response(
        request,
        "builders.html",
        live=replace(current, unfinished=bool(work)),
        rows=rows,
        owners=await config_owners(database, "remote_builder", [row.name for row in rows]),
    )


def _local(settings: Settings, work: list[RunningDerivation]) -> _Shown:
    return _Shown(
        name=LOCAL,
        health="ok",
        running=len(work),
        max_jobs=settings.builders.local_jobs,
        systems=[settings.nix.system or machine_system(), *settings.nix.extra_systems],
        supported_features=list(settings.builders.local_features),
        mandatory_features=[],
        work=work,
    )


def _remote(builder: BuilderRow, work: list[RunningDerivation]) -> _Shown:
    return _Shown(
        name=builder.name,
        health=builder.health,
        ssh_uri=builder.ssh_uri,
        running=builder.running,
        max_jobs=builder.max_jobs,
        systems=builder.systems,
        supported_features=builder.supported_features,
        mandatory_features=builder.mandatory_features,
        speed_factor=builder.speed_factor,
        host_key="pinned" if builder.public_host_key else "not pinned",
        consecutive_failures=builder.consecutive_failures,
        disabled_until=builder.disabled_until,
        last_failure=builder.last_failure,
        last_error=builder.last_error,
        last_seen_at=builder.last_seen_at,
        work=work,
    )
