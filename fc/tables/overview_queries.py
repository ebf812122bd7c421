"""What the overview asks beyond builds and evaluations: how much there is to do, what waits, what was reported."""

import uuid
from datetime import datetime
from typing import Any, Literal

import msgspec

from fc.base.database import Database

_MOST_COUNTED = 10_000


class Load(msgspec.Struct, frozen=True):
    """How much there is to do. Counts end at 10,000: nobody reads a longer queue by its exact length."""

    builds_running: int
    builds_pending: int
    derivations_running: int
    """Being built now; one may serve several builds."""
    derivations_ready: int
    """Only wait for a free builder."""
    evaluations_running: int
    evaluations_pending: int


class QueuedBuild(msgspec.Struct, frozen=True):
    """A build that waits."""

    id: uuid.UUID
    project: str
    jobset: str
    job: str
    system: str | None
    created_at: datetime
    ready: bool
    """Waits for a builder only; false: for its inputs first."""
    missing_inputs: int


class NotificationRow(msgspec.Struct, frozen=True):
    """One delivery of a result to the outside."""

    id: uuid.UUID
    notification_type: str
    target: str | None
    """Name of the notification in its project; none when it was removed since."""
    project: str | None
    jobset: str | None
    state: str | None
    """What is told, in the words of the receiver, such as ``success``; none when it is no status."""
    status: Literal["pending", "running", "completed", "failed"]
    attempts: int
    max_attempts: int
    next_retry_at: datetime
    last_error: str | None
    build_id: uuid.UUID | None
    job: str | None
    evaluation_id: uuid.UUID | None
    created_at: datetime
    completed_at: datetime | None


_LOAD = """
SELECT
    (SELECT count(*) FROM (SELECT FROM builds WHERE status = 'running' LIMIT $1) x) AS builds_running,
    (SELECT count(*) FROM (SELECT FROM builds WHERE status = 'pending' LIMIT $1) x) AS builds_pending,
    (SELECT count(*) FROM (SELECT FROM derivations WHERE status = 'running' LIMIT $1) x) AS derivations_running,
    (SELECT count(*) FROM (SELECT FROM derivations WHERE status = 'ready' LIMIT $1) x) AS derivations_ready,
    (SELECT count(*) FROM (SELECT FROM evaluations WHERE status = 'running' LIMIT $1) x) AS evaluations_running,
    (SELECT count(*) FROM (SELECT FROM evaluations WHERE status = 'pending' LIMIT $1) x) AS evaluations_pending
"""

_QUEUED = """
SELECT b.id, p.name AS project, j.name AS jobset, b.job_name AS job, b.system, b.created_at,
       COALESCE(d.status = 'ready', false) AS ready, COALESCE(d.missing_inputs, 0) AS missing_inputs
FROM (
    SELECT * FROM builds WHERE status = 'pending' ORDER BY priority DESC, created_at LIMIT $1
) b
JOIN evaluations e ON e.id = b.evaluation_id
JOIN jobsets j ON j.id = e.jobset_id
JOIN projects p ON p.id = j.project_id
LEFT JOIN derivations d ON d.id = b.derivation_id
ORDER BY b.priority DESC, b.created_at, b.id
"""

_NOTIFICATIONS = """
SELECT t.id, t.notification_type, c.name AS target, COALESCE(p.name, q.name) AS project, j.name AS jobset,
       t.payload -> 'content' ->> 'state' AS state, t.status, t.attempts,
       t.max_attempts, t.next_retry_at, t.last_error, t.build_id, b.job_name AS job, t.evaluation_id,
       t.created_at, t.completed_at
FROM (
    SELECT * FROM notification_tasks
    WHERE ($1::text IS NULL OR status = $1)
      AND ($2::uuid IS NULL OR (created_at, id) < (SELECT created_at, id FROM notification_tasks WHERE id = $2))
    ORDER BY created_at DESC, id DESC LIMIT $3
) t
LEFT JOIN notification_configs c ON c.id = t.notification_config_id
LEFT JOIN projects p ON p.id = c.project_id
LEFT JOIN builds b ON b.id = t.build_id
LEFT JOIN evaluations e ON e.id = COALESCE(t.evaluation_id, b.evaluation_id)
LEFT JOIN jobsets j ON j.id = e.jobset_id
LEFT JOIN projects q ON q.id = j.project_id
ORDER BY t.created_at DESC, t.id DESC
"""


async def current_load(database: Database) -> Load:
    """How much there is to do now; reads indexes of unfinished rows, never a whole table."""
    row: Any = await database.fetchrow(_LOAD, _MOST_COUNTED)
    return Load(**row)


async def queued_builds(database: Database, limit: int = 20) -> list[QueuedBuild]:
    """At most ``limit`` builds that wait, the most urgent and then the oldest first."""
    return [QueuedBuild(**row) for row in await database.fetch(_QUEUED, limit)]


async def recent_notifications(
    database: Database, *, status: str | None = None, before: uuid.UUID | None = None, limit: int = 50
) -> list[NotificationRow]:
    """At most ``limit`` deliveries, newest first.

    Args:
        database: where they are.
        status: only those in this status.
        before: only older ones than this delivery: the last one of the page before.
        limit: most rows.
    """
    return [NotificationRow(**row) for row in await database.fetch(_NOTIFICATIONS, status, before, limit)]
