"""The states that configuration was in: the one in force, and any earlier one, rebuilt from the history of changes."""

import uuid
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

from fc.base.database import Database
from fc.base.errors import ConflictError, NotFoundError
from fc.base.git import CommitInfo
from fc.base.secrets import REDACTED
from fc.config.compile import ResourceId
from fc.config.export import Stored, secret_fields
from fc.config.kind_names import kind_named
from fc.config.language import Fields

_LIVE = "SELECT kind, key, content, file, line FROM config_resources WHERE source = $1 ORDER BY kind, key"
_OTHERS = "SELECT kind, key FROM config_resources WHERE source <> $1"
_REVISION = """
SELECT id, source, commit_hash, author, subject, committed_at, status, created_at FROM config_revisions WHERE id = $1
"""
_NAMED = """
SELECT id, commit_hash FROM config_revisions
WHERE starts_with(id::text, lower($1)) OR starts_with(commit_hash, lower($1))
ORDER BY status = 'applied' DESC, created_at DESC
"""
# Revisions are written one after another, so their times tell their order.
_AT = """
SELECT DISTINCT ON (c.kind, c.key) c.kind, c.key, c.action, c.after, c.file, c.line
FROM config_changes c JOIN config_revisions r ON r.id = c.revision_id
WHERE r.source = $1 AND r.status = 'applied' AND r.created_at <= $2
-- A rename ends the old key; in the same revision another resource may take it.
ORDER BY c.kind, c.key, r.created_at DESC, c.after IS NULL
"""
_OF_RESOURCE = """
SELECT c.revision_id, r.commit_hash, r.author, r.subject, c.action, c.before, c.after, c.file, c.line, c.created_at
FROM config_changes c JOIN config_revisions r ON r.id = c.revision_id
WHERE c.kind = $1 AND c.key = $2 ORDER BY c.created_at DESC LIMIT $3
"""
_SHORTEST = 4
_PREFIX = f"{REDACTED} "


async def live_state(connection: asyncpg.Connection, source: str) -> list[Stored]:
    """Everything ``source`` owns, as it is in force."""
    return [
        Stored(row["kind"], row["key"], row["content"], row["file"], row["line"])
        for row in await connection.fetch(_LIVE, source)
    ]


async def owned_by_all_others(connection: asyncpg.Connection, source: str) -> set[ResourceId]:
    """Everything that other sources own: what ``source`` may refer to beside its own."""
    return {(row["kind"], row["key"]) for row in await connection.fetch(_OTHERS, source)}


class Rebuilt(NamedTuple):
    """A revision, and everything that was in force after it."""

    revision: uuid.UUID
    source: str
    commit: CommitInfo | None
    """None: a directory was applied by hand."""
    created_at: datetime
    resources: list[Stored]


async def find_revision(connection: asyncpg.Connection | Database, named: str) -> uuid.UUID:
    """The revision with this id, or of this commit; the beginning is enough.

    If a commit was tried often it is the newest try that was applied.

    Raises:
        NotFoundError: there is none.
        ConflictError: several begin so.
    """
    rows = await connection.fetch(_NAMED, named) if len(named) >= _SHORTEST else []
    if not rows:
        what = "configuration revision"
        raise NotFoundError(what, named)
    if len({row["commit_hash"] or row["id"] for row in rows}) > 1:
        message = f"several revisions begin with {named!r}; give more of it"
        raise ConflictError(message)
    found: uuid.UUID = rows[0]["id"]
    return found


async def state_at(connection: asyncpg.Connection, revision: uuid.UUID) -> Rebuilt:
    """Everything that was in force after ``revision``, rebuilt from the changes up to it.

    Places are those of each resource's last change. Secrets are references, as everywhere.

    Raises:
        NotFoundError: there is no such revision.
        ConflictError: it was not applied, so nothing was ever as it says.
    """
    row = await connection.fetchrow(_REVISION, revision)
    if row is None:
        what = "configuration revision"
        raise NotFoundError(what, str(revision))
    if row["status"] != "applied":
        message = f"revision {revision} was not applied ({row['status']}), so there is no state of it"
        raise ConflictError(message)
    commit = None
    if row["commit_hash"] is not None:
        commit = CommitInfo(row["commit_hash"], row["author"], row["subject"], row["committed_at"])
    changes = await connection.fetch(_AT, row["source"], row["created_at"])
    resources = [
        Stored(one["kind"], one["key"], _references(one["kind"], one["after"]), one["file"], one["line"])
        for one in changes
        if one["after"] is not None
    ]
    return Rebuilt(revision, row["source"], commit, row["created_at"], resources)


class Past(NamedTuple):
    """One change of a resource, with the revision that made it. Secrets are shown by their names."""

    revision_id: uuid.UUID
    commit_hash: str | None
    author: str | None
    subject: str | None
    action: str
    before: Fields | None
    after: Fields | None
    file: str | None
    line: int | None
    created_at: datetime


async def resource_history(
    connection: asyncpg.Connection | Database, kind: str, key: str, *, limit: int
) -> list[Past]:
    """The last changes of a resource, newest first.

    Args:
        connection: where.
        kind: as in plans; ``remote-builder`` is ``remote_builder``.
        key: such as ``hello/main``.
        limit: how many.

    Raises:
        InvalidInputError: there is no such kind.
        NotFoundError: git never said anything about such a resource.
    """
    name = kind_named(kind).name
    found = await changes_of(connection, name, key, limit=limit)
    if not found:
        raise NotFoundError(name.replace("_", " "), key)
    return found


async def changes_of(
    connection: asyncpg.Connection | Database, kind: str, key: str, *, limit: int
) -> list[Past]:
    """The last changes of a resource by git, newest first; none: git never said anything about it."""
    return [Past(**row) for row in await connection.fetch(_OF_RESOURCE, kind, key, limit)]


def _references(kind: str, fields: Fields) -> Fields:
    """Fields of the history, where secrets are shown, as they were declared."""
    secrets = secret_fields(kind)
    return {name: _reference(value) if name in secrets else value for name, value in fields.items()}


def _reference(value: Any) -> Any:
    if value == REDACTED:
        return {"encrypted": None}  # It stands in git alone.
    shown = isinstance(value, str) and value.startswith(_PREFIX)
    return {"secret": value.removeprefix(_PREFIX)} if shown else value
