"""What pages, API and scheduling ask about builders and worker pools."""

import uuid
from datetime import datetime
from typing import Any, Literal

import msgspec

from fc.base.database import Database

LOCAL = "local"
"""Name of the head's own store where builders are named."""

Health = Literal["disabled", "backing_off", "failing", "ok", "unknown"]


class BuilderRow(msgspec.Struct, frozen=True):
    """A remote builder and how it is."""

    id: uuid.UUID
    name: str
    ssh_uri: str
    systems: list[str]
    max_jobs: int
    running: int
    """Derivations it builds now, for every process together."""
    speed_factor: int
    supported_features: list[str]
    mandatory_features: list[str]
    enabled: bool
    public_host_key: str | None
    health: Health
    """``disabled`` by configuration; ``backing_off`` until ``disabled_until``; ``failing``: it failed last time and
    may be tried again; ``ok``: it worked last time; ``unknown``: it was never used."""
    consecutive_failures: int
    disabled_until: datetime | None
    """It gets no builds before then."""
    last_failure: datetime | None
    last_error: str | None
    last_seen_at: datetime | None


class RunningDerivation(msgspec.Struct, frozen=True):
    """What a builder does now."""

    derivation_id: uuid.UUID
    name: str
    drv_path: str
    builder: str
    """``local``: the head's own store."""
    build_id: uuid.UUID | None
    """A build it is done for."""
    job: str | None
    started_at: datetime | None
    seconds: float | None


class WorkerPoolRow(msgspec.Struct, frozen=True):
    """A worker pool as configuration declares it."""

    worker_pool_id: str
    provider_id: str
    owner: str
    description: str
    email_on_error: bool
    config: dict[str, Any]
    created: datetime
    last_modified: datetime


_BUILDERS = """
SELECT r.id, r.name, r.ssh_uri, r.systems, r.max_jobs, COALESCE(c.running, 0) AS running, r.speed_factor,
       r.supported_features, r.mandatory_features, r.enabled, r.public_host_key,
       CASE WHEN NOT r.enabled THEN 'disabled' WHEN r.disabled_until > now() THEN 'backing_off'
            WHEN r.consecutive_failures > 0 THEN 'failing' WHEN r.last_seen_at IS NOT NULL THEN 'ok'
            ELSE 'unknown' END AS health,
       r.consecutive_failures, r.disabled_until, r.last_failure, r.last_error, r.last_seen_at
FROM remote_builders r
LEFT JOIN (
    SELECT builder_id, count(*) AS running FROM derivations WHERE status = 'running' GROUP BY builder_id
) c ON c.builder_id = r.id
"""

_RUNNING = """
SELECT d.id AS derivation_id, d.name, d.drv_path, COALESCE(r.name, d.builder_name, 'local') AS builder,
       s.build_id, b.job_name AS job, d.started_at,
       EXTRACT(EPOCH FROM now() - d.started_at)::float8 AS seconds
FROM derivations d
LEFT JOIN remote_builders r ON r.id = d.builder_id
LEFT JOIN LATERAL (
    SELECT build_id FROM build_steps WHERE derivation_id = d.id AND completed_at IS NULL ORDER BY started_at LIMIT 1
) s ON true
LEFT JOIN builds b ON b.id = s.build_id
WHERE d.status = 'running' ORDER BY builder, d.started_at, d.id LIMIT $1
"""


async def list_builders(database: Database) -> list[BuilderRow]:
    """Every remote builder, by name."""
    return [BuilderRow(**record) for record in await database.fetch(f"{_BUILDERS} ORDER BY r.name")]


async def builder_row(database: Database, name: str) -> BuilderRow | None:
    """One remote builder, or none."""
    record = await database.fetchrow(f"{_BUILDERS} WHERE r.name = $1", name)
    return None if record is None else BuilderRow(**record)


async def builder_key_files(database: Database) -> dict[uuid.UUID, str]:
    """Private key files on the head of those builders that name one. Not for pages."""
    rows = await database.fetch("SELECT id, ssh_key_file FROM remote_builders WHERE ssh_key_file IS NOT NULL")
    return {row["id"]: row["ssh_key_file"] for row in rows}


async def running_derivations(database: Database, limit: int = 500) -> list[RunningDerivation]:
    """At most ``limit`` derivations that are being built now, by builder and age."""
    return [RunningDerivation(**record) for record in await database.fetch(_RUNNING, limit)]


async def list_worker_pools(database: Database) -> list[WorkerPoolRow]:
    """Every worker pool, by id."""
    rows = await database.fetch(
        """SELECT worker_pool_id, provider_id, owner, description, email_on_error, config, created, last_modified
        FROM worker_pools ORDER BY worker_pool_id"""
    )
    return [WorkerPoolRow(**record) for record in rows]
