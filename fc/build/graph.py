"""The build graph in the database: counts made from what is, ends that reach dependents. Under the graph's lock."""

import uuid
from collections.abc import Sequence

import asyncpg

SATISFIED = ("built", "failed_with_output")
"""Derivations whose outputs are there: those that wait for them need wait no longer."""

_RECOUNT = """
WITH counted AS MATERIALIZED (
    SELECT w.id, (
        SELECT count(*) FROM derivation_inputs i JOIN derivations x ON x.id = i.input_id
        WHERE i.derivation_id = w.id AND x.status <> ALL ($2::text[])
    ) AS missing
    FROM unnest($1::uuid[]) AS w (id)
), changed AS (
    SELECT id, missing, CASE WHEN missing = 0 THEN 'ready' ELSE 'pending' END AS status FROM counted
)
UPDATE derivations d SET missing_inputs = c.missing, status = c.status FROM changed c
WHERE d.id = c.id AND d.status IN ('pending', 'ready')
  AND (d.missing_inputs, d.status) IS DISTINCT FROM (c.missing, c.status)
"""

_FAIL_DEPENDENTS = """
WITH RECURSIVE dependents (id) AS (
    SELECT d.id FROM derivation_inputs i JOIN derivations d ON d.id = i.derivation_id
    WHERE i.input_id = ANY ($1) AND d.status IN ('pending', 'ready')
  UNION
    SELECT d.id FROM dependents t
    JOIN derivation_inputs i ON i.input_id = t.id JOIN derivations d ON d.id = i.derivation_id
    WHERE d.status IN ('pending', 'ready')
)
UPDATE derivations SET status = 'dependency_failed', error_message = $2, completed_at = now()
WHERE id IN (SELECT id FROM dependents) AND status IN ('pending', 'ready') RETURNING id
"""

_END_BUILDS = """
UPDATE builds SET status = $2, error_message = $3, completed_at = now(), notification_pending_since = now()
WHERE derivation_id = ANY ($1) AND status IN ('pending', 'running')
"""

_OLDEST_BUILD = """
WITH RECURSIVE dependents (id) AS (
    SELECT $1::uuid
  UNION
    SELECT i.derivation_id FROM dependents t JOIN derivation_inputs i ON i.input_id = t.id
    JOIN derivations d ON d.id = i.derivation_id AND d.status IN ('pending', 'ready', 'running')
)
SELECT b.id FROM dependents t JOIN builds b ON b.derivation_id = t.id AND b.status IN ('pending', 'running')
ORDER BY b.created_at, b.id LIMIT 1
"""


async def recount(connection: asyncpg.Connection, derivations: Sequence[uuid.UUID]) -> None:
    """Make ``missing_inputs`` of those that wait true, and those without any ready."""
    if derivations:
        await connection.execute(_RECOUNT, derivations, SATISFIED)


async def recount_dependents(connection: asyncpg.Connection, derivations: Sequence[uuid.UUID]) -> None:
    """The same for all that wait directly for one of ``derivations``."""
    rows = await connection.fetch(
        """SELECT DISTINCT d.id FROM derivation_inputs i JOIN derivations d ON d.id = i.derivation_id
        WHERE i.input_id = ANY ($1) AND d.status IN ('pending', 'ready')""",
        derivations,
    )
    await recount(connection, [row["id"] for row in rows])


async def fail_dependents(
    connection: asyncpg.Connection, derivations: Sequence[uuid.UUID], message: str
) -> int:
    """End everything that waits, however far away, for one of ``derivations``, which have failed; how many that were."""
    rows = await connection.fetch(_FAIL_DEPENDENTS, derivations, message)
    ended = [row["id"] for row in rows]
    await end_builds(connection, ended, "dependency_failed", message)
    await drop_demands(connection, ended)
    return len(ended)


async def end_builds(
    connection: asyncpg.Connection, derivations: Sequence[uuid.UUID], status: str, message: str | None
) -> None:
    """Bring the unfinished builds of ``derivations`` to a failing end."""
    await connection.execute(_END_BUILDS, derivations, status, message)


async def drop_demands(connection: asyncpg.Connection, derivations: Sequence[uuid.UUID]) -> None:
    """Nobody needs ``derivations`` any longer."""
    await connection.execute("DELETE FROM derivation_demands WHERE derivation_id = ANY ($1)", derivations)


async def oldest_build(connection: asyncpg.Connection, derivation_id: uuid.UUID) -> uuid.UUID | None:
    """The oldest unfinished build that needs the derivation, itself or through others; none: nobody does."""
    found: uuid.UUID | None = await connection.fetchval(_OLDEST_BUILD, derivation_id)
    return found
