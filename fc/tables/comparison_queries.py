"""What the page of an evaluation asks: its builds by state, and what has changed since another evaluation."""

import uuid
from typing import Literal

import msgspec

from fc.base.database import Database
from fc.tables.build_queries import BuildStatus
from fc.tables.project_queries import FAILED

Change = Literal["broken", "fixed", "added", "removed"]


class GroupedBuild(msgspec.Struct, frozen=True):
    """A build in a group of builds."""

    id: uuid.UUID
    job: str
    status: BuildStatus
    system: str | None
    builder: str | None
    error_message: str | None
    seconds: float | None
    """How long it has run, or ran; none: it was never begun."""


class ChangedJob(msgspec.Struct, frozen=True):
    """A job that is not as it was in the evaluation before."""

    job: str
    build_id: uuid.UUID
    """Its build now; of a removed job, its build then."""
    status: BuildStatus
    previous_id: uuid.UUID | None
    previous_status: BuildStatus | None


_GROUP = """
SELECT b.id, b.job_name AS job, b.status, b.system, d.builder_name AS builder, b.error_message,
       EXTRACT(EPOCH FROM COALESCE(b.completed_at, now()) - b.started_at)::float8 AS seconds
FROM builds b LEFT JOIN derivations d ON d.id = b.derivation_id
WHERE b.evaluation_id = $1 AND b.status = ANY ($2) AND b.job_name > $3
ORDER BY b.job_name LIMIT $4
"""

_CHANGED = """
SELECT now_.job_name AS job, now_.id AS build_id, now_.status, then_.id AS previous_id, then_.status AS previous_status
FROM builds now_ LEFT JOIN builds then_ ON then_.evaluation_id = $2 AND then_.job_name = now_.job_name
WHERE now_.evaluation_id = $1 AND {condition}
ORDER BY now_.job_name LIMIT $3
"""

_CONDITIONS: dict[Change, str] = {
    "broken": "now_.status = ANY ($4) AND then_.status = 'succeeded'",
    "fixed": "now_.status = 'succeeded' AND then_.status = ANY ($4)",
    "added": "then_.id IS NULL AND $4::text[] IS NOT NULL",
    "removed": "then_.id IS NULL AND $4::text[] IS NOT NULL",
}


async def status_counts(database: Database, evaluation: uuid.UUID) -> dict[BuildStatus, int]:
    """How many builds of an evaluation there are of each status."""
    rows = await database.fetch(
        "SELECT status, count(*) AS builds FROM builds WHERE evaluation_id = $1 GROUP BY status", evaluation
    )
    return {row["status"]: row["builds"] for row in rows}


async def builds_in(
    database: Database,
    evaluation: uuid.UUID,
    statuses: list[BuildStatus],
    *,
    after: str = "",
    limit: int = 100,
) -> list[GroupedBuild]:
    """At most ``limit`` builds of an evaluation in one of ``statuses``, by job; those after the job ``after``."""
    return [GroupedBuild(**row) for row in await database.fetch(_GROUP, evaluation, statuses, after, limit)]


async def changed_jobs(
    database: Database, change: Change, *, now: uuid.UUID, before: uuid.UUID, limit: int = 200
) -> list[ChangedJob]:
    """At most ``limit`` jobs that changed in this way from the evaluation ``before`` to the evaluation ``now``.

    ``broken``: failed now and succeeded then; ``fixed``: the other way round.
    """
    pair = (before, now) if change == "removed" else (now, before)
    rows = await database.fetch(_CHANGED.format(condition=_CONDITIONS[change]), *pair, limit, list(FAILED))
    return [ChangedJob(**row) for row in rows]
