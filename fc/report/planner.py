"""From flags to tasks: what has changed is read, what is to be said about it is queued, the flags are cleared."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg
import msgspec
import structlog

from fc.base.database import Database
from fc.base.settings import Settings
from fc.report.plan import (
    BuildFacts,
    Earlier,
    EvaluationFacts,
    Message,
    Reported,
    plan_events,
    plan_statuses,
    subjects,
)
from fc.report.target import FORGE_OF, target_of

BATCH = 500
"""Flagged builds of one transaction."""
MAX_ATTEMPTS = 12
"""With the waits of fc/report/retry.py a target may be away for three hours before something is given up."""

LOCK = 0x4643_0010
"""Advisory lock of who plans. One at a time: what is planned later is newer, on every target and subject."""

_FLAGGED_EVALUATIONS = """
SELECT id, notification_pending_since AS since FROM evaluations WHERE notification_pending_since IS NOT NULL
ORDER BY notification_pending_since LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
"""
_FLAGGED_BUILDS = """
SELECT id, evaluation_id, job_name, status, notification_pending_since AS since
FROM builds WHERE notification_pending_since IS NOT NULL
ORDER BY notification_pending_since, id LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
"""
_FACTS = """
SELECT e.id, p.name AS project, j.name AS jobset, e.commit_hash AS commit, e.status, e.error_message,
       (SELECT count(*) FROM evaluation_errors x WHERE x.evaluation_id = e.id) AS errors,
       NOT EXISTS (
           SELECT FROM evaluations n
           WHERE n.jobset_id = e.jobset_id AND n.commit_hash = e.commit_hash
             AND (n.evaluation_time, n.id) > (e.evaluation_time, e.id)
       ) AS newest,
       c.total, c.unfinished, c.succeeded, c.cancelled, c.aborted, p.id AS project_id
FROM evaluations e
JOIN jobsets j ON j.id = e.jobset_id
JOIN projects p ON p.id = j.project_id
CROSS JOIN LATERAL (
    SELECT count(*) AS total,
           count(*) FILTER (WHERE b.status IN ('pending', 'running')) AS unfinished,
           count(*) FILTER (WHERE b.status = 'succeeded') AS succeeded,
           count(*) FILTER (WHERE b.status = 'cancelled') AS cancelled,
           count(*) FILTER (WHERE b.status = 'aborted') AS aborted
    FROM builds b WHERE b.evaluation_id = e.id
) c
WHERE e.id = ANY ($1)
"""
_TARGETS = """
SELECT id, project_id, notification_type, config FROM notification_configs
WHERE project_id = ANY ($1) AND enabled ORDER BY name
"""
_EARLIER = """
SELECT DISTINCT ON (t.notification_config_id, t.subject)
       t.notification_config_id, t.subject, t.payload -> 'content' AS content, t.status
FROM notification_tasks t
WHERE t.notification_config_id = ANY ($1) AND t.subject = ANY ($2)
ORDER BY t.notification_config_id, t.subject, t.sequence DESC
"""
_LISTED = """
SELECT notification_config_id, evaluation_id, count(DISTINCT subject) AS listed
FROM notification_tasks
WHERE evaluation_id = ANY ($1) AND build_id IS NOT NULL AND notification_config_id IS NOT NULL
GROUP BY notification_config_id, evaluation_id
"""
# A task that still waits is brought up to date instead; it keeps its wait, since that is the target's trouble.
_QUEUE = """
INSERT INTO notification_tasks
    (notification_type, notification_config_id, subject, destination, payload, build_id, evaluation_id, max_attempts)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (notification_config_id, subject) WHERE status = 'pending'
DO UPDATE SET payload = EXCLUDED.payload, destination = EXCLUDED.destination, build_id = EXCLUDED.build_id,
              evaluation_id = EXCLUDED.evaluation_id, attempts = 0, last_error = NULL
"""
_CLEAR_EVALUATIONS = """
UPDATE evaluations e SET notification_pending_since = NULL
FROM unnest($1::uuid[], $2::timestamptz[]) AS read (id, since)
WHERE e.id = read.id AND e.notification_pending_since = read.since
"""
_CLEAR_BUILDS = """
UPDATE builds b SET notification_pending_since = NULL
FROM unnest($1::uuid[], $2::timestamptz[]) AS read (id, since)
WHERE b.id = read.id AND b.notification_pending_since = read.since
"""

log = structlog.get_logger(__name__)


async def plan_batch(database: Database, settings: Settings, batch: int = BATCH) -> int:
    """Queue what is to be said about at most ``batch`` flagged builds and as many evaluations.

    One transaction: either the tasks stand and the flags are cleared, or neither. Zero: nothing is flagged, or
    another process plans just now (a notice that woke this process has woken that one too).
    """
    async with database.transaction() as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", LOCK):
            return 0
        evaluations = await connection.fetch(_FLAGGED_EVALUATIONS, batch)
        builds = await connection.fetch(_FLAGGED_BUILDS, batch)
        if not evaluations and not builds:
            return 0
        flagged = {row["id"] for row in evaluations} | {row["evaluation_id"] for row in builds}
        await _queue(connection, settings, flagged, builds)
        for statement, rows in ((_CLEAR_EVALUATIONS, evaluations), (_CLEAR_BUILDS, builds)):
            await connection.execute(statement, [row["id"] for row in rows], [row["since"] for row in rows])
        return len(evaluations) + len(builds)


async def _queue(
    connection: asyncpg.Connection,
    settings: Settings,
    evaluation_ids: Iterable[uuid.UUID],
    builds: Sequence[asyncpg.Record],
) -> None:
    facts = {row["id"]: row for row in await connection.fetch(_FACTS, list(evaluation_ids))}
    targets = await connection.fetch(_TARGETS, list({row["project_id"] for row in facts.values()}))
    targets = [target for target in targets if _deliverable(target)]
    if not targets:
        return
    changed: dict[uuid.UUID, list[BuildFacts]] = defaultdict(list)
    for row in builds:
        changed[row["evaluation_id"]].append(BuildFacts(row["id"], row["job_name"], row["status"]))
    states = {id_: msgspec.convert(dict(row), EvaluationFacts, strict=False) for id_, row in facts.items()}
    config_ids = [target["id"] for target in targets]
    wanted = {name for state in states.values() for name in subjects(state, changed[state.id])}
    earlier: dict[uuid.UUID, dict[str, Reported]] = defaultdict(dict)
    for row in await connection.fetch(_EARLIER, config_ids, list(wanted)):
        last = Reported(row["content"], undeliverable=row["status"] == "failed")
        earlier[row["notification_config_id"]][row["subject"]] = last
    listed = {
        (row["notification_config_id"], row["evaluation_id"]): row["listed"]
        for row in await connection.fetch(_LISTED, list(states))
    }
    tasks: list[tuple[Any, ...]] = []
    for target in targets:
        for state in states.values():
            if facts[state.id]["project_id"] == target["project_id"]:
                count = listed.get((target["id"], state.id), 0)
                messages = _plan(target, state, changed[state.id], earlier[target["id"]], count, settings)
                tasks += [_task(target, state, message, settings) for message in messages]
    await connection.executemany(_QUEUE, tasks)


def _plan(
    target: asyncpg.Record,
    state: EvaluationFacts,
    builds: list[BuildFacts],
    earlier: Earlier,
    listed: int,
    settings: Settings,
) -> list[Message]:
    if target["notification_type"] in FORGE_OF:
        return plan_statuses(state, builds, earlier, listed, settings.public_url)
    return plan_events(state, builds, earlier, settings.public_url)


def _deliverable(target: asyncpg.Record) -> bool:
    if target["notification_type"] == "email":
        log.warning("mail is not sent by this version of FC", notification=str(target["id"]))
        return False
    return True


def _task(
    target: asyncpg.Record, state: EvaluationFacts, message: Message, settings: Settings
) -> tuple[Any, ...]:
    kind = target["notification_type"]
    goal = target_of(kind, target["config"], settings.forges)
    payload = {"content": message.content, "target": msgspec.to_builtins(goal)}
    return (
        kind,
        target["id"],
        message.subject,
        goal.destination,
        payload,
        message.build_id,
        state.id,
        MAX_ATTEMPTS,
    )
