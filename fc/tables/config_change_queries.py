"""What the page of a revision asks: its changes by kind, counted and in pages, and the plan of one that was not applied."""

import uuid
from typing import Any, NamedTuple

import msgspec

from fc.base.database import Database
from fc.tables.configuration_queries import ConfigChange

_COUNTS = """
SELECT kind, action, count(*) AS changes FROM config_changes WHERE revision_id = $1 GROUP BY kind, action ORDER BY kind, action
"""
_CHANGES = """
SELECT id, kind, key, action, before, after, file, line FROM config_changes
WHERE revision_id = $1 AND {after} AND {kind} ORDER BY kind, key, id LIMIT $4
"""
_AFTER = "(kind, key, id) > (SELECT kind, key, id FROM config_changes WHERE id = $2)"
# Only as much of the plan as is shown.
_PLANNED = """
SELECT COALESCE((
    SELECT jsonb_agg(change ORDER BY number)
    FROM jsonb_array_elements(plan -> 'changes') WITH ORDINALITY AS planned(change, number)
    WHERE number > $2 AND number <= $2 + $3
), '[]'::jsonb) AS changes, jsonb_array_length(plan -> 'changes') AS stored, COALESCE((plan ->> 'more')::int, 0) AS more
FROM config_revisions WHERE id = $1 AND jsonb_typeof(plan -> 'changes') = 'array'
"""


class StoredChange(ConfigChange, frozen=True, kw_only=True):
    """A change that was applied, with its own id."""

    id: uuid.UUID


class PlannedChanges(NamedTuple):
    """What a plan that was not applied would change."""

    changes: list[ConfigChange]
    stored: int
    """How many of its changes are kept."""
    more: int
    """How many more it has than are kept."""


async def change_counts(database: Database, revision: uuid.UUID) -> dict[str, dict[str, int]]:
    """How many changes a revision made, by kind and action."""
    counts: dict[str, dict[str, int]] = {}
    for row in await database.fetch(_COUNTS, revision):
        counts.setdefault(row["kind"], {})[row["action"]] = row["changes"]
    return counts


async def changes_in(
    database: Database,
    revision: uuid.UUID,
    *,
    kind: str | None = None,
    after: uuid.UUID | None = None,
    limit: int = 50,
) -> list[StoredChange]:
    """At most ``limit`` changes of a revision, by kind and key.

    Args:
        database: where.
        revision: whose.
        kind: only changes of this kind.
        after: the last change on the page before.
        limit: how many.
    """
    rows = await database.fetch(
        _CHANGES.format(
            after=_AFTER if after else "$2::uuid IS NULL", kind="kind = $3" if kind else "$3::text IS NULL"
        ),
        revision,
        after,
        kind,
        limit,
    )
    return msgspec.convert([dict(row) for row in rows], list[StoredChange])


async def planned_changes(
    database: Database, revision: uuid.UUID, *, skip: int = 0, limit: int = 1000
) -> PlannedChanges | None:
    """A part of what a revision that waits would change; none: it says only how much."""
    row = await database.fetchrow(_PLANNED, revision, skip, limit)
    if row is None:
        return None
    return PlannedChanges([_planned(change) for change in row["changes"]], row["stored"], row["more"])


def _planned(change: dict[str, Any]) -> ConfigChange:
    return msgspec.convert({"before": None, "after": None, "file": None, "line": None} | change, ConfigChange)
