"""Rows of ``config_previews``: which pull requests are open, who plans one now, and what it would change."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from fc.base.database import Database, affected
from fc.base.problems import Problem
from fc.forge.events import PullRequest

MOST_OPEN = 200
"""Open pull requests of one source that are previewed."""
LEASE_SECONDS = 30.0
_LONGEST_BACKOFF = 3600

_OPEN = "SELECT count(*) FROM config_previews WHERE source = $1 AND status <> 'closed' AND number <> $2"
# Only a new head or a new life is planned again: what else happens to a pull request changes no file. Whoever plans
# the old head now loses the claim.
_NOTE = """
INSERT INTO config_previews AS p (source, number, title, author, url, head_hash, requested_at, report_pending_since)
VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp(), clock_timestamp())
ON CONFLICT (source, number) DO UPDATE SET
    title = EXCLUDED.title, author = COALESCE(EXCLUDED.author, p.author), url = COALESCE(EXCLUDED.url, p.url),
    head_hash = EXCLUDED.head_hash, closed_at = NULL, looked_at = clock_timestamp(), found_closed_at = NULL,
    status = CASE WHEN MOVED THEN 'pending' ELSE p.status END,
    message = CASE WHEN MOVED THEN NULL ELSE p.message END,
    plan = CASE WHEN MOVED THEN '{}'::jsonb ELSE p.plan END,
    errors = CASE WHEN MOVED THEN '[]'::jsonb ELSE p.errors END,
    requested_at = CASE WHEN MOVED THEN clock_timestamp() ELSE p.requested_at END,
    report_pending_since = CASE WHEN MOVED THEN clock_timestamp() ELSE p.report_pending_since END,
    failures = CASE WHEN MOVED THEN 0 ELSE p.failures END,
    next_plan_at = CASE WHEN MOVED THEN NULL ELSE p.next_plan_at END,
    claim_token = CASE WHEN MOVED THEN NULL ELSE p.claim_token END,
    lease_until = CASE WHEN MOVED THEN NULL ELSE p.lease_until END
""".replace("MOVED", "(p.status = 'closed' OR p.head_hash <> EXCLUDED.head_hash)")
# The plan that is under way goes on: who asks again and again must not keep it from ever ending. It answers an earlier
# request, so another one follows.
_RERUN = """
UPDATE config_previews SET status = 'pending', message = NULL, plan = '{}', errors = '[]', reruns = reruns + 1,
    requested_at = clock_timestamp(), report_pending_since = clock_timestamp(), failures = 0, next_plan_at = NULL
WHERE id IN (
    SELECT id FROM config_previews WHERE source = ANY ($1) AND head_hash = $2 AND status <> 'closed'
    ORDER BY id FOR UPDATE
)
"""
_CLOSE = """
UPDATE config_previews SET status = 'closed', closed_at = now(), requested_at = NULL, next_plan_at = NULL,
    report_pending_since = NULL, claim_token = NULL, lease_until = NULL
WHERE source = $1 AND number = $2 AND status <> 'closed'
"""
_CLOSE_CLAIMED = """
UPDATE config_previews SET status = 'closed', closed_at = now(), requested_at = NULL, next_plan_at = NULL,
    report_pending_since = NULL, claim_token = NULL, lease_until = NULL, failures = 0
WHERE id = $1 AND claim_token = $2 AND status <> 'closed'
"""
_CLOSE_FOUND = """
UPDATE config_previews SET status = 'closed', closed_at = now(), requested_at = NULL, next_plan_at = NULL,
    report_pending_since = NULL, claim_token = NULL, lease_until = NULL
WHERE status <> 'closed' AND found_closed_at IS NOT NULL
RETURNING source, number
"""
_CLOSE_OTHERS = """
UPDATE config_previews SET status = 'closed', closed_at = now(), requested_at = NULL, next_plan_at = NULL,
    report_pending_since = NULL, claim_token = NULL, lease_until = NULL
WHERE status <> 'closed' AND source <> ALL ($1)
"""
# Whoever marks several takes them in one order, so no two wait for each other.
_BASE_MOVED = """
UPDATE config_previews SET requested_at = clock_timestamp() WHERE id IN (
    SELECT id FROM config_previews WHERE source = $1 AND status <> 'closed' AND base_hash IS DISTINCT FROM $2
    ORDER BY id FOR UPDATE
)
"""
_STATE_MOVED = """
UPDATE config_previews SET requested_at = clock_timestamp() WHERE id IN (
    SELECT id FROM config_previews WHERE status <> 'closed' ORDER BY id FOR UPDATE
)
"""
# A try counts as failed until it ends, so one that kills its process comes again ever later. A synchronisation that
# was just asked for goes first: afterwards there is something else to compare with.
_CLAIM = """
UPDATE config_previews SET claim_token = $2, lease_until = now() + make_interval(secs => $3),
    failures = failures + 1,
    next_plan_at = now() + make_interval(secs => LEAST($4, 10 * 2 ^ LEAST(failures + 1, 20)))
WHERE id = (
    SELECT id FROM config_previews p
    WHERE source = ANY ($1) AND status <> 'closed' AND requested_at IS NOT NULL
      AND (next_plan_at IS NULL OR next_plan_at <= now()) AND (claim_token IS NULL OR lease_until < now())
      AND NOT EXISTS (
        SELECT 1 FROM config_sources s
        WHERE s.name = p.source AND s.active AND s.sync_requested_at > now() - interval '20 seconds'
      )
    ORDER BY failures, planned_at NULLS FIRST, requested_at LIMIT 1
    FOR UPDATE SKIP LOCKED
)
RETURNING id, source, number, head_hash, requested_at, failures, planned_at IS NOT NULL AS again
"""
_RENEW = "UPDATE config_previews SET lease_until = now() + make_interval(secs => $3) WHERE id = $1 AND claim_token = $2"
# What is reported is put down anew only when it says something else.
_FINISH = """
UPDATE config_previews SET head_hash = $3::text, base_hash = $4, base_revision_id = $5, status = $6::text,
    message = $7::text,
    plan = $8, errors = $9, failures = 0, next_plan_at = NULL, planned_at = now(),
    requested_at = CASE WHEN requested_at IS DISTINCT FROM $10 THEN requested_at END,
    report_pending_since = CASE
        WHEN (head_hash, status, message, plan ->> 'digest', errors)
             IS DISTINCT FROM ($3::text, $6::text, $7::text, $8::jsonb ->> 'digest', $9::jsonb)
        THEN clock_timestamp() ELSE report_pending_since END,
    claim_token = NULL, lease_until = NULL
WHERE id = $1 AND claim_token = $2 AND status <> 'closed'
"""
# next_plan_at was set by the claim; what was planned before stays as it is.
_FAIL = """
UPDATE config_previews SET message = CASE WHEN status = 'pending' THEN $3 ELSE message END,
    claim_token = NULL, lease_until = NULL
WHERE id = $1 AND claim_token = $2
"""
_HAND_BACK = """
UPDATE config_previews SET failures = GREATEST(failures - 1, 0), next_plan_at = NULL,
    claim_token = NULL, lease_until = NULL
WHERE id = $1 AND claim_token = $2
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to plan one pull request until the lease ends."""

    id: uuid.UUID
    token: uuid.UUID
    source: str
    number: int
    head: str
    """The commit it is known by."""
    requested_at: datetime
    """The request this try answers."""
    failures: int
    """Tries in a row without an end, this one among them."""
    again: bool
    """It was planned before."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What planning a pull request came to."""

    status: str
    """``planned``, ``held`` or ``failed``."""
    message: str
    head: str
    base: str
    revision: uuid.UUID | None = None
    """In force when it was planned."""
    plan: dict[str, Any] | None = None
    errors: tuple[Problem, ...] = ()


async def note_pull_request(connection: asyncpg.Connection, source: str, event: PullRequest) -> str | None:
    """Remember a pull request that goes to the followed branch, and have it planned if it says something new.

    Returns:
        Why nothing is done; none: something is.
    """
    if event.closed:
        closed = affected(await connection.execute(_CLOSE, source, event.number)) > 0
        return None if closed else "this pull request is closed"
    if await connection.fetchval(_OPEN, source, event.number) >= MOST_OPEN:
        return f"{MOST_OPEN} pull requests are open; no more are previewed"
    await connection.execute(
        _NOTE, source, event.number, event.title, event.author, event.url, event.head_sha
    )
    return None


async def forget_pull_request(connection: asyncpg.Connection, source: str, number: int) -> bool:
    """A pull request does not go to the followed branch any more; false: it was not known."""
    return affected(await connection.execute(_CLOSE, source, number)) > 0


async def rerun(connection: asyncpg.Connection, sources: Iterable[str], head: str) -> int:
    """Have every open pull request of ``sources`` with this head planned and reported anew; how many there are."""
    return affected(await connection.execute(_RERUN, list(sources), head))


async def base_moved(connection: Database | asyncpg.Connection, source: str, commit: str) -> None:
    """Have every open pull request of ``source`` that was planned on another commit planned again."""
    await connection.execute(_BASE_MOVED, source, commit)


async def state_moved(connection: Database | asyncpg.Connection) -> None:
    """Have every open pull request planned again: what it is compared with has changed."""
    await connection.execute(_STATE_MOVED)


async def close_others(database: Database, previewed: Iterable[str]) -> None:
    """Close what belongs to sources that are not previewed any more."""
    await database.execute(_CLOSE_OTHERS, list(previewed))


async def close_found(database: Database) -> list[tuple[str, int]]:
    """Close what its forge, asked, said is closed; sources and numbers."""
    return [(row["source"], row["number"]) for row in await database.fetch(_CLOSE_FOUND)]


async def claim(database: Database, sources: Iterable[str]) -> Claim | None:
    """Claim a pull request that is due and nobody else plans; new ones first."""
    token = uuid.uuid4()
    row = await database.fetchrow(_CLAIM, list(sources), token, LEASE_SECONDS, _LONGEST_BACKOFF)
    if row is None:
        return None
    return Claim(
        row["id"],
        token,
        row["source"],
        row["number"],
        row["head_hash"],
        row["requested_at"],
        row["failures"],
        row["again"],
    )


async def renew(database: Database, held: Claim) -> bool:
    """Lengthen the lease; false: it is lost."""
    return affected(await database.execute(_RENEW, held.id, held.token, LEASE_SECONDS)) > 0


async def finish(database: Database, held: Claim, outcome: Outcome) -> bool:
    """Record what came of it; false: the claim is lost, and nothing is recorded."""
    tag = await database.execute(
        _FINISH,
        held.id,
        held.token,
        outcome.head,
        outcome.base,
        outcome.revision,
        outcome.status,
        outcome.message,
        outcome.plan or {},
        list(outcome.errors),
        held.requested_at,
    )
    return affected(tag) > 0


async def finish_closed(database: Database, held: Claim) -> None:
    """Record that it was merged, or is gone."""
    await database.execute(_CLOSE_CLAIMED, held.id, held.token)


async def finish_failed(database: Database, held: Claim, message: str) -> None:
    """Give the claim back after a failure that is not the pull request's; it is tried again later."""
    await database.execute(_FAIL, held.id, held.token, message)


async def hand_back(database: Database, held: Claim) -> None:
    """Give the claim back without a result, for whoever is next."""
    await database.execute(_HAND_BACK, held.id, held.token)
