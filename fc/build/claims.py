"""Claims: one process at a time builds a derivation, for as long as it renews its lease."""

import uuid
from collections.abc import Collection, Sequence

import asyncpg
import msgspec

from fc.base.database import Database
from fc.build.graph import drop_demands, oldest_build
from fc.build.logs import log_path_of
from fc.build.schedule import Slots
from fc.build.worker_identity import is_dead
from fc.tables.graph_lock import lock_graph

LEASE_SECONDS = 15.0
"""How long a claim stands without its heartbeat."""
HEARTBEAT_SECONDS = 3.0

_CLAIM = """
UPDATE derivations SET status = 'running', claim_token = gen_random_uuid(), lease_until = now() + make_interval(secs => $2),
       worker = $3, builder_id = $4, builder_name = $5, log_path = $6, started_at = now(), completed_at = NULL
WHERE id = (
    SELECT id FROM derivations WHERE id = $1 AND status = 'ready' AND next_attempt_at <= now() FOR UPDATE SKIP LOCKED
)
RETURNING id, claim_token, drv_path, name, timeout, max_silent, fixed_output, attempts
"""

_STEP = """
INSERT INTO build_steps (build_id, step_number, command, started_at, derivation_id, builder_id, builder_name, log_path)
SELECT b.id, 1 + COALESCE((SELECT max(step_number) FROM build_steps WHERE build_id = b.id), 0), $2, now(), $3, $4, $5, $6
FROM unnest($1::uuid[]) AS b (id)
"""

_HAND_BACK = """
UPDATE derivations SET status = 'ready', claim_token = NULL, lease_until = NULL, worker = NULL,
       attempts = attempts + $2, next_attempt_at = now() + make_interval(secs => $3),
       error_message = CASE WHEN $2 > 0 THEN $4 ELSE error_message END
WHERE claim_token = ANY ($1) AND status = 'running' RETURNING id
"""


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """The right to build one derivation. Everything recorded with its token changes nothing once it is lost."""

    derivation_id: uuid.UUID
    token: uuid.UUID
    drv_path: str
    name: str
    builder: Slots
    timeout: int | None
    """Seconds; none: the settings' limit. ``max_silent`` likewise."""
    max_silent: int | None
    fixed_output: bool
    attempts: int
    """Attempts before this one that ended by a builder's fault."""
    log_path: str


async def claim(
    database: Database, derivation_id: uuid.UUID, builder: Slots, worker: str, lease: float = LEASE_SECONDS
) -> Claim | None:
    """Claim a ready derivation for ``builder``; none: it is gone, nobody needs it any more, or the builder is full.

    ``max_jobs`` of a remote builder is a hard limit for every process together: its row is locked while they are
    counted. The slots of the head's own store belong to each process, which counts them itself.
    """
    try:
        async with database.transaction() as connection:
            if builder.id is not None and not await _has_room(connection, builder.id):
                return None
            return await _claim(connection, derivation_id, builder, worker, lease)
    except _NotNeededError:
        async with database.transaction() as connection:
            # Under the lock: a new build may have come to need it in between.
            await lock_graph(connection)
            if await oldest_build(connection, derivation_id) is None:
                await drop_demands(connection, [derivation_id])
        return None


async def renew(
    database: Database, tokens: Collection[uuid.UUID], lease: float = LEASE_SECONDS
) -> set[uuid.UUID]:
    """Renew the leases of ``tokens``; those that still stand. The others were taken over: stop working on them."""
    rows = await database.fetch(
        """UPDATE derivations SET lease_until = now() + make_interval(secs => $2)
        WHERE claim_token = ANY ($1) AND status = 'running' RETURNING claim_token""",
        list(tokens),
        lease,
    )
    return {row["claim_token"] for row in rows}


async def hand_back(
    database: Database, tokens: Collection[uuid.UUID], reason: str, delay: float = 0.0
) -> int:
    """Make the derivations of ``tokens`` ready again, as if nothing had been tried; how many that were.

    Args:
        database: where the claims are.
        tokens: of the claims; one that stands no longer is left alone.
        reason: for people.
        delay: seconds before they may be claimed again.
    """
    return await _return(database, tokens, reason, attempts=0, delay=delay)


async def retry_later(database: Database, token: uuid.UUID, reason: str, delay: float) -> bool:
    """The attempt was lost by no fault of the derivation: again, elsewhere if possible, in ``delay`` seconds."""
    return await _return(database, [token], reason, attempts=1, delay=delay) == 1


async def take_over_expired(database: Database) -> int:
    """Hand back what is claimed by processes that renew no longer, and at once what dead ones of this machine hold.

    Not counted as attempts: a restart is never a build's fault.
    """
    rows = await database.fetch(
        "SELECT claim_token, worker, lease_until < now() AS expired FROM derivations WHERE status = 'running'"
    )
    dead = {row["worker"] for row in rows if row["worker"] is not None and is_dead(row["worker"])}
    tokens = [row["claim_token"] for row in rows if row["expired"] or row["worker"] in dead]
    return await hand_back(database, tokens, "the process that watched over it is gone") if tokens else 0


class _NotNeededError(Exception):
    """No unfinished build needs the derivation: the claim is rolled back."""


async def _has_room(connection: asyncpg.Connection, builder_id: uuid.UUID) -> bool:
    row = await connection.fetchrow(
        """SELECT enabled AND (disabled_until IS NULL OR disabled_until <= now()) AS usable,
        CASE WHEN consecutive_failures > 0 THEN LEAST(max_jobs, 1) ELSE max_jobs END AS most
        FROM remote_builders WHERE id = $1 FOR NO KEY UPDATE""",
        builder_id,
    )
    if row is None or not row["usable"]:
        return False
    running: int = await connection.fetchval(
        "SELECT count(*) FROM derivations WHERE status = 'running' AND builder_id = $1", builder_id
    )
    most: int = row["most"]
    return running < most


async def _claim(
    connection: asyncpg.Connection, derivation_id: uuid.UUID, builder: Slots, worker: str, lease: float
) -> Claim | None:
    drv_path = await connection.fetchval("SELECT drv_path FROM derivations WHERE id = $1", derivation_id)
    if drv_path is None:
        return None
    log_path = log_path_of(drv_path)
    row = await connection.fetchrow(_CLAIM, derivation_id, lease, worker, builder.id, builder.name, log_path)
    if row is None:
        return None
    builds = await _needing_builds(connection, derivation_id)
    await connection.execute(
        _STEP,
        builds,
        f"build {drv_path} on {builder.name}",
        derivation_id,
        builder.id,
        builder.name,
        log_path,
    )
    await connection.execute(
        """UPDATE builds SET status = 'running', started_at = now(), builder_id = $2, log_path = $3
        WHERE derivation_id = $1 AND status = 'pending'""",
        derivation_id,
        builder.id,
        log_path,
    )
    return Claim(
        derivation_id=row["id"],
        token=row["claim_token"],
        drv_path=drv_path,
        name=row["name"],
        builder=builder,
        timeout=row["timeout"],
        max_silent=row["max_silent"],
        fixed_output=row["fixed_output"],
        attempts=row["attempts"],
        log_path=log_path,
    )


async def _needing_builds(connection: asyncpg.Connection, derivation_id: uuid.UUID) -> list[uuid.UUID]:
    """The unfinished builds that the step is shown at, locked, so that their step numbers stay in order.

    All builds of the derivation itself; of one that is only needed on the way, the oldest build that needs it.

    Raises:
        _NotNeededError: there is none.
    """
    rows = await connection.fetch(
        """SELECT id FROM builds WHERE derivation_id = $1 AND status IN ('pending', 'running')
        ORDER BY id FOR NO KEY UPDATE""",
        derivation_id,
    )
    if not rows:
        rows = await connection.fetch(
            """SELECT id FROM builds
            WHERE id = ANY (ARRAY(SELECT build_id FROM derivation_demands WHERE derivation_id = $1))
            AND status IN ('pending', 'running') ORDER BY created_at, id LIMIT 1 FOR NO KEY UPDATE""",
            derivation_id,
        )
    while not rows:
        # The build it was taken in for has ended by another way; perhaps another one needs it.
        found = await oldest_build(connection, derivation_id)
        if found is None:
            raise _NotNeededError
        rows = await connection.fetch(
            "SELECT id FROM builds WHERE id = $1 AND status IN ('pending', 'running') FOR NO KEY UPDATE",
            found,
        )
    return [row["id"] for row in rows]


async def _return(
    database: Database, tokens: Collection[uuid.UUID], reason: str, *, attempts: int, delay: float
) -> int:
    async with database.transaction() as connection:
        await lock_graph(connection)
        rows = await connection.fetch(_HAND_BACK, list(tokens), attempts, delay, reason)
        returned = [row["id"] for row in rows]
        await connection.execute(
            """UPDATE builds SET status = 'pending', started_at = NULL, builder_id = NULL, retry_count = retry_count + $2
            WHERE derivation_id = ANY ($1) AND status = 'running'""",
            returned,
            attempts,
        )
        await end_steps(connection, returned, "aborted", reason, None)
    return len(returned)


async def end_steps(
    connection: asyncpg.Connection,
    derivations: Sequence[uuid.UUID],
    status: str,
    error_output: str | None,
    exit_code: int | None,
) -> None:
    """Close the open steps of ``derivations``."""
    await connection.execute(
        """UPDATE build_steps SET completed_at = now(), status = $2, error_output = $3, exit_code = $4
        WHERE derivation_id = ANY ($1) AND completed_at IS NULL""",
        derivations,
        status,
        error_output,
        exit_code,
    )
