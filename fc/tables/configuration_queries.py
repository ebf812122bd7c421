"""What pages, API and guards ask about the configuration: sources, revisions, changes, owners."""

import uuid
from datetime import datetime
from typing import Any, Literal

import msgspec

from fc.base.database import Database
from fc.base.problems import Problem

_PAGE = 50


class ConfigHold(msgspec.Struct, frozen=True):
    """A plan that removes so much that it waits to be confirmed."""

    digest: str
    """What ``fcctl confirm`` is given; its first twelve characters do."""
    commit: str
    reasons: list[str]
    """Why it waits, one sentence each."""
    by_commit: bool = True
    """Whether a commit with ``FC-Confirm`` at its end confirms it too."""


class ConfigSource(msgspec.Struct, frozen=True):
    """A configuration repository and how its last synchronisation went."""

    name: str
    url: str
    branch: str
    path: str
    status: Literal["pending", "synced", "failed", "held", "waiting"]
    error_message: str | None
    """Why the last try failed, in one sentence; none when it did not."""
    errors: list[Problem]
    """What is wrong in the files of ``last_seen_commit``, sorted by place; empty when nothing is."""
    failures: int
    """Failed tries in a row."""
    last_seen_commit: str | None
    last_synced_at: datetime | None
    """When the database was last known to be as the repository says."""
    sync_requested_at: datetime | None
    next_sync_at: datetime
    applied_commit: str | None
    """Commit of the last revision that was applied."""
    applied_at: datetime | None
    applied_revision: uuid.UUID | None
    applied_author: str | None
    applied_signer: str | None
    held: ConfigHold | None
    """The plan that waits, while the status is ``held``."""
    waiting: ConfigHold | None
    """The plan that is applied when a sync window opens, while the status is ``waiting``."""
    project: str | None
    """The project whose own file this is; none: the settings describe the source."""
    active: bool
    """False: the settings name it no more; what it owns stays."""
    scope: list[dict[str, list[str]]]
    """What it may declare: ``kinds`` and ``names`` of each rule; empty: everything."""
    forced_from: str | None
    """The commit in force when the branch was last moved to one that does not contain it."""
    forced_at: datetime | None
    opens_at: datetime | None
    """When the plan may be applied, while the status is ``waiting``."""


class ConfigRevision(msgspec.Struct, frozen=True):
    """A commit of a configuration repository that was tried, and its result."""

    id: uuid.UUID
    source: str
    commit_hash: str | None
    """None when a directory was applied by hand."""
    author: str | None
    signer: str | None
    """Who signed the commit; none: no signature was asked for."""
    subject: str | None
    committed_at: datetime | None
    status: Literal["applied", "failed", "held", "waiting"]
    created: int
    """How many resources it created; ``updated`` and ``deleted`` likewise."""
    updated: int
    deleted: int
    renamed: int
    adopted: int
    errors: list[Problem]
    digest: str | None
    """Of its plan; none when it failed before there was one."""
    reasons: list[str]
    """For which it had to be confirmed, or was refused though its files are right."""
    duration_seconds: float
    created_at: datetime


class ConfigChange(msgspec.Struct, frozen=True):
    """One resource that a revision changed. Secrets stand in it as ``«secret»`` with their names."""

    kind: str
    key: str
    action: Literal["create", "update", "delete", "rename", "adopt"]
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    file: str | None
    line: int | None


class ConfigOwner(msgspec.Struct, frozen=True):
    """The place in a configuration repository that owns a row."""

    source: str
    file: str
    line: int


SOURCE_ROWS = """
SELECT s.name, s.url, s.branch, s.path, s.status, s.error_message, s.errors, s.failures, s.last_seen_commit,
       s.last_synced_at, s.sync_requested_at, s.next_sync_at, r.commit_hash AS applied_commit, r.created_at AS applied_at,
       r.id AS applied_revision, r.author AS applied_author, r.signer AS applied_signer,
       CASE WHEN s.status = 'held' THEN s.held END AS held, CASE WHEN s.status = 'waiting' THEN s.held END AS waiting,
       p.name AS project, s.active, s.scope, s.forced_from, s.forced_at,
       CASE WHEN s.status = 'waiting' THEN s.opens_at END AS opens_at
FROM config_sources s
LEFT JOIN projects p ON p.id = s.project_id
LEFT JOIN LATERAL (
    SELECT id, commit_hash, created_at, author, signer FROM config_revisions
    WHERE source = s.name AND status = 'applied' AND (s.project_id IS NULL OR commit_hash IS NOT NULL)
    ORDER BY created_at DESC LIMIT 1
) r ON true
"""
"""Sources as a struct wants them, without condition or order."""

_SOURCES = f"{SOURCE_ROWS} ORDER BY s.project_id IS NOT NULL, s.name"

_REVISION_COLUMNS = """
id, source, commit_hash, author, signer, subject, committed_at, status, errors, duration_seconds, created_at,
COALESCE((plan #>> '{summary,create}')::int, 0) AS created,
COALESCE((plan #>> '{summary,update}')::int, 0) AS updated,
COALESCE((plan #>> '{summary,delete}')::int, 0) AS deleted,
COALESCE((plan #>> '{summary,rename}')::int, 0) AS renamed,
COALESCE((plan #>> '{summary,adopt}')::int, 0) AS adopted,
plan ->> 'digest' AS digest, COALESCE(plan -> 'reasons', '[]'::jsonb) AS reasons
"""


async def config_sources(database: Database) -> list[ConfigSource]:
    """Every configuration repository, by name; after them the own files of projects."""
    return msgspec.convert([dict(row) for row in await database.fetch(_SOURCES)], list[ConfigSource])


async def project_source(database: Database, project: uuid.UUID) -> ConfigSource | None:
    """The source that is a project's own file; none: nothing is delegated to it."""
    row = await database.fetchrow(f"{SOURCE_ROWS} WHERE s.project_id = $1", project)
    return None if row is None else msgspec.convert(dict(row), ConfigSource)


async def config_revisions(
    database: Database, *, before: uuid.UUID | None = None, limit: int = _PAGE, source: str | None = None
) -> list[ConfigRevision]:
    """At most ``limit`` revisions, newest first; those older than the revision ``before``, if one is given.

    Args:
        database: where.
        before: where the page before ended.
        limit: how many.
        source: only those of this source.
    """
    # A condition that may be absent would keep PostgreSQL from using the index it has for it.
    older = (
        "(created_at, id) < (SELECT created_at, id FROM config_revisions WHERE id = $1)"
        if before
        else "$1::uuid IS NULL"
    )
    of = "source = $3" if source is not None else "$3::text IS NULL"
    rows = await database.fetch(
        f"""SELECT {_REVISION_COLUMNS} FROM config_revisions WHERE {older} AND {of}
        ORDER BY created_at DESC, id DESC LIMIT $2""",  # noqa: S608 - only constants of this file are put in
        before,
        limit,
        source,
    )
    return msgspec.convert([dict(row) for row in rows], list[ConfigRevision])


async def config_revision(database: Database, revision: uuid.UUID) -> ConfigRevision | None:
    """One revision, or none."""
    row = await database.fetchrow(
        f"SELECT {_REVISION_COLUMNS} FROM config_revisions WHERE id = $1",  # noqa: S608 - only a constant of this file is put in
        revision,
    )
    return None if row is None else msgspec.convert(dict(row), ConfigRevision)


async def config_changes(database: Database, revision: uuid.UUID) -> list[ConfigChange]:
    """What a revision changed, by kind and key."""
    rows = await database.fetch(
        "SELECT kind, key, action, before, after, file, line FROM config_changes WHERE revision_id = $1 ORDER BY kind, key",
        revision,
    )
    return msgspec.convert([dict(row) for row in rows], list[ConfigChange])


async def config_resource_counts(database: Database) -> dict[str, int]:
    """How many resources of each kind git owns."""
    rows = await database.fetch(
        "SELECT kind, count(*) AS owned FROM config_resources GROUP BY kind ORDER BY kind"
    )
    return {row["kind"]: row["owned"] for row in rows}


async def config_owner(database: Database, kind: str, key: str) -> ConfigOwner | None:
    """Where the row of this kind and key is declared; none when git does not own it."""
    row = await database.fetchrow(
        "SELECT source, file, line FROM config_resources WHERE kind = $1 AND key = $2", kind, key
    )
    return None if row is None else msgspec.convert(dict(row), ConfigOwner)


async def config_owners(database: Database, kind: str, keys: list[str]) -> dict[str, ConfigOwner]:
    """Where rows of one kind are declared, by key; without those that git does not own."""
    rows = await database.fetch(
        "SELECT key, source, file, line FROM config_resources WHERE kind = $1 AND key = ANY ($2)", kind, keys
    )
    return {row["key"]: ConfigOwner(row["source"], row["file"], row["line"]) for row in rows}
