"""What pages and API ask about pull requests on configuration repositories."""

import uuid
from datetime import datetime
from typing import Any, Literal

import msgspec

from fc.base.database import Database
from fc.base.problems import Problem

_LARGEST_NUMBER = 2**31 - 1


class ConfigPreview(msgspec.Struct, frozen=True):
    """A pull request on a configuration repository, and how its plan came out."""

    id: uuid.UUID
    source: str
    path: str
    """The directory of the configuration in its repository."""
    number: int
    title: str | None
    """As its author wrote it."""
    author: str | None
    url: str | None
    """Its page on the forge."""
    head_hash: str
    base_hash: str | None
    """The commit of the followed branch it was planned on; none: not planned yet."""
    base_revision_id: uuid.UUID | None
    """The revision that was in force when it was planned."""
    status: Literal["pending", "planned", "held", "failed", "closed"]
    message: str | None
    digest: str | None
    """Of the plan; none: there is none."""
    summary: dict[str, int]
    """How many of each action."""
    reasons: list[str]
    """For which the plan would be held."""
    requested_at: datetime | None
    """Since when it waits to be planned again; none: it does not."""
    planned_at: datetime | None
    created_at: datetime
    closed_at: datetime | None


class PreviewChange(msgspec.Struct, frozen=True):
    """One resource that merging would change. Secrets stand in it as ``«secret»`` with their names."""

    action: Literal["create", "update", "delete", "rename", "adopt"]
    kind: str
    key: str
    effect: str
    was: str | None
    """Its key now, if it gets another one."""
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    file: str
    """Below the source's path."""
    line: int


class PreviewDetail(msgspec.Struct, frozen=True):
    """A pull request with its plan."""

    preview: ConfigPreview
    changes: list[PreviewChange]
    more: int
    """Changes that are not among ``changes``, because there are too many."""
    errors: list[Problem]
    """What is wrong in its files, at the lines of its head."""


_COLUMNS = """
id, source, COALESCE((SELECT s.path FROM config_sources s WHERE s.name = config_previews.source), '.') AS path, number, title, author, url, head_hash, base_hash, base_revision_id, status, message,
plan ->> 'digest' AS digest, COALESCE(plan -> 'summary', '{}'::jsonb) AS summary,
COALESCE(plan -> 'reasons', '[]'::jsonb) AS reasons, requested_at, planned_at, created_at, closed_at
"""
_LIST = f"""
SELECT {_COLUMNS} FROM config_previews
WHERE ($2 OR status <> 'closed')
  AND ($1::uuid IS NULL OR (created_at, id) < (SELECT created_at, id FROM config_previews WHERE id = $1))
ORDER BY created_at DESC, id DESC LIMIT $3
"""  # noqa: S608 - only a constant of this file is put in
_ONE = f"""
SELECT {_COLUMNS}, errors, COALESCE(plan -> 'changes', '[]'::jsonb) AS changes,
       COALESCE((plan ->> 'more')::int, 0) AS more
FROM config_previews WHERE source = $1 AND number = $2
"""  # noqa: S608 - only a constant of this file is put in


async def config_previews(
    database: Database, *, before: uuid.UUID | None = None, limit: int = 50, closed: bool = False
) -> list[ConfigPreview]:
    """At most ``limit`` pull requests, newest first; those older than the one ``before``, if one is given.

    Args:
        database: where to look.
        before: where the page begins.
        limit: how many.
        closed: also those that were merged or closed.
    """
    rows = await database.fetch(_LIST, before, closed, limit)
    return msgspec.convert([dict(row) for row in rows], list[ConfigPreview])


async def preview_id(database: Database, source: str, number: int) -> uuid.UUID | None:
    """The id of a pull request's preview, or none."""
    if not 0 < number <= _LARGEST_NUMBER or "\0" in source:
        return None
    found: uuid.UUID | None = await database.fetchval(
        "SELECT id FROM config_previews WHERE source = $1 AND number = $2", source, number
    )
    return found


async def config_preview(database: Database, source: str, number: int) -> PreviewDetail | None:
    """One pull request with its plan, or none."""
    if not 0 < number <= _LARGEST_NUMBER or "\0" in source:
        return None
    row = await database.fetchrow(_ONE, source, number)
    if row is None:
        return None
    found = dict(row)
    detail = {name: found.pop(name) for name in ("errors", "changes", "more")}
    return msgspec.convert({"preview": found, **detail}, PreviewDetail)


async def open_preview_counts(database: Database) -> dict[str, int]:
    """How many pull requests are open, by status."""
    rows = await database.fetch(
        "SELECT status, count(*) AS previews FROM config_previews WHERE status <> 'closed' GROUP BY status ORDER BY status"
    )
    return {row["status"]: row["previews"] for row in rows}
