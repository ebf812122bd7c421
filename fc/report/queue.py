"""The queue of tasks: claimed with a token and a lease, recorded once, never two about one subject at a time."""

import uuid
from collections.abc import Collection, Mapping
from typing import Any

import asyncpg
import msgspec

from fc.base.database import Database, affected
from fc.report.pauses import TargetKey
from fc.report.retry import Again, Decision, Done, GivenUp

LEASE = 120.0
"""Seconds; longer than a delivery may take, so that a lease that has run out means a sender that has died."""

# A loose index scan: one probe for each destination, however many tasks wait for it.
_DESTINATIONS = """
WITH RECURSIVE found AS (
    (SELECT destination FROM notification_tasks WHERE status = 'pending' ORDER BY destination LIMIT 1)
    UNION ALL
    SELECT (SELECT t.destination FROM notification_tasks t
            WHERE t.status = 'pending' AND t.destination > found.destination ORDER BY t.destination LIMIT 1)
    FROM found WHERE found.destination IS NOT NULL
)
SELECT destination FROM found WHERE destination IS NOT NULL
"""
_CLAIM = """
UPDATE notification_tasks t
SET status = 'running', attempts = t.attempts + 1, claim_token = $1, lease_until = now() + make_interval(secs => $2)
FROM unnest($3::text[], $4::int[]) AS room (destination, places)
CROSS JOIN LATERAL (
    SELECT p.id FROM notification_tasks p
    WHERE p.status = 'pending' AND p.destination = room.destination AND p.next_retry_at <= now()
      AND (p.notification_config_id IS NULL OR p.notification_config_id <> ALL ($5::uuid[]))
      AND (p.config_source IS NULL OR p.config_source <> ALL ($6::text[]))
      AND NOT EXISTS (
          SELECT FROM notification_tasks r
          WHERE r.status = 'running' AND r.notification_config_id = p.notification_config_id
            AND r.subject = p.subject
      )
      AND NOT EXISTS (
          SELECT FROM notification_tasks r
          WHERE r.status = 'running' AND r.config_source = p.config_source AND r.subject = p.subject
      )
    ORDER BY p.next_retry_at, p.sequence LIMIT room.places FOR NO KEY UPDATE SKIP LOCKED
) due
WHERE t.id = due.id
RETURNING t.id, t.notification_type AS kind, t.notification_config_id AS config_id, t.config_source, t.destination,
          t.payload,
          t.attempts, t.max_attempts, t.claim_token AS token,
          extract(epoch FROM now() - t.created_at)::float8 AS age,
          CASE WHEN t.config_source IS NOT NULL THEN t.config_source = ANY ($7::text[])
          ELSE coalesce((SELECT c.enabled FROM notification_configs c WHERE c.id = t.notification_config_id), false)
          END AS wanted
"""
_COMPLETE = """
UPDATE notification_tasks
SET status = 'completed', completed_at = now(), last_error = NULL, claim_token = NULL, lease_until = NULL
WHERE id = $1 AND claim_token = $2 AND status = 'running'
"""
_FAIL = """
UPDATE notification_tasks
SET status = 'failed', completed_at = now(), last_error = $3, claim_token = NULL, lease_until = NULL
WHERE id = $1 AND claim_token = $2 AND status = 'running'
"""
_RETURN = """
UPDATE notification_tasks
SET status = 'pending', next_retry_at = now() + make_interval(secs => $3), last_error = coalesce($4, last_error),
    attempts = attempts - $5, claim_token = NULL, lease_until = NULL
WHERE id = $1 AND claim_token = $2 AND status = 'running'
"""
_SUPERSEDED = "DELETE FROM notification_tasks WHERE id = $1 AND claim_token = $2 AND status = 'running'"
_EXPIRED = """
SELECT id, claim_token AS token, attempts, max_attempts FROM notification_tasks
WHERE status = 'running' AND lease_until < now() ORDER BY lease_until LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
"""
_NEXT_DUE = """
SELECT extract(epoch FROM min(next_retry_at) - now())::float8 FROM notification_tasks
WHERE status = 'pending' AND next_retry_at > now()
"""


class Task(msgspec.Struct, frozen=True):
    """A claimed task."""

    id: uuid.UUID
    kind: str
    config_id: uuid.UUID | None
    """The target; none: it is gone from configuration, or the settings have it."""
    destination: str
    payload: Mapping[str, Any]
    attempts: int
    """Tries that count, this one included."""
    max_attempts: int
    token: uuid.UUID
    age: float
    """Seconds since it was planned."""
    wanted: bool
    """Configuration, or the settings, still have its target, switched on."""
    config_source: str | None = None
    """The configuration repository whose target the settings have; none: it is a project's."""

    @property
    def target(self) -> TargetKey | None:
        """What rate limits hold for; none: it is gone from configuration."""
        return self.config_id or self.config_source


async def waiting_destinations(database: Database) -> list[str]:
    """Every host that something waits for, due or not."""
    return [row["destination"] for row in await database.fetch(_DESTINATIONS)]


async def claim(
    database: Database,
    places: Mapping[str, int],
    paused: Collection[TargetKey] = (),
    lease: float = LEASE,
    reported: Collection[str] = (),
) -> list[Task]:
    """Claim tasks that are due, at most so many for each destination.

    A task about a subject of which another is being sent is left, so that messages arrive in the order in which
    they were planned.

    Args:
        database: where the queue is.
        places: how many for each destination.
        paused: targets to leave alone.
        lease: seconds.
        reported: the configuration repositories that the settings want to be reported about.
    """
    rows = await database.fetch(
        _CLAIM,
        uuid.uuid4(),
        lease,
        list(places),
        list(places.values()),
        [key for key in paused if isinstance(key, uuid.UUID)],
        [key for key in paused if isinstance(key, str)],
        list(reported),
    )
    return [Task(**row) for row in rows]


async def record(database: Database, task: Task, decision: Decision) -> bool:
    """Write down what became of a claimed task. False: the claim was lost meanwhile, nothing is changed."""
    if isinstance(decision, Done):
        return affected(await database.execute(_COMPLETE, task.id, task.token)) == 1
    if isinstance(decision, GivenUp):
        return affected(await database.execute(_FAIL, task.id, task.token, decision.reason)) == 1
    async with database.transaction() as connection:
        return await _give_back(connection, task.id, task.token, decision)


async def hand_back(database: Database, task: Task) -> bool:
    """Return a claimed task untried, for whoever comes next. False: the claim was lost meanwhile."""
    async with database.transaction() as connection:
        return await _give_back(connection, task.id, task.token, Again("", wait=0.0, counts=False))


async def take_back_expired(database: Database) -> int:
    """Return tasks whose sender has died; those that have no try left end as failed. How many there were."""
    count = 0
    while await _take_back_one(database):
        count += 1
    return count


async def next_due(database: Database) -> float | None:
    """Seconds until the next task that is not yet due becomes so; none: there is none."""
    seconds: float | None = await database.fetchval(_NEXT_DUE)
    return seconds


async def _take_back_one(database: Database) -> bool:
    # Each in a transaction of its own: a planner may wait for the subject of one, and this for that of another.
    reason = "whoever sent it died before it was recorded"
    async with database.transaction() as connection:
        row = await connection.fetchrow(_EXPIRED)
        if row is None:
            return False
        if row["attempts"] >= row["max_attempts"]:
            await connection.execute(_FAIL, row["id"], row["token"], reason)
        else:
            await _give_back(connection, row["id"], row["token"], Again(reason, wait=0.0, counts=True))
        return True


async def _give_back(
    connection: asyncpg.Connection, task_id: uuid.UUID, token: uuid.UUID, again: Again
) -> bool:
    """Pending again; unless a newer message about the subject waits already, which then replaces this one."""
    try:
        async with connection.transaction():
            uncounted = 0 if again.counts else 1
            tag = await connection.execute(
                _RETURN, task_id, token, again.wait, again.reason or None, uncounted
            )
    except asyncpg.UniqueViolationError:
        tag = await connection.execute(_SUPERSEDED, task_id, token)
    return affected(tag) == 1
