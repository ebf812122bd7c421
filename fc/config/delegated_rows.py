"""What projects' own files own, when other configuration changes: taken over, renamed, or let go. In its transaction."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any

import asyncpg

from fc.config.compile import Resource, ResourceId
from fc.config.diff import Change, Owned, Plan, diff
from fc.config.drift_log import end_changed
from fc.config.inventory import PROJECT_SOURCE, Origin, write_inventory, write_revision
from fc.config.language import KIND_BY_NAME, Fields
from fc.config.project_file import FILE
from fc.config.rows import RULES

_DELEGATED = frozenset(("jobset", "input", "channel"))
_ANY_FILE = "SELECT EXISTS (SELECT FROM config_sources WHERE project_id IS NOT NULL)"
_LOCK_FILES = """
SELECT s.name FROM config_sources s JOIN projects p ON p.id = s.project_id
WHERE p.name = ANY ($1::text[]) ORDER BY s.id FOR UPDATE OF s
"""
# Whoever synchronises it now does so by what held before: it loses its claim, and with it its result.
_LOOK_AGAIN = """
UPDATE config_sources s SET sync_requested_at = clock_timestamp(), claim_token = NULL, lease_until = NULL
FROM projects p WHERE p.id = s.project_id AND p.name = ANY ($1::text[])
"""
_CEDED = """
SELECT c.kind, c.key, c.content FROM config_resources c
JOIN unnest($1::text[], $2::text[]) AS wanted(kind, key) ON c.kind = wanted.kind AND c.key = wanted.key
WHERE starts_with(c.source, $3)
"""
# With a jobset go its inputs, whoever declares them.
# What a file would have made, had it not belonged to another source, is kept with the revision that failed for it.
_CLAIMED = """
SELECT c.key FROM config_sources s
JOIN LATERAL (
    SELECT r.status, r.plan FROM config_revisions r WHERE r.source = s.name ORDER BY r.created_at DESC LIMIT 1
) r ON r.status = 'failed'
CROSS JOIN jsonb_to_recordset(r.plan -> 'changes') AS c(kind text, key text, action text)
WHERE s.project_id IS NOT NULL AND s.name = ANY ($1::text[])
  AND c.kind = 'jobset' AND c.action = 'create' AND c.key = ANY ($2::text[])
"""
_TAKEN = """
SELECT c.source, c.kind, c.key, c.content, c.content_hash, c.file, c.line FROM config_resources c
WHERE starts_with(c.source, $3) AND (
    EXISTS (SELECT FROM unnest($1::text[], $2::text[]) AS taken(kind, key) WHERE taken.kind = c.kind AND taken.key = c.key)
    OR c.kind = 'input' AND EXISTS (
        SELECT FROM unnest($1::text[], $2::text[]) AS taken(kind, key)
        WHERE taken.kind = 'jobset' AND starts_with(c.key, taken.key || '/'))
) ORDER BY c.source
"""
_OWNED = "SELECT kind, key, content, content_hash, file, line FROM config_resources WHERE source = $1"
_GONE = """
SELECT DISTINCT c.source FROM config_resources c
WHERE starts_with(c.source, $1) AND NOT EXISTS (SELECT FROM config_sources s WHERE s.name = c.source)
"""
_RENAMED = """
SELECT s.name AS was, $1 || p.name AS name, p.name AS project FROM config_sources s JOIN projects p ON p.id = s.project_id
WHERE s.name <> $1 || p.name ORDER BY s.id FOR UPDATE OF s
"""
_RENAME = "UPDATE config_sources SET name = $2, claim_token = NULL, lease_until = NULL WHERE name = $1"
_MOVE = (
    "UPDATE config_resources SET source = $2 WHERE source = $1",
    "UPDATE config_revisions SET source = $2 WHERE source = $1",
    "UPDATE config_pauses SET source = $2 WHERE source = $1",
)
_WITHDRAWN = """
SELECT s.name FROM config_sources s JOIN projects p ON p.id = s.project_id
WHERE NOT COALESCE(p.delegate -> 'jobsets' = 'true' OR p.delegate -> 'channels' = 'true', false)
ORDER BY s.id FOR UPDATE OF s
"""
_DROP = "DELETE FROM config_sources WHERE name = $1 AND project_id IS NOT NULL"
_DELEGATING = """
INSERT INTO config_sources (name, url, branch, path, project_id)
SELECT $1 || p.name, p.repository_url, 'HEAD', $2, p.id FROM projects p
WHERE (p.delegate -> 'jobsets' = 'true' OR p.delegate -> 'channels' = 'true')
  AND NOT EXISTS (SELECT FROM config_sources s WHERE s.project_id = p.id)
ON CONFLICT DO NOTHING
"""
# An upsert would lock every row that is there already, and wait for whoever synchronises it.
_ELSEWHERE = """
UPDATE config_sources s SET url = p.repository_url, branch = 'HEAD', last_seen_commit = NULL,
    claim_token = NULL, lease_until = NULL, sync_requested_at = clock_timestamp()
FROM projects p WHERE p.id = s.project_id AND s.url <> p.repository_url
"""


def projects_of(plan: Plan) -> list[str]:
    """Projects of which a plan changes something that matters to their own files, by all their names. Pure."""
    names = set()
    for change in plan.changes:
        if change.kind == "project" or change.kind in _DELEGATED:
            names |= {key.partition("/")[0] for key in (change.key, change.was) if key is not None}
    return sorted(names)


async def has_files(connection: asyncpg.Connection) -> bool:
    """Whether any project delegates to a file of its own."""
    return bool(await connection.fetchval(_ANY_FILE))


async def lock_files(connection: asyncpg.Connection, plan: Plan) -> None:
    """Keep the own files of a plan's projects from being synchronised until the transaction ends.

    A synchronisation locks its source before anything else, so whoever locks sources first never waits in a circle.
    """
    names = projects_of(plan)
    if names:
        await connection.fetch(_LOCK_FILES, names)


async def ceded(
    connection: asyncpg.Connection, owned: Iterable[Owned], resources: Mapping[ResourceId, Resource]
) -> dict[ResourceId, Fields]:
    """What of ``resources`` a project's own file owns, with what it says: the central configuration takes it over."""
    mine = {(one.kind, one.key) for one in owned}
    new = [one for one in resources if one[0] in _DELEGATED and one not in mine]
    if not new:
        return {}
    rows = await connection.fetch(_CEDED, *_columns(new), PROJECT_SOURCE)
    return {(row["kind"], row["key"]): row["content"] for row in rows}


async def spare(connection: asyncpg.Connection, plan: Plan) -> Plan:
    """``plan`` without deleting for good what a project's own file declares already: it is handed over, with its history."""
    keys = [change.key for change in plan.changes if change.kind == "jobset" and change.destroys]
    if not keys:
        return plan
    files = sorted({f"{PROJECT_SOURCE}{key.partition('/')[0]}" for key in keys})
    claimed = {row["key"] for row in await connection.fetch(_CLAIMED, files, keys)}
    changes = tuple(
        replace(change, spared=True)
        if change.kind == "jobset" and change.destroys and change.key in claimed
        else change
        for change in plan.changes
    )
    return replace(plan, changes=changes)


async def surrender(connection: asyncpg.Connection, plan: Plan) -> None:
    """Have projects' own files let go of what ``plan`` adopts; inputs of adopted jobsets that it does not are deleted."""
    adopted = {change.id for change in plan.changes if change.action == "adopt"}
    if not adopted:
        return
    rows = await connection.fetch(_TAKEN, *_columns(adopted), PROJECT_SOURCE)
    for source, taken in groupby(rows, key=lambda row: row["source"]):
        owned = [_owned(row) for row in taken]
        left = [one for one in owned if (one.kind, one.key) not in adopted]
        await _remove_rows(connection, diff(left, {}))
        await _record(connection, source, diff(owned, {}))


async def settle_files(connection: asyncpg.Connection, plan: Plan) -> None:
    """Once ``plan`` is written: have the own files of its projects synchronised anew, and none end with what held before."""
    names = projects_of(plan)
    if names:
        await reconcile_files(connection)
        await connection.execute(_LOOK_AGAIN, names)


async def reconcile_files(connection: asyncpg.Connection) -> None:
    """Make the sources that are projects' own files what the projects say: their names, which there are, and where.

    What the file of a project owned that delegates no more is archived, never deleted for good, and its source goes.
    """
    for row in await connection.fetch(_GONE, PROJECT_SOURCE):
        # Its project is gone, and with it every row.
        await _record(connection, row["source"], diff(await _inventory(connection, row["source"]), {}))
    for row in await connection.fetch(_RENAMED, PROJECT_SOURCE):
        await _follow_rename(connection, row["was"], row["name"], row["project"])
    for row in await connection.fetch(_WITHDRAWN):
        plan = diff(await _inventory(connection, row["name"]), {})
        await _remove_rows(connection, plan)
        await _record(connection, row["name"], plan)
        await connection.execute(_DROP, row["name"])
    await connection.execute(_DELEGATING, PROJECT_SOURCE, FILE)
    await connection.execute(_ELSEWHERE)


async def _follow_rename(connection: asyncpg.Connection, was: str, name: str, project: str) -> None:
    """Rows stand in their project and have moved with it; the inventory and the history follow."""
    await connection.execute(_RENAME, was, name)
    for statement in _MOVE:
        await connection.execute(statement, was, name)
    owned = await _inventory(connection, name)
    moved = [
        replace(one, key=f"{project}/{one.key.partition('/')[2]}", was=one.key)
        for one in owned
        if one.key.partition("/")[0] != project
    ]
    await _record(connection, name, diff(moved, {(one.kind, one.key): _as_declared(one) for one in moved}))


async def _inventory(connection: asyncpg.Connection, source: str) -> list[Owned]:
    return [_owned(row) for row in await connection.fetch(_OWNED, source)]


async def _remove_rows(connection: asyncpg.Connection, plan: Plan) -> None:
    """Archive what can be, whatever ``on_remove`` says: its file did not ask for its removal. Delete the rest."""
    for kind, changes in groupby(plan.changes, key=_kind):
        rule = RULES[kind]
        rows = [rule.row(change.key, None, None) for change in changes]
        await connection.execute(rule.remove(archive=KIND_BY_NAME[kind].archived), rows)


async def _record(connection: asyncpg.Connection, source: str, plan: Plan) -> None:
    """Keep in inventory and history what became of rows."""
    if plan.changes:
        revision = await write_revision(connection, Origin(source), 0.0, status="applied", plan=plan)
        await write_inventory(connection, source, revision, plan)
        await end_changed(connection, [(change.kind, change.was or change.key) for change in plan.changes])


def _kind(change: Change) -> str:
    return change.kind


def _owned(row: Mapping[str, Any]) -> Owned:
    return Owned(row["kind"], row["key"], row["content_hash"], row["file"], row["line"], row["content"])


def _as_declared(one: Owned) -> Resource:
    return Resource(one.kind, one.key, one.fields or {}, one.file, one.line, 1, one.content_hash, {})


def _columns(ids: Iterable[ResourceId]) -> tuple[list[str], list[str]]:
    listed = list(ids)
    return [kind for kind, _ in listed], [key for _, key in listed]
