"""``/api/v1/notifications``: what was and will be reported, and what stands in the way."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import get
from litestar.params import Parameter

from fc.base.database import Database

_LIST = """
SELECT t.id, t.sequence, t.notification_type AS kind, c.name AS notification, p.name AS project,
       t.config_source AS source, j.name AS jobset, b.job_name AS job, t.build_id, t.evaluation_id,
       coalesce(e.commit_hash, t.payload -> 'content' ->> 'sha') AS commit,
       t.payload -> 'content' ->> 'context' AS context,
       t.payload -> 'content' ->> 'state' AS state,
       t.payload -> 'content' ->> 'description' AS description,
       t.destination, t.status, t.attempts, t.max_attempts, t.next_retry_at, t.last_error, t.created_at,
       t.completed_at
FROM notification_tasks t
LEFT JOIN notification_configs c ON c.id = t.notification_config_id
LEFT JOIN builds b ON b.id = t.build_id
LEFT JOIN evaluations e ON e.id = t.evaluation_id
LEFT JOIN jobsets j ON j.id = e.jobset_id
LEFT JOIN projects p ON p.id = j.project_id
WHERE ($1::bigint IS NULL OR t.sequence < $1)
  AND ($2::text IS NULL OR t.status = $2)
  AND ($3::text IS NULL OR p.name = $3)
ORDER BY t.sequence DESC
LIMIT $4
"""


class Notification(msgspec.Struct, frozen=True):
    """One message to one target. Never a secret, nor a webhook's address beyond its host."""

    id: uuid.UUID
    sequence: int
    kind: str
    notification: str | None
    """Name of the target; none: it is gone from the configuration, or the settings have it."""
    source: str | None
    """The configuration repository that it is about; none: it is about a project."""
    project: str | None
    jobset: str | None
    job: str | None
    """None: it is about an evaluation."""
    build_id: uuid.UUID | None
    evaluation_id: uuid.UUID | None
    commit: str | None
    context: str | None
    """Of a status; none: it is an event."""
    state: str | None
    description: str | None
    destination: str
    """Host and port."""
    status: str
    attempts: int
    max_attempts: int
    next_retry_at: datetime
    last_error: str | None
    created_at: datetime
    completed_at: datetime | None


class NotificationPage(msgspec.Struct, frozen=True):
    """Some of the messages, newest first."""

    items: list[Notification]
    next: int | None
    """``before`` of the following page; none: this is the last."""


@get("/api/v1/notifications", tags=["notifications"], summary="What was and will be reported")
async def list_notifications(
    database: Database,
    project: Annotated[str | None, Parameter(description="Only of this project.")] = None,
    status: Annotated[
        Literal["pending", "running", "completed", "failed"] | None,
        Parameter(description="Only in this state."),
    ] = None,
    before: Annotated[
        int | None, Parameter(ge=1, le=2**63 - 1, description="Only older than this sequence number.")
    ] = None,
    limit: Annotated[int, Parameter(ge=1, le=200, description="How many.")] = 50,
) -> NotificationPage:
    """What was and will be reported, newest first."""
    rows = await database.fetch(_LIST, before, status, project, limit + 1)
    found = [Notification(**row) for row in rows[:limit]]
    return NotificationPage(found, found[-1].sequence if len(rows) > limit else None)


ROUTES = [list_notifications]
"""What the application serves of reporting."""
