"""Rows of ``config_sources``: which repository is followed, who synchronises it now, and how it went."""

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec

from fc.base.database import Database, affected
from fc.base.errors import ConflictError
from fc.base.git_url import redact_git_url
from fc.base.problems import Problem
from fc.base.source_settings import DEFAULT_SOURCE, SourceSettings
from fc.config.diff import DIGEST_SHOWN
from fc.config.errors import PlanHeldError, PlanWaitingError

SOURCE = DEFAULT_SOURCE

LEASE_SECONDS = 15.0
"""How long a synchronisation that says nothing is believed to be alive; also how long one that was killed is in the way."""

_REGISTER = """
INSERT INTO config_sources (name, url, branch, path, scope) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (name) DO UPDATE SET url = EXCLUDED.url, branch = EXCLUDED.branch, path = EXCLUDED.path,
    scope = EXCLUDED.scope, active = true, next_sync_at = now(),
    -- What was in force of another repository or branch says nothing of what is new in this one.
    synced_commit = CASE WHEN (config_sources.url, config_sources.branch) = (EXCLUDED.url, EXCLUDED.branch)
        THEN config_sources.synced_commit END
"""
_RETIRE = "UPDATE config_sources SET active = false WHERE active AND project_id IS NULL AND name <> ALL ($1)"
_CLAIM = """
UPDATE config_sources SET claim_token = $2, lease_until = now() + make_interval(secs => $3)
WHERE id = (
    SELECT id FROM config_sources
    WHERE name = $1 AND (next_sync_at <= now() OR sync_requested_at IS NOT NULL)
      AND (claim_token IS NULL OR lease_until < now())
      AND NOT EXISTS (
        SELECT 1 FROM config_pauses p WHERE p.source = config_sources.name AND p.ended_at IS NULL
          AND (p.paused_until IS NULL OR p.paused_until > now())
      )
    FOR UPDATE SKIP LOCKED
)
RETURNING failures, sync_requested_at, synced_commit
"""
_RENEW = "UPDATE config_sources SET lease_until = now() + make_interval(secs => $3) WHERE name = $1 AND claim_token = $2"
_HOLD = "SELECT 1 FROM config_sources WHERE name = $1 AND claim_token = $2 FOR UPDATE"
# A request that came while the synchronisation ran stands, since what was fetched may be older than it.
_FINISH = """
UPDATE config_sources SET status = $3, error_message = $4, errors = $5, failures = $6,
    last_seen_commit = COALESCE($7, last_seen_commit),
    held = CASE WHEN $3 = 'failed' THEN held ELSE $10::jsonb END,
    confirmed_digest = CASE WHEN $3 = 'failed' OR confirmed_digest IN ($10::jsonb ->> 'digest', $10::jsonb ->> 'passed')
        THEN confirmed_digest END,
    opens_at = $11,
    synced_commit = CASE WHEN $3 = 'synced' THEN $7 ELSE synced_commit END,
    last_synced_at = CASE WHEN $3 = 'synced' THEN now() ELSE last_synced_at END,
    next_sync_at = now() + make_interval(secs => $8),
    sync_requested_at = CASE WHEN sync_requested_at IS DISTINCT FROM $9 THEN sync_requested_at END,
    claim_token = NULL, lease_until = NULL
WHERE name = $1 AND claim_token = $2
"""
# The same move at the next look is no other one.
_MOVED = """
UPDATE config_sources SET forced_from = $3, forced_at = clock_timestamp()
WHERE name = $1 AND claim_token = $2 AND (forced_from IS DISTINCT FROM $3 OR last_seen_commit IS DISTINCT FROM $4)
"""
_RELEASE = (
    "UPDATE config_sources SET claim_token = NULL, lease_until = NULL WHERE name = $1 AND claim_token = $2"
)
_REQUEST = "UPDATE config_sources SET sync_requested_at = clock_timestamp() WHERE name = $1"
_REQUEST_ALL = "UPDATE config_sources SET sync_requested_at = clock_timestamp() WHERE active"
_LATEST = """
SELECT id FROM config_revisions WHERE source = $1 AND status = 'applied' ORDER BY created_at DESC LIMIT 1
"""
_CONFIRM = """
UPDATE config_sources SET confirmed_digest = held ->> 'digest', sync_requested_at = clock_timestamp()
WHERE status IN ('held', 'waiting') AND length($1) >= $2 AND starts_with(held ->> 'digest', lower($1))
RETURNING confirmed_digest
"""
_CONFIRMED = "SELECT confirmed_digest FROM config_sources WHERE name = $1"
_HELD = """
SELECT name, held ->> 'digest' AS digest FROM config_sources WHERE status IN ('held', 'waiting') ORDER BY name
"""
_HELD_ALIKE = """
SELECT status = $4 AND commit_hash IS NOT DISTINCT FROM $2 AND plan ->> 'digest' = $3
FROM config_revisions WHERE source = $1 ORDER BY created_at DESC LIMIT 1
"""
_SAME_FAILURE = """
SELECT status = 'failed' AND commit_hash IS NOT DISTINCT FROM $2 AND errors = $3::jsonb
    AND COALESCE(plan -> 'reasons', '[]') = $4::jsonb
FROM config_revisions WHERE source = $1 ORDER BY created_at DESC LIMIT 1
"""


class ClaimLostError(ConflictError):
    """Another process has taken over: it took us for dead."""

    code = "claim_lost"


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to synchronise a source until the lease ends."""

    source: str
    token: uuid.UUID
    failures: int
    """Failed tries in a row before this one."""
    requested_at: datetime | None
    """The request this try answers."""
    synced_commit: str | None
    """The newest commit that was found to be in force."""


async def register(database: Database, name: str, configured: SourceSettings) -> None:
    """Make the row say what the settings say, and have it synchronised now."""
    assert configured.url is not None
    scope = msgspec.to_builtins(configured.scope)
    await database.execute(
        _REGISTER, name, redact_git_url(configured.url), configured.branch, configured.path, scope
    )


async def retire(database: Database, followed: Iterable[str]) -> None:
    """Mark the sources that the settings name no more: they are followed no more, and what they own stays."""
    await database.execute(_RETIRE, list(followed))


async def request_sync(connection: Database | asyncpg.Connection, source: str = SOURCE) -> bool:
    """Have a source synchronised at once; false: there is none of that name."""
    return affected(await connection.execute(_REQUEST, source)) > 0


async def request_every_sync(connection: Database | asyncpg.Connection) -> None:
    """Have every source synchronised at once."""
    await connection.execute(_REQUEST_ALL)


async def claim(database: Database, source: str = SOURCE) -> Claim | None:
    """Claim a source if it is due or asked for, and nobody else works on it."""
    token = uuid.uuid4()
    row = await database.fetchrow(_CLAIM, source, token, LEASE_SECONDS)
    if row is None:
        return None
    return Claim(source, token, row["failures"], row["sync_requested_at"], row["synced_commit"])


async def renew(database: Database, held: Claim) -> bool:
    """Lengthen the lease; false: it is lost."""
    return affected(await database.execute(_RENEW, held.source, held.token, LEASE_SECONDS)) > 0


async def hold(connection: asyncpg.Connection, held: Claim) -> None:
    """Keep the claim until the transaction ends.

    Raises:
        ClaimLostError: somebody else has it.
    """
    if await connection.fetchval(_HOLD, held.source, held.token) is None:
        message = "another process synchronises the configuration"
        raise ClaimLostError(message)


async def finish_synced(
    connection: Database | asyncpg.Connection, held: Claim, commit: str, poll_seconds: float
) -> None:
    """Record that the database is as ``commit`` says, and give the claim back."""
    await _finish(connection, held, _Outcome("synced", None, commit, poll_seconds))


async def finish_held(
    connection: asyncpg.Connection, held: Claim, commit: str, error: PlanHeldError, poll_seconds: float
) -> None:
    """Record that the plan of ``commit`` waits to be confirmed, and give the claim back."""
    waiting = {
        "digest": error.digest,
        "commit": commit,
        "reasons": list(error.reasons),
        "by_commit": error.by_commit,
    }
    message = f"the plan is held until it is confirmed: {'; '.join(error.reasons)}"
    await _finish(connection, held, _Outcome("held", message, commit, poll_seconds, plan=waiting))


async def finish_waiting(
    connection: asyncpg.Connection, held: Claim, commit: str, error: PlanWaitingError, poll_seconds: float
) -> None:
    """Record that the plan of ``commit`` waits for a sync window, have it looked at when that opens, give the claim back."""
    waiting = {
        "digest": error.digest,
        "commit": commit,
        "reasons": list(error.reasons),
        "by_commit": False,
        "passed": error.passed,
    }
    seconds = poll_seconds
    if error.opens_at is not None:
        seconds = min(seconds, max(1.0, (error.opens_at - datetime.now(UTC)).total_seconds()))
    outcome = _Outcome("waiting", str(error), commit, seconds, plan=waiting, opens_at=error.opens_at)
    await _finish(connection, held, outcome)


async def note_move(database: Database, held: Claim, was: str, commit: str) -> bool:
    """Remember that the branch no longer holds ``was``, the commit in force; false: that is known already."""
    return affected(await database.execute(_MOVED, held.source, held.token, was, commit)) > 0


async def confirm(connection: Database | asyncpg.Connection, digest: str) -> str:
    """Have the plan that is held, or waits for a window, applied if it is still the same then; its whole digest.

    Args:
        connection: where the source is.
        digest: of the plan, or at least the twelve characters that are shown.

    Raises:
        ConflictError: no plan is held, or another one.
    """
    found: str | None = await connection.fetchval(_CONFIRM, digest, DIGEST_SHOWN)
    if found is not None:
        return found
    waiting = [f"{row['digest'][:DIGEST_SHOWN]} ({row['name']})" for row in await connection.fetch(_HELD)]
    if not waiting:
        message = "no plan is held, so there is nothing to confirm"
    else:
        message = f"the plan that is held is {', '.join(waiting)}, not {digest[:64]!r}; look at it before you confirm it"
    raise ConflictError(message)


async def confirmed(connection: asyncpg.Connection, source: str) -> str | None:
    """The whole digest that somebody confirmed, if somebody did."""
    found: str | None = await connection.fetchval(_CONFIRMED, source)
    return found


async def held_alike(
    connection: asyncpg.Connection, source: str, commit: str, digest: str, status: str
) -> bool:
    """Whether the last revision is the same plan of the same commit, held or waiting: then it needs no other record."""
    return bool(await connection.fetchval(_HELD_ALIKE, source, commit, digest, status))


async def finish_failed(
    connection: Database | asyncpg.Connection,
    held: Claim,
    message: str,
    *,
    retry_seconds: float,
    commit: str | None = None,
    problems: Iterable[Problem] = (),
) -> None:
    """Record why it failed, and give the claim back. What was applied before stays as it is."""
    outcome = _Outcome("failed", message, commit, retry_seconds, problems, held.failures + 1)
    await _finish(connection, held, outcome)


async def release(database: Database, held: Claim) -> None:
    """Give the claim back without a result, for whoever is next."""
    await database.execute(_RELEASE, held.source, held.token)


async def latest_revision(
    connection: Database | asyncpg.Connection, source: str = SOURCE
) -> uuid.UUID | None:
    """The revision of a source that was applied last, from git or by hand."""
    found: uuid.UUID | None = await connection.fetchval(_LATEST, source)
    return found


async def failed_alike(
    connection: asyncpg.Connection,
    source: str,
    commit: str,
    problems: Iterable[Problem],
    reasons: Iterable[str],
) -> bool:
    """Whether the last revision failed at the same commit for the same causes: then it needs no other record."""
    return bool(await connection.fetchval(_SAME_FAILURE, source, commit, list(problems), list(reasons)))


@dataclass(frozen=True, slots=True)
class _Outcome:
    """How a synchronisation went."""

    status: str
    message: str | None
    commit: str | None
    seconds: float
    """Until it is due again."""
    problems: Iterable[Problem] = ()
    failures: int = 0
    plan: dict[str, Any] | None = None
    opens_at: datetime | None = None


async def _finish(connection: Database | asyncpg.Connection, held: Claim, outcome: _Outcome) -> None:
    """Record a result, and give the claim back."""
    await connection.execute(
        _FINISH,
        held.source,
        held.token,
        outcome.status,
        outcome.message,
        list(outcome.problems),
        outcome.failures,
        outcome.commit,
        outcome.seconds,
        held.requested_at,
        outcome.plan,
        outcome.opens_at,
    )
