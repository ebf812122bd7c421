"""Rows as the evaluate and build slices leave them, for the slices that read them."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from fc.base.database import Database

START = datetime(2026, 1, 1, tzinfo=UTC)


async def add_derivation(
    database: Database, drv_path: str, outputs: Mapping[str, str | None], status: str = "built"
) -> uuid.UUID:
    """A derivation and its outputs."""
    async with database.transaction() as connection:
        derivation_id: uuid.UUID = await connection.fetchval(
            "INSERT INTO derivations (drv_path, name, system, status, completed_at) "
            "VALUES ($1, $2, 'x86_64-linux', $3, now()) RETURNING id",
            drv_path,
            drv_path.rpartition("-")[2].removesuffix(".drv"),
            status,
        )
        await connection.executemany(
            "INSERT INTO derivation_outputs (derivation_id, name, path) VALUES ($1, $2, $3)",
            [(derivation_id, name, path) for name, path in outputs.items()],
        )
    return derivation_id


async def add_jobset(database: Database, project: str = "hello", jobset: str = "main") -> uuid.UUID:
    """A jobset, and its project if there is none of that name."""
    project_id = await database.fetchval(
        "INSERT INTO projects (name, repository_url) VALUES ($1, 'https://git.example.org/x.git') "
        "ON CONFLICT (name) DO UPDATE SET name = EXCLUDED.name RETURNING id",
        project,
    )
    found: uuid.UUID = await database.fetchval(
        "INSERT INTO jobsets (project_id, name, nix_expression) VALUES ($1, $2, 'release.nix') RETURNING id",
        project_id,
        jobset,
    )
    return found


async def add_channel(database: Database, jobset_id: uuid.UUID, name: str = "stable") -> uuid.UUID:
    """A channel that follows the jobset."""
    found: uuid.UUID = await database.fetchval(
        "INSERT INTO channels (project_id, name, jobset_id) SELECT project_id, $2, id FROM jobsets WHERE id = $1 RETURNING id",
        jobset_id,
        name,
    )
    return found


async def add_evaluation(
    database: Database,
    jobset_id: uuid.UUID,
    number: int,
    builds: Sequence[str],
    *,
    status: str = "completed",
    pr_number: int | None = None,
) -> uuid.UUID:
    """The evaluation ``number`` (later ones are newer) with builds of the given statuses."""
    evaluation_id: uuid.UUID = await database.fetchval(
        "INSERT INTO evaluations (jobset_id, commit_hash, status, evaluation_time, pr_number) VALUES ($1, $2, $3, $4, $5) RETURNING id",
        jobset_id,
        f"{number:040x}",
        status,
        START + timedelta(hours=number),
        pr_number,
    )
    await database.executemany(
        "INSERT INTO builds (evaluation_id, job_name, drv_path, status) VALUES ($1, $2, $3, $4)",
        [(evaluation_id, f"job{index}", "/nix/store/x.drv", build) for index, build in enumerate(builds)],
    )
    return evaluation_id
