"""What pages, API and commands ask about drift: what is not as git says, since when and by whom."""

import uuid
from datetime import datetime
from typing import Any, Literal

import msgspec

from fc.base.database import Database


class DriftedValue(msgspec.Struct, frozen=True):
    """A field whose row does not say what git does. Never a secret."""

    field: str
    declared: Any
    found: Any


class RecordedDrift(msgspec.Struct, frozen=True):
    """A resource whose row is not, or was not, as git says."""

    id: uuid.UUID
    source: str
    kind: str
    key: str
    file: str
    line: int
    missing: bool
    """There is no such row."""
    fields: list[DriftedValue]
    since: datetime
    """When it was changed, if the audit trail knows; else when that was first seen."""
    actor: str | None
    """Who changed it, as in the audit trail; none: nobody knows."""
    seen_at: datetime
    """When what differs was first seen to be this."""
    message: str | None
    """Why it could not be healed."""
    ended_at: datetime | None
    outcome: Literal["healed", "gone"] | None
    """``gone``: the row agreed again, or git changed it."""


_COLUMNS = (
    "id, source, kind, key, file, line, missing, fields, since, actor, seen_at, message, ended_at, outcome"
)
_LASTING = f"""
SELECT {_COLUMNS} FROM config_drift
WHERE ended_at IS NULL AND ($1::uuid IS NULL OR (since, id) < (SELECT since, id FROM config_drift WHERE id = $1))
ORDER BY since DESC, id DESC LIMIT $2
"""  # noqa: S608 - only a constant of this file is put in
_OF = f"SELECT {_COLUMNS} FROM config_drift WHERE kind = $1 AND key = $2 AND ended_at IS NULL"  # noqa: S608 - as above
_ENDED = f"""
SELECT {_COLUMNS} FROM config_drift
WHERE ended_at IS NOT NULL AND ($1::uuid IS NULL OR (ended_at, id) < (SELECT ended_at, id FROM config_drift WHERE id = $1))
ORDER BY ended_at DESC, id DESC LIMIT $2
"""  # noqa: S608 - only a constant of this file is put in


async def recorded_drift(
    database: Database, *, ended: bool = False, before: uuid.UUID | None = None, limit: int = 100
) -> list[RecordedDrift]:
    """At most ``limit`` that last, or that have ended, newest first; those before ``before``, if it is given."""
    rows = await database.fetch(_ENDED if ended else _LASTING, before, limit)
    return msgspec.convert([dict(row) for row in rows], list[RecordedDrift])


async def drift_of(database: Database, kind: str, key: str) -> RecordedDrift | None:
    """How a resource differs from what git says; none: nothing is known to differ."""
    row = await database.fetchrow(_OF, kind, key)
    return None if row is None else msgspec.convert(dict(row), RecordedDrift)


async def drift_counts(database: Database) -> dict[str, int]:
    """How many resources of each kind have drifted."""
    rows = await database.fetch(
        "SELECT kind, count(*) AS drifted FROM config_drift WHERE ended_at IS NULL GROUP BY kind ORDER BY kind"
    )
    return {row["kind"]: row["drifted"] for row in rows}


async def drift_compared_at(database: Database) -> datetime | None:
    """When the service last compared rows with git; none: never."""
    found: datetime | None = await database.fetchval("SELECT done_at FROM config_turns WHERE name = 'drift'")
    return found
