"""Drift that is remembered (``config_drift``): since when, by whom as far as the audit trail knows, and how it ended."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

import asyncpg
import msgspec

from fc.base.database import Database
from fc.config.compile import ResourceId
from fc.config.drift import Drift, compare

_DUE = """
SELECT done_at IS NULL OR done_at <= now() - make_interval(secs => $1) FROM config_turns WHERE name = 'drift'
"""
_TAKE = "SELECT 1 FROM config_turns WHERE name = 'drift' FOR UPDATE SKIP LOCKED"
_DONE = "UPDATE config_turns SET done_at = now() WHERE name = 'drift'"
_OPEN = "SELECT kind, key, file, line, missing, fields FROM config_drift WHERE ended_at IS NULL"
_GONE = """
UPDATE config_drift d SET ended_at = now(), outcome = 'gone'
FROM unnest($1::text[], $2::text[]) AS gone(kind, key)
WHERE d.kind = gone.kind AND d.key = gone.key AND d.ended_at IS NULL
"""
_HEALED = """
UPDATE config_drift d SET ended_at = clock_timestamp(), outcome = 'healed'
FROM unnest($1::text[], $2::text[]) AS healed(kind, key)
WHERE d.kind = healed.kind AND d.key = healed.key AND d.ended_at IS NULL
"""
# What differs anew is tried to be healed anew.
_SEEN = """
INSERT INTO config_drift AS t (source, kind, key, file, line, missing, fields, since, actor)
SELECT r.source, r.kind, r.key, r.file, r.line, r.missing, r.fields, COALESCE(r.since, now()), r.actor
FROM jsonb_to_recordset($1::jsonb) AS r(source text, kind text, key text, file text, line int, missing bool,
    fields jsonb, since timestamptz, actor text)
ON CONFLICT (kind, key) WHERE ended_at IS NULL DO UPDATE SET source = EXCLUDED.source, file = EXCLUDED.file,
    line = EXCLUDED.line, missing = EXCLUDED.missing, fields = EXCLUDED.fields,
    actor = COALESCE(EXCLUDED.actor, t.actor), seen_at = now(), message = NULL, tried_at = NULL
"""
_FAILED = """
UPDATE config_drift d SET message = failed.message, tried_at = clock_timestamp()
FROM unnest($1::text[], $2::text[], $3::text[]) AS failed(kind, key, message)
WHERE d.kind = failed.kind AND d.key = failed.key AND d.ended_at IS NULL
"""
# What was applied or ended later has nothing to do with an earlier event.
_KNOWN_SINCE = """
SELECT c.kind, c.key, GREATEST(c.updated_at, (
    SELECT max(d.ended_at) FROM config_drift d WHERE d.kind = c.kind AND d.key = c.key
)) AS known_since
FROM config_resources c JOIN unnest($1::text[], $2::text[]) AS w(kind, key) ON c.kind = w.kind AND c.key = w.key
"""
_EVENTS = """
SELECT w.number, e.actor, e.created_at FROM unnest($1::int[], $2::text[], $3::text[]) AS w(number, kind, key)
CROSS JOIN LATERAL (
    SELECT actor, created_at FROM audit_events e
    WHERE e.action = 'sql' AND e.kind = w.kind AND e.key = w.key ORDER BY e.created_at DESC LIMIT 1
) e
"""


class Cause(msgspec.Struct, frozen=True):
    """Who changed a row by hand, and when."""

    actor: str
    created_at: datetime


async def look(
    database: Database, interval: float, *, now: bool
) -> Literal["recorded", "not due", "busy", "again"]:
    """Compare everything with the inventory and remember what differs: one transaction, one snapshot.

    Args:
        database: where.
        interval: seconds after which it is due without any notice.
        now: whether or not it is due.

    Returns:
        ``busy``: another process does it; ``again``: something came in between.
    """
    if not now and not await database.fetchval(_DUE, interval):
        return "not due"
    try:
        async with database.snapshot() as connection:
            # Who applies must never wait for us in a circle, so we give way.
            await connection.execute("SET LOCAL lock_timeout = '200ms'")
            if await connection.fetchval(_TAKE) is None:
                return "busy"
            await record(connection, [one.drift for one in await compare(connection)])
            await connection.execute(_DONE)
    except (asyncpg.SerializationError, asyncpg.LockNotAvailableError):
        # Another process looked, healed or applied after our snapshot.
        return "again"
    return "recorded"


async def record(
    connection: asyncpg.Connection, found: list[Drift], only: Collection[ResourceId] | None = None
) -> None:
    """Remember ``found``: what is new, what differs otherwise than before, and what is over.

    Args:
        connection: in the transaction that compared.
        found: all that differs now.
        only: the resources that were compared; none: all.
    """
    there = {(one.kind, one.key): one for one in found}
    known = {
        (row["kind"], row["key"]): row
        for row in await connection.fetch(_OPEN)
        if only is None or (row["kind"], row["key"]) in only
    }
    gone = [one for one in known if one not in there]
    if gone:
        await connection.execute(_GONE, *_columns(gone))
    new = [drift for one, drift in there.items() if one not in known or _is_other(known[one], drift)]
    if not new:
        return
    by = await causes(connection, new)
    rows: list[dict[str, Any]] = []
    for drift in new:
        cause = by.get((drift.kind, drift.key))
        since = cause.created_at.isoformat() if cause is not None else None
        rows.append(
            {
                **msgspec.to_builtins(drift),
                "since": since,
                "actor": cause.actor if cause is not None else None,
            }
        )
    await connection.execute(_SEEN, rows)


async def end_healed(connection: asyncpg.Connection, healed: Iterable[ResourceId]) -> None:
    """Note that FC has put these right."""
    await connection.execute(_HEALED, *_columns(healed))


async def end_changed(connection: asyncpg.Connection, changed: Iterable[ResourceId]) -> None:
    """Note that git has changed these, whatever they were like."""
    await connection.execute(_GONE, *_columns(changed))


async def note_failures(connection: asyncpg.Connection, failures: Mapping[ResourceId, str]) -> None:
    """Note why these could not be put right."""
    await connection.execute(_FAILED, *_columns(failures), list(failures.values()))


async def causes(connection: asyncpg.Connection, drifted: Iterable[Drift]) -> dict[ResourceId, Cause]:
    """Who changed each of ``drifted`` last since it was as git says, where the audit trail knows."""
    listed = list(drifted)
    known = {
        (row["kind"], row["key"]): row["known_since"]
        for row in await connection.fetch(_KNOWN_SINCE, *_columns((one.kind, one.key) for one in listed))
    }
    asked = [(number, *subject) for number, drift in enumerate(listed) for subject in _subjects(drift)]
    found: dict[ResourceId, Cause] = {}
    for row in await connection.fetch(_EVENTS, *(list(column) for column in zip(*asked, strict=True))):
        drift = listed[row["number"]]
        one = (drift.kind, drift.key)
        cause = Cause(row["actor"], row["created_at"])
        later = one not in found or cause.created_at > found[one].created_at
        if later and one in known and cause.created_at > known[one]:
            found[one] = cause
    return found


def _subjects(drift: Drift) -> list[ResourceId]:
    """What an event may have been of. What is missing may have gone with what contained it."""
    kind, key = drift.kind, drift.key
    subjects = [(kind, key)]
    if drift.missing:
        parts = key.split("/")
        inside = kind in {"jobset", "input", "channel", "webhook", "notification", "member"}
        subjects += [("project", parts[0])] if inside else []
        subjects += [("jobset", "/".join(parts[:2]))] if kind == "input" else []
        subjects += [("user", parts[1])] if kind == "member" else []
        subjects += [(one, "*") for one, _ in list(subjects)]
    return subjects


def _is_other(known: asyncpg.Record, drift: Drift) -> bool:
    """Whether something else differs than before, or it is declared elsewhere."""
    now = msgspec.to_builtins(drift)
    return any(known[name] != now[name] for name in ("file", "line", "missing", "fields"))


def _columns(ids: Iterable[ResourceId]) -> tuple[list[str], list[str]]:
    listed = list(ids)
    return [kind for kind, _ in listed], [key for _, key in listed]
