"""The inventory: which file and line owns which row, and the history of how it came to be."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import asyncpg

from fc.base.collecting import in_batches
from fc.base.database import Database
from fc.base.git import CommitInfo
from fc.base.problems import Problem
from fc.config.compile import Resource, ResourceId
from fc.config.diff import Change, Owned, Plan, differing_ids
from fc.config.redaction import redacted
from fc.config.renames import follow_renames

PROJECT_SOURCE = "project/"
"""How the names of the sources begin that are a project's own file; no name in the settings has a slash."""

_HEADS = "SELECT kind, key, content_hash, file, line FROM config_resources WHERE source = $1"
_CONTENTS = """
SELECT c.kind, c.key, c.content FROM config_resources c
JOIN unnest($2::text[], $3::text[]) AS wanted(kind, key) ON c.kind = wanted.kind AND c.key = wanted.key
WHERE c.source = $1
"""
_FORGET = """
DELETE FROM config_resources c USING unnest($2::text[], $3::text[]) AS gone(kind, key)
WHERE c.source = $1 AND c.kind = gone.kind AND c.key = gone.key
"""
_REMEMBER = """
INSERT INTO config_resources (source, kind, key, content, content_hash, file, line, revision_id)
SELECT $1, r.kind, r.key, r.content, r.content_hash, r.file, r.line, $2
FROM jsonb_to_recordset($3::jsonb) AS r(kind text, key text, content jsonb, content_hash text, file text, line int)
ON CONFLICT (kind, key) DO UPDATE SET content = EXCLUDED.content, content_hash = EXCLUDED.content_hash,
    file = EXCLUDED.file, line = EXCLUDED.line, revision_id = EXCLUDED.revision_id, updated_at = now()
"""
_RELOCATE = """
UPDATE config_resources c SET file = r.file, line = r.line
FROM jsonb_to_recordset($2::jsonb) AS r(kind text, key text, file text, line int)
WHERE c.source = $1 AND c.kind = r.kind AND c.key = r.key
"""
_OTHERS = """
SELECT c.kind, c.key, c.source, c.file, c.line FROM config_resources c
JOIN unnest($2::text[], $3::text[]) AS wanted(kind, key) ON c.kind = wanted.kind AND c.key = wanted.key
WHERE c.source <> $1
"""
_RELEASED = """
SELECT wanted.kind, wanted.key FROM unnest($1::text[], $2::text[]) AS wanted(kind, key)
WHERE (
    SELECT action FROM config_changes h WHERE h.kind = wanted.kind AND h.key = wanted.key
    ORDER BY created_at DESC LIMIT 1
) = 'delete'
"""
# Transactions begin before they wait for one another: only the clock tells in which order they wrote.
_REVISION = """
INSERT INTO config_revisions
    (source, commit_hash, author, subject, committed_at, status, plan, errors, duration_seconds, created_at, signer,
     report_pending_since)
VALUES ($1::text, $2::text, $3, $4, $5, $6, $7, $8, $9, clock_timestamp(), COALESCE($10, (
    -- A commit in force is not checked again.
    SELECT signer FROM config_revisions WHERE source = $1::text AND commit_hash = $2::text AND signer IS NOT NULL
    ORDER BY created_at DESC LIMIT 1
)), CASE WHEN $2::text IS NOT NULL THEN clock_timestamp() END) RETURNING id
"""
_CHANGES = """
INSERT INTO config_changes (revision_id, kind, key, action, before, after, file, line, created_at)
SELECT $1, r.kind, r.key, r.action, r.before, r.after, r.file, r.line, clock_timestamp()
FROM jsonb_to_recordset($2::jsonb)
    AS r(kind text, key text, action text, before jsonb, after jsonb, file text, line int)
"""


RevisionStatus = Literal["applied", "failed", "held", "waiting"]
_BATCH_ROWS = 1_000
"""Of one statement."""
_MOST_KEPT = 1_000
"""Changes that are kept of a plan that was not applied."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a configuration comes from."""

    source: str
    """Name of the configuration repository in ``config_sources``."""
    commit: CommitInfo | None = None
    """None: a directory, by hand."""
    signer: str | None = None
    """Who signed the commit; none: no signature was asked for."""


async def read_inventory(
    connection: asyncpg.Connection, source: str, resources: Mapping[ResourceId, Resource]
) -> list[Owned]:
    """What ``source`` owns, by the names ``resources`` give it; contents only where they say something else.

    Raises:
        ConfigurationError: a rename leads to a name that git owns already.
    """
    found = [Owned(**row) for row in await connection.fetch(_HEADS, source)]
    heads = follow_renames(found, resources)
    return await with_contents(connection, source, heads, resources)


async def with_contents(
    connection: asyncpg.Connection,
    source: str,
    heads: list[Owned],
    resources: Mapping[ResourceId, Resource],
) -> list[Owned]:
    """``heads`` of what ``source`` owns, with their contents where ``resources`` do not say the same."""
    ids = differing_ids(heads, resources)
    if not ids:
        return heads
    stored = {(one.kind, one.was or one.key) for one in heads if (one.kind, one.key) in ids}
    rows = await connection.fetch(_CONTENTS, source, *id_columns(stored))
    contents = {(row["kind"], row["key"]): row["content"] for row in rows}
    # Most of many thousands are as they were: only the others are made anew.
    return [
        one
        if (content := contents.get((one.kind, one.was or one.key))) is None
        else replace(one, fields=content)
        for one in heads
    ]


async def owned_elsewhere(
    connection: asyncpg.Connection, source: str, ids: Iterable[ResourceId]
) -> dict[ResourceId, str]:
    """Which of ``ids`` another source owns, and at which place."""
    rows = await connection.fetch(_OTHERS, source, *id_columns(ids))
    return {(row["kind"], row["key"]): f"{row['source']}: {row['file']}:{row['line']}" for row in rows}


async def owned_by_others(database: Database, source: str, ids: Iterable[ResourceId]) -> set[ResourceId]:
    """Which of ``ids`` another source owns; what projects' own files own does not count: nothing may rest on it."""
    rows = await database.fetch(_OTHERS, source, *id_columns(ids))
    return {(row["kind"], row["key"]) for row in rows if not row["source"].startswith(PROJECT_SOURCE)}


async def released(connection: asyncpg.Connection, ids: Iterable[ResourceId]) -> set[ResourceId]:
    """Which of ``ids`` were removed from git the last time it said anything about them."""
    return {(row["kind"], row["key"]) for row in await connection.fetch(_RELEASED, *id_columns(ids))}


async def relocate(connection: asyncpg.Connection, source: str, moved: Iterable[Resource]) -> None:
    """Note the new places of what only moved."""
    rows = [{"kind": one.kind, "key": one.key, "file": one.file, "line": one.line} for one in moved]
    if rows:
        await connection.execute(_RELOCATE, source, rows)


async def write_inventory(
    connection: asyncpg.Connection, source: str, revision: uuid.UUID, plan: Plan
) -> None:
    """Bring the inventory of ``source`` to the state after ``plan``, and keep every change in the history."""
    # What is renamed is forgotten under its old name; a removal inside of what is renamed has only the old one.
    gone = [
        (change.kind, change.was or change.key)
        for change in plan.changes
        if change.action == "delete" or change.was is not None
    ]
    if gone:
        await connection.execute(_FORGET, source, *id_columns(gone))
    kept = (change for change in plan.changes if change.action != "delete")
    for batch in in_batches(kept, _BATCH_ROWS):
        await connection.execute(_REMEMBER, source, revision, [_inventory_row(change) for change in batch])
    for batch in in_batches(plan.changes, _BATCH_ROWS):
        rows = [row for change in batch for row in _history_rows(change)]
        await connection.execute(_CHANGES, revision, rows)


async def write_revision(
    connection: asyncpg.Connection,
    origin: Origin,
    duration: float,
    *,
    status: RevisionStatus,
    plan: Plan | None = None,
    problems: Iterable[Problem] = (),
    reasons: Iterable[str] = (),
    digest: str | None = None,
) -> uuid.UUID:
    """Record a try.

    Args:
        connection: in a transaction.
        origin: what was tried.
        duration: seconds.
        status: what became of it.
        plan: what was to change; kept whole, unless it was applied, since then the changes tell it.
        problems: why it failed.
        reasons: for which it had to be confirmed, or was refused though its files are right.
        digest: what has to be confirmed; none: the plan's own.
    """
    commit = origin.commit
    kept: dict[str, Any] = {"reasons": list(reasons)}
    if plan is not None:
        kept |= {"digest": digest or plan.digest, "summary": plan.summary}
        if status != "applied":
            rows = [row for change in plan.changes for row in _history_rows(change)]
            kept |= {"changes": rows[:_MOST_KEPT], "more": max(0, len(rows) - _MOST_KEPT)}
    revision: uuid.UUID = await connection.fetchval(
        _REVISION,
        origin.source,
        commit.hash if commit else None,
        commit.author if commit else None,
        commit.subject if commit else None,
        commit.committed_at if commit else None,
        status,
        kept,
        list(problems),
        duration,
        origin.signer,
    )
    return revision


def id_columns(ids: Iterable[ResourceId]) -> tuple[list[str], list[str]]:
    """Kinds and keys, each in a list, as SQL takes them. Pure."""
    kinds_and_keys = list(ids)
    return [kind for kind, _ in kinds_and_keys], [key for _, key in kinds_and_keys]


def _inventory_row(change: Change) -> dict[str, Any]:
    return {
        "kind": change.kind,
        "key": change.key,
        "content": change.after,
        "content_hash": change.after_hash,
        "file": change.file,
        "line": change.line,
    }


def _history_rows(change: Change) -> list[dict[str, Any]]:
    """What the history keeps of a change. A rename also ends the history of the old key, without an ``after``."""
    row = {
        "kind": change.kind,
        "key": change.key,
        "action": change.action,
        "before": redacted(change.before),
        "after": redacted(change.after),
        "file": change.file,
        "line": change.line,
    }
    if change.was is None:
        return [row]
    return [{**row, "key": change.was, "after": None}, *([row] if change.action == "rename" else [])]
