"""What pages and metrics ask about configuration sources: those of the settings, those of projects, what each owns."""

from datetime import datetime
from typing import NamedTuple

import msgspec

from fc.base.database import Database
from fc.tables.configuration_queries import SOURCE_ROWS, ConfigSource

COUNTED = 10_000
"""How far resources are counted, so that no page reads a whole table."""

_TROUBLE = "s.active AND s.status IN ('failed', 'held', 'waiting')"
_OWNED = """
WITH RECURSIVE kinds AS (
    (SELECT kind FROM config_resources ORDER BY kind LIMIT 1)
    UNION ALL
    SELECT (SELECT r.kind FROM config_resources r WHERE r.kind > kinds.kind ORDER BY r.kind LIMIT 1)
    FROM kinds WHERE kinds.kind IS NOT NULL
)
SELECT k.kind, (SELECT count(*) FROM (SELECT FROM config_resources r WHERE r.kind = k.kind LIMIT $1) counted) AS owned
FROM kinds k WHERE k.kind IS NOT NULL ORDER BY k.kind
"""
_OWNED_BY = """
SELECT kind, count(*) AS owned FROM (SELECT kind FROM config_resources WHERE source = $1 LIMIT $2) counted
GROUP BY kind ORDER BY kind
"""
_HEALTH = """
SELECT s.name, s.status, s.failures, jsonb_array_length(s.errors) AS errors, s.last_synced_at,
       r.created_at AS applied_at, p.source IS NOT NULL AS paused
FROM config_sources s
LEFT JOIN LATERAL (
    SELECT created_at FROM config_revisions WHERE source = s.name AND status = 'applied' ORDER BY created_at DESC LIMIT 1
) r ON true
LEFT JOIN LATERAL (
    SELECT source FROM config_pauses WHERE source = s.name AND ended_at IS NULL
      AND (paused_until IS NULL OR paused_until > now()) LIMIT 1
) p ON true
WHERE s.project_id IS NULL AND s.active ORDER BY s.name
"""
_PROJECT_STATUSES = """
SELECT CASE WHEN active THEN status ELSE 'retired' END AS state, count(*) AS sources FROM config_sources
WHERE project_id IS NOT NULL GROUP BY state ORDER BY state
"""
_RECENT = """
SELECT status, count(*) AS revisions FROM config_revisions WHERE created_at > now() - interval '1 hour' GROUP BY status
"""


class SourceHealth(NamedTuple):
    """How a source that the settings name is, in numbers."""

    name: str
    status: str
    failures: int
    errors: int
    """How many problems the files of its newest commit have."""
    last_synced_at: datetime | None
    applied_at: datetime | None
    paused: bool


async def settings_sources(database: Database) -> list[ConfigSource]:
    """Every source that the settings name or named, by name."""
    rows = await database.fetch(f"{SOURCE_ROWS} WHERE s.project_id IS NULL ORDER BY s.name")
    return msgspec.convert([dict(row) for row in rows], list[ConfigSource])


async def project_sources(
    database: Database, *, trouble: bool = False, after: str = "", limit: int = 100
) -> list[ConfigSource]:
    """Sources that are a project's own file, by name.

    Args:
        database: where.
        trouble: only those that are followed, and failed, held or waiting.
        after: name of the last one on the page before.
        limit: how many.
    """
    condition = f"AND {_TROUBLE}" if trouble else ""
    rows = await database.fetch(
        f"{SOURCE_ROWS} WHERE s.project_id IS NOT NULL AND s.name > $1 {condition} ORDER BY s.name LIMIT $2",
        after,
        limit,
    )
    return msgspec.convert([dict(row) for row in rows], list[ConfigSource])


async def project_source_statuses(database: Database) -> dict[str, int]:
    """How many sources of projects have each status; ``retired`` are those that are not followed any more."""
    return {row["state"]: row["sources"] for row in await database.fetch(_PROJECT_STATUSES)}


async def find_source(database: Database, name: str) -> ConfigSource | None:
    """One source, or none."""
    row = await database.fetchrow(f"{SOURCE_ROWS} WHERE s.name = $1", name)
    return None if row is None else msgspec.convert(dict(row), ConfigSource)


async def owned_counts(database: Database, source: str | None = None) -> dict[str, int]:
    """How many resources of each kind git owns, or one source does.

    Of everything, each kind is counted up to ``COUNTED``; of one source, all kinds together are.
    """
    if source is None:
        rows = await database.fetch(_OWNED, COUNTED)
    else:
        rows = await database.fetch(_OWNED_BY, source, COUNTED)
    return {row["kind"]: row["owned"] for row in rows}


async def source_health(database: Database) -> list[SourceHealth]:
    """The sources that the settings name, by name."""
    return [SourceHealth(**row) for row in await database.fetch(_HEALTH)]


async def recent_revisions(database: Database) -> dict[str, int]:
    """How many revisions of the last hour have each status."""
    return {row["status"]: row["revisions"] for row in await database.fetch(_RECENT)}
