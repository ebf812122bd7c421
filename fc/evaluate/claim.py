"""Claims on evaluations: taken, renewed, handed back, and taken over from the dead."""

import asyncio
import uuid
from collections.abc import Sequence

import msgspec

from fc.base.database import Database, affected
from fc.base.looping import backoff
from fc.evaluate.local_claims import PREFIX_LENGTH
from fc.evaluate.record import Claim

LEASE_SECONDS = 60.0
RENEW_SECONDS = 15.0
MOST_ATTEMPTS = 5
"""More than a machine is restarted in a row by accident; fewer than would keep others waiting for long."""

_TRIES = 50
_RETRY_SECONDS = 0.02

_FIRST_PAUSE = 5.0
_LONGEST_PAUSE = 300.0

_CLAIM = """
UPDATE evaluations e
SET status = 'running', claim_token = $1, lease_until = now() + make_interval(secs => $2), attempts = e.attempts + 1,
    started_at = now()
FROM (
    SELECT id FROM evaluations
    WHERE status = 'pending' AND next_attempt_at <= now()
       OR status = 'running' AND (lease_until IS NULL OR lease_until < now())
    ORDER BY evaluation_time DESC, id LIMIT 1 FOR UPDATE SKIP LOCKED
) c
WHERE e.id = c.id RETURNING e.id, e.attempts, e.error_message
"""
_DUE = "SELECT EXISTS (SELECT FROM evaluations WHERE status = 'pending' AND next_attempt_at <= now())"
_RENEW = """
UPDATE evaluations SET lease_until = now() + make_interval(secs => $3)
WHERE id = $1 AND claim_token = $2 AND status = 'running'
"""
_HAND_BACK = """
UPDATE evaluations SET status = 'pending', attempts = GREATEST(0, attempts - $3), error_message = COALESCE($4, error_message),
    next_attempt_at = now() + make_interval(secs => $5), claim_token = NULL, lease_until = NULL
WHERE id = $1 AND claim_token = $2 AND status = 'running'
"""
_ABANDON = "UPDATE evaluations SET lease_until = NULL WHERE left(claim_token::text, $2) = ANY ($1) AND status = 'running'"


class Claimed(msgspec.Struct, frozen=True):
    """An evaluation that was claimed."""

    claim: Claim
    attempts: int
    """With this one."""
    last_error: str | None
    """Why the last attempt was given up, if that is known."""

    @property
    def exhausted(self) -> bool:
        """Whether all attempts before this one were lost."""
        return self.attempts > MOST_ATTEMPTS


async def claim_evaluation(database: Database, token: uuid.UUID) -> Claimed | None:
    """Claim the newest evaluation that waits, or whose process is gone; none: there is none."""
    for _ in range(_TRIES):
        row = await database.fetchrow(_CLAIM, token, LEASE_SECONDS)
        if row is not None:
            return Claimed(Claim(row["id"], token), row["attempts"], row["error_message"])
        if not await database.fetchval(_DUE):
            return None
        # Skipped because it is locked: another claims it, or its report is being planned, which the same notice
        # began. Nobody will say when that ends, so look again.
        await asyncio.sleep(_RETRY_SECONDS)
    return None


async def renew(database: Database, claim: Claim) -> bool:
    """Keep a claim for another while; false: it is lost."""
    return affected(await database.execute(_RENEW, claim.evaluation_id, claim.token, LEASE_SECONDS)) == 1


async def hand_back(database: Database, claim: Claim) -> None:
    """Let another process begin anew, as if this attempt had not been."""
    await database.execute(_HAND_BACK, claim.evaluation_id, claim.token, 1, None, 0.0)


async def try_later(database: Database, claimed: Claimed, message: str) -> None:
    """Give up this attempt for a reason that is not the expression's; the next is made after a while."""
    pause = backoff(claimed.attempts, _FIRST_PAUSE, _LONGEST_PAUSE)
    claim = claimed.claim
    await database.execute(_HAND_BACK, claim.evaluation_id, claim.token, 0, message.replace("\0", ""), pause)


async def abandon(database: Database, prefixes: Sequence[str]) -> None:
    """End the leases of claims whose process is known to be dead: their tokens begin so."""
    await database.execute(_ABANDON, prefixes, PREFIX_LENGTH)
