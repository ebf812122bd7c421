"""What pages ask about single resources: what is in force, who owns it, what was done to it."""

import uuid
from datetime import datetime
from typing import Any, Literal

import msgspec

from fc.base.database import Database

_LAST = "\U0010ffff"
"""Sorts after every character, in the order of bytes."""

_RESOURCE = """
SELECT r.kind, r.key, r.source, r.content, r.file, r.line, r.created_at, r.updated_at, r.revision_id,
       v.commit_hash, v.author, v.signer, v.subject, v.created_at AS revised_at
FROM config_resources r LEFT JOIN config_revisions v ON v.id = r.revision_id
WHERE r.kind = $1 AND r.key = $2
"""
# The operators with tildes compare bytes, whatever the order of the database is, and have an index for it.
_RESOURCES = """
SELECT kind, key, source, file, line, updated_at FROM config_resources
WHERE kind = $1 AND key ~>=~ $2 AND key ~<~ $3 AND key ~>~ $4 AND {of} ORDER BY key USING ~<~ LIMIT $5
"""
# Who was renamed has a row under either name, in one revision, of one place.
_HISTORY = """
SELECT c.id, c.revision_id, c.kind, c.key, c.action, c.before, c.after, c.file, c.line, c.created_at,
       v.source, v.commit_hash, v.author, v.signer, v.subject, other.key AS other_key
FROM config_changes c JOIN config_revisions v ON v.id = c.revision_id
LEFT JOIN LATERAL (
    SELECT o.key FROM config_changes o
    WHERE c.action = 'rename' AND o.revision_id = c.revision_id AND o.action = 'rename' AND o.kind = c.kind AND o.key <> c.key
      AND (o.after IS NULL) <> (c.after IS NULL) AND o.before IS NOT DISTINCT FROM c.before
      AND o.file IS NOT DISTINCT FROM c.file AND o.line IS NOT DISTINCT FROM c.line
    LIMIT 1
) other ON true
WHERE c.kind = $1 AND c.key = $2 AND {older}
ORDER BY c.created_at DESC, c.id DESC LIMIT $4
"""
_KINDS = """
WITH RECURSIVE kinds AS (
    (SELECT kind FROM config_resources ORDER BY kind LIMIT 1)
    UNION ALL
    SELECT (SELECT r.kind FROM config_resources r WHERE r.kind > kinds.kind ORDER BY r.kind LIMIT 1)
    FROM kinds WHERE kinds.kind IS NOT NULL
)
SELECT kind FROM kinds WHERE kind IS NOT NULL ORDER BY kind
"""
_JOBSET = """
SELECT EXISTS (SELECT FROM projects WHERE name = $1) AS project,
       EXISTS (SELECT FROM jobsets j JOIN projects p ON p.id = j.project_id WHERE p.name = $1 AND j.name = $2) AS jobset
"""
_BUILDER = "SELECT EXISTS (SELECT FROM remote_builders WHERE name = $1)"


class ResourceRow(msgspec.Struct, frozen=True):
    """A resource that git owns, in a list."""

    kind: str
    key: str
    source: str
    file: str
    line: int
    updated_at: datetime


class ResourceInForce(ResourceRow, frozen=True):
    """A resource that git owns, as it is in force, with the revision that last changed it."""

    content: dict[str, Any]
    """Secrets are references."""
    created_at: datetime
    revision_id: uuid.UUID | None
    commit_hash: str | None
    author: str | None
    signer: str | None
    subject: str | None
    revised_at: datetime | None


class ResourceChange(msgspec.Struct, frozen=True):
    """One change of a resource, with the revision that made it. Secrets stand in it by their names."""

    id: uuid.UUID
    revision_id: uuid.UUID
    kind: str
    key: str
    action: Literal["create", "update", "delete", "rename", "adopt"]
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    file: str | None
    line: int | None
    created_at: datetime
    source: str
    commit_hash: str | None
    author: str | None
    signer: str | None
    subject: str | None
    other_key: str | None
    """Of a rename: the new key, seen from the old one, and the other way round."""


async def find_resource(database: Database, kind: str, key: str) -> ResourceInForce | None:
    """What is in force; none: git does not own such a resource."""
    row = await database.fetchrow(_RESOURCE, kind, key)
    return None if row is None else msgspec.convert(dict(row), ResourceInForce)


async def list_resources(
    database: Database,
    kind: str,
    *,
    prefix: str = "",
    after: str = "",
    limit: int = 100,
    source: str | None = None,
) -> list[ResourceRow]:
    """Resources of a kind that git owns, in the order of the bytes of their keys.

    Args:
        database: where.
        kind: such as ``jobset``.
        prefix: only keys that begin so.
        after: key of the last one on the page before.
        limit: how many.
        source: only those that this source owns.
    """
    of = "source = $6" if source is not None else "$6::text IS NULL"
    rows = await database.fetch(_RESOURCES.format(of=of), kind, prefix, prefix + _LAST, after, limit, source)
    return msgspec.convert([dict(row) for row in rows], list[ResourceRow])


async def resource_changes(
    database: Database, kind: str, key: str, *, before: uuid.UUID | None = None, limit: int = 20
) -> list[ResourceChange]:
    """At most ``limit`` changes of a resource, newest first; those older than the change ``before``, if one is given."""
    older = (
        "(c.created_at, c.id) < (SELECT created_at, id FROM config_changes WHERE id = $3)"
        if before
        else "$3::uuid IS NULL"
    )
    rows = await database.fetch(_HISTORY.format(older=older), kind, key, before, limit)
    return msgspec.convert([dict(row) for row in rows], list[ResourceChange])


async def owned_kinds(database: Database) -> list[str]:
    """Kinds of which git owns something, by name."""
    return [row["kind"] for row in await database.fetch(_KINDS)]


async def declared_rows(database: Database, kind: str, key: str) -> tuple[str, ...]:
    """Which of ``project``, ``jobset`` and ``remote_builder`` there is a page for, of what a resource is or stands in."""
    if kind == "remote_builder":
        return ("remote_builder",) if await database.fetchval(_BUILDER, key) else ()
    project, _, rest = key.partition("/")
    row = await database.fetchrow(_JOBSET, project, rest.partition("/")[0])
    assert row is not None
    return tuple(name for name in ("project", "jobset") if row[name])
