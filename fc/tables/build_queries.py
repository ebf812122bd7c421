"""What pages and API ask about builds: lists, one build with its surroundings, the queue."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from fc.base.database import Database

BuildStatus = Literal[
    "pending",
    "running",
    "succeeded",
    "failed",
    "dependency_failed",
    "aborted",
    "cancelled",
    "failed_with_output",
    "timeout",
    "cached_failure",
    "unsupported_system",
    "log_limit_exceeded",
    "nar_size_limit_exceeded",
    "non_deterministic",
]
"""Everything after ``running`` is final; everything final but ``succeeded`` is a failure."""

PAGE = 50

_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = datetime.resolution


class BuildRow(msgspec.Struct, frozen=True):
    """A build as lists show it."""

    id: uuid.UUID
    project: str
    jobset: str
    job: str
    evaluation_id: uuid.UUID
    status: BuildStatus
    system: str | None
    drv_path: str
    builder: str | None
    """Where its derivation is built or was built last; ``local``: the head's own store; none: nowhere yet."""
    error_message: str | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    seconds: float | None
    """How long it has run, or ran; none: it was never begun."""


class BuildFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which builds a list holds; every field that is set must match exactly."""

    project: str | None = None
    jobset: str | None = None
    job: str | None = None
    status: BuildStatus | None = None
    system: str | None = None
    evaluation_id: uuid.UUID | None = None


class Position(msgspec.Struct, frozen=True):
    """A place in the list of builds, newest first: after this build."""

    created_at: datetime
    id: uuid.UUID


class BuildDetail(msgspec.Struct, frozen=True):
    """One build with the names of all it belongs to."""

    id: uuid.UUID
    project: str
    jobset: str
    job: str
    evaluation_id: uuid.UUID
    commit_hash: str
    commit_subject: str | None
    pr_number: int | None
    status: BuildStatus
    system: str | None
    drv_path: str
    derivation_id: uuid.UUID | None
    derivation_status: str | None
    builder: str | None
    """As in ``BuildRow``."""
    error_message: str | None
    outputs: dict[str, str | None] | None
    """Store path by output name."""
    build_output_path: str | None
    log_path: str | None
    """Of the log, below the data directory; the file may not exist yet."""
    is_aggregate: bool
    constituents: Any
    meta: dict[str, Any]
    priority: int
    attempts: int
    """Attempts that ended by a builder's fault."""
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    seconds: float | None


class StepRow(msgspec.Struct, frozen=True):
    """One attempt at one derivation that the build needed."""

    step_number: int
    command: str
    status: str
    """``running``, or how it ended: as builds do."""
    drv_path: str | None
    builder: str | None
    error_output: str | None
    started_at: datetime
    completed_at: datetime | None
    exit_code: int | None
    log_path: str | None
    seconds: float | None


class ProductRow(msgspec.Struct, frozen=True):
    """A file or directory the build offers."""

    id: uuid.UUID
    name: str
    path: str
    """In the store."""
    content_type: str | None
    """Type and subtype as the build gave them, such as ``doc manual``."""
    sha256_hash: str | None
    file_size: int | None
    is_directory: bool


class MetricRow(msgspec.Struct, frozen=True):
    """A number the build has measured."""

    name: str
    value: float
    unit: str


class RelatedBuild(msgspec.Struct, frozen=True):
    """A build this one needs, or one that needs it."""

    id: uuid.UUID
    job: str
    status: BuildStatus
    system: str | None


class QueueLength(msgspec.Struct, frozen=True):
    """How much there is to do now."""

    builds_pending: int
    builds_running: int
    derivations_ready: int
    """Could be built at once if there were slots enough."""
    derivations_running: int


_ROW = """
SELECT b.id, p.name AS project, j.name AS jobset, b.job_name AS job, b.evaluation_id, b.status, b.system, b.drv_path,
       COALESCE(r.name, d.builder_name) AS builder, b.error_message, b.created_at, b.started_at, b.completed_at,
       EXTRACT(EPOCH FROM COALESCE(b.completed_at, now()) - b.started_at)::float8 AS seconds
FROM builds b
JOIN evaluations e ON e.id = b.evaluation_id
JOIN jobsets j ON j.id = e.jobset_id
JOIN projects p ON p.id = j.project_id
LEFT JOIN derivations d ON d.id = b.derivation_id
LEFT JOIN remote_builders r ON r.id = b.builder_id
"""

_DETAIL = """
SELECT b.id, p.name AS project, j.name AS jobset, b.job_name AS job, b.evaluation_id, e.commit_hash, e.commit_subject,
       e.pr_number, b.status, b.system, b.drv_path, b.derivation_id, d.status AS derivation_status,
       COALESCE(r.name, d.builder_name) AS builder, b.error_message, b.outputs, b.build_output_path,
       COALESCE(b.log_path, d.log_path) AS log_path, b.is_aggregate, b.constituents, b.meta, b.priority,
       COALESCE(d.attempts, 0) AS attempts, b.created_at, b.started_at, b.completed_at,
       EXTRACT(EPOCH FROM COALESCE(b.completed_at, now()) - b.started_at)::float8 AS seconds
FROM builds b
JOIN evaluations e ON e.id = b.evaluation_id
JOIN jobsets j ON j.id = e.jobset_id
JOIN projects p ON p.id = j.project_id
LEFT JOIN derivations d ON d.id = b.derivation_id
LEFT JOIN remote_builders r ON r.id = b.builder_id
WHERE b.id = $1
"""

_STEPS = """
SELECT s.step_number, s.command, COALESCE(s.status, 'running') AS status, d.drv_path,
       COALESCE(r.name, s.builder_name) AS builder, s.error_output, s.started_at, s.completed_at, s.exit_code, s.log_path,
       EXTRACT(EPOCH FROM COALESCE(s.completed_at, now()) - s.started_at)::float8 AS seconds
FROM build_steps s
LEFT JOIN derivations d ON d.id = s.derivation_id
LEFT JOIN remote_builders r ON r.id = s.builder_id
WHERE s.build_id = $1 ORDER BY s.step_number
"""

_QUEUE = """
SELECT (SELECT count(*) FROM builds WHERE status = 'pending') AS builds_pending,
       (SELECT count(*) FROM builds WHERE status = 'running') AS builds_running,
       (SELECT count(*) FROM derivations WHERE status = 'ready') AS derivations_ready,
       (SELECT count(*) FROM derivations WHERE status = 'running') AS derivations_running
"""


async def list_builds(
    database: Database, chosen: BuildFilter, *, after: Position | None = None, limit: int = PAGE
) -> list[BuildRow]:
    """At most ``limit`` builds, newest first; those that follow ``after``, if it is given.

    Only conditions that are asked for are in the statement, so that each list has the plan it deserves.
    """
    conditions: list[str] = []
    values: list[Any] = []
    columns = {
        "p.name": chosen.project,
        "j.name": chosen.jobset,
        "b.job_name": chosen.job,
        "b.status": chosen.status,
        "b.system": chosen.system,
        "b.evaluation_id": chosen.evaluation_id,
    }
    for column, value in columns.items():
        if value is not None:
            values.append(value)
            conditions.append(f"{column} = ${len(values)}")
    if after is not None:
        values += (after.created_at, after.id)
        conditions.append(f"(b.created_at, b.id) < (${len(values) - 1}, ${len(values)})")
    where = f"WHERE {' AND '.join(conditions)}" if conditions else ""
    rows = await database.fetch(
        f"{_ROW} {where} ORDER BY b.created_at DESC, b.id DESC LIMIT ${len(values) + 1}", *values, limit
    )
    return [_row(record) for record in rows]


async def evaluation_builds(
    database: Database, evaluation_id: uuid.UUID, *, after_job: str = "", limit: int = 1000
) -> list[BuildRow]:
    """At most ``limit`` builds of one evaluation by job name; those whose name follows ``after_job``."""
    rows = await database.fetch(
        f"{_ROW} WHERE b.evaluation_id = $1 AND b.job_name > $2 ORDER BY b.job_name LIMIT $3",
        evaluation_id,
        after_job,
        limit,
    )
    return [_row(record) for record in rows]


async def running_builds(database: Database, limit: int = PAGE) -> list[BuildRow]:
    """At most ``limit`` running builds, the longest running first."""
    rows = await database.fetch(
        f"{_ROW} WHERE b.status = 'running' ORDER BY b.started_at, b.id LIMIT $1", limit
    )
    return [_row(record) for record in rows]


async def finished_builds(database: Database, limit: int = PAGE) -> list[BuildRow]:
    """At most ``limit`` builds that have reached a final status, the latest first."""
    rows = await database.fetch(
        f"{_ROW} WHERE b.completed_at IS NOT NULL ORDER BY b.completed_at DESC, b.id DESC LIMIT $1", limit
    )
    return [_row(record) for record in rows]


async def build_detail(database: Database, build_id: uuid.UUID) -> BuildDetail | None:
    """One build, or none."""
    record = await database.fetchrow(_DETAIL, build_id)
    return None if record is None else BuildDetail(**record)


async def build_steps(database: Database, build_id: uuid.UUID) -> list[StepRow]:
    """The steps of a build, in order."""
    return [StepRow(**record) for record in await database.fetch(_STEPS, build_id)]


async def build_products(database: Database, build_id: uuid.UUID) -> list[ProductRow]:
    """What a build offers, by name."""
    rows = await database.fetch(
        """SELECT id, name, path, content_type, sha256_hash, file_size, is_directory
        FROM build_products WHERE build_id = $1 ORDER BY name, path""",
        build_id,
    )
    return [ProductRow(**record) for record in rows]


async def build_metrics(database: Database, build_id: uuid.UUID) -> list[MetricRow]:
    """What a build has measured, by name."""
    rows = await database.fetch(
        """SELECT metric_name AS name, metric_value AS value, unit
        FROM build_metrics WHERE build_id = $1 ORDER BY metric_name""",
        build_id,
    )
    return [MetricRow(**record) for record in rows]


async def build_dependencies(database: Database, build_id: uuid.UUID, limit: int = 200) -> list[RelatedBuild]:
    """Builds of the same evaluation that this one needs, by job name."""
    rows = await database.fetch(
        """SELECT b.id, b.job_name AS job, b.status, b.system FROM build_dependencies d
        JOIN builds b ON b.id = d.dependency_build_id WHERE d.build_id = $1 ORDER BY b.job_name LIMIT $2""",
        build_id,
        limit,
    )
    return [RelatedBuild(**record) for record in rows]


async def build_dependents(database: Database, build_id: uuid.UUID, limit: int = 200) -> list[RelatedBuild]:
    """Builds of the same evaluation that need this one, by job name."""
    rows = await database.fetch(
        """SELECT b.id, b.job_name AS job, b.status, b.system FROM build_dependencies d
        JOIN builds b ON b.id = d.build_id WHERE d.dependency_build_id = $1 ORDER BY b.job_name LIMIT $2""",
        build_id,
        limit,
    )
    return [RelatedBuild(**record) for record in rows]


async def queue_length(database: Database) -> QueueLength:
    """How much there is to do now; counts rows of partial indexes only."""
    record = await database.fetchrow(_QUEUE)
    assert record is not None
    return QueueLength(**record)


def next_position(rows: Sequence[BuildRow], limit: int) -> Position | None:
    """Where the next page begins; none when ``rows``, asked for with ``limit``, were the last."""
    return Position(rows[-1].created_at, rows[-1].id) if len(rows) == limit else None


def encode_position(position: Position) -> str:
    """``position`` as it stands in a URL."""
    microseconds = (position.created_at - _EPOCH) // _MICROSECOND
    return f"{microseconds}_{position.id.hex}"


def decode_position(text: str) -> Position | None:
    """The position in ``text``; none if there is no such position."""
    microseconds, _, identity = text.partition("_")
    try:
        created_at = _EPOCH + _MICROSECOND * int(microseconds)
        return Position(created_at, uuid.UUID(hex=identity))
    except (ValueError, OverflowError):
        return None


def _row(record: Any) -> BuildRow:
    return BuildRow(**record)
