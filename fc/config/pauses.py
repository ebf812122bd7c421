"""Pausing and resuming: whether a configuration repository is followed at all, and who says so."""

import uuid
from datetime import datetime

import asyncpg

from fc.base.errors import ConflictError

_KNOWN = "SELECT 1 FROM config_sources WHERE name = $1 FOR UPDATE"
_STANDING = """
SELECT pinned_revision_id FROM config_pauses
WHERE source = $1 AND ended_at IS NULL AND (paused_until IS NULL OR paused_until > now())
"""
_END = "UPDATE config_pauses SET ended_at = clock_timestamp() WHERE source = $1 AND ended_at IS NULL"
_BEGIN = """
INSERT INTO config_pauses (source, reason, paused_by, paused_until, pinned_revision_id, created_at)
VALUES ($1, $2, $3, $4, $5, clock_timestamp())
"""
# A synchronisation that runs now loses its claim, so it cannot undo what the pause is for.
_TAKE_CLAIM = "UPDATE config_sources SET claim_token = NULL, lease_until = NULL WHERE name = $1"
_REQUEST = "UPDATE config_sources SET sync_requested_at = clock_timestamp() WHERE name = $1"


async def pause(
    connection: asyncpg.Connection, source: str, *, reason: str, by: str, until: datetime | None = None
) -> None:
    """Do not synchronise ``source`` until it is resumed, or until ``until``. A new pause takes the place of the last.

    Args:
        connection: in a transaction.
        source: its name.
        reason: why, for whoever wonders.
        by: who, such as ``cli:ada``.
        until: when it ends by itself; aware.

    Raises:
        ConflictError: no repository is followed under that name, or it is pinned to a revision.
    """
    await _require(connection, source)
    if await connection.fetchval(_STANDING, source) is not None:
        message = (
            f"the configuration source {source!r} is pinned to an earlier revision; 'fcctl resume' ends that"
        )
        raise ConflictError(message)
    await _begin(connection, source, reason, by, until, None)


async def pin(
    connection: asyncpg.Connection, source: str, *, reason: str, by: str, revision: uuid.UUID
) -> bool:
    """Keep what was just put back of ``revision`` in force until ``source`` is resumed; false: nothing is followed."""
    if await connection.fetchval(_KNOWN, source) is None:
        return False
    await _begin(connection, source, reason, by, None, revision)
    return True


async def resume(connection: asyncpg.Connection, source: str) -> bool:
    """Follow ``source`` again, at once; false: it was not paused.

    Raises:
        ConflictError: no repository is followed under that name.
    """
    await _require(connection, source)
    paused = bool(await connection.fetch(_STANDING, source))
    await connection.execute(_END, source)
    if paused:
        await connection.execute(_REQUEST, source)
    return paused


async def _require(connection: asyncpg.Connection, source: str) -> None:
    if await connection.fetchval(_KNOWN, source) is None:
        message = (
            "no configuration repository is followed: configuration.url is not set, or the service never ran"
        )
        raise ConflictError(message)


async def _begin(
    connection: asyncpg.Connection,
    source: str,
    reason: str,
    by: str,
    until: datetime | None,
    revision: uuid.UUID | None,
) -> None:
    await connection.execute(_END, source)
    await connection.execute(_BEGIN, source, reason, by, until, revision)
    await connection.execute(_TAKE_CLAIM, source)
