"""Intake: builds that an evaluation has inserted become demands for derivations, or are settled without building."""

import asyncio
import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime

import asyncpg
import msgspec

from fc.base.database import Database
from fc.build.graph import drop_demands, end_builds, fail_dependents, recount, recount_dependents
from fc.build.needs import RUNNING, WAITING, Needs, Node, decide, first_reaching, look_below
from fc.build.remote import Workplace, look_into
from fc.build.settle import settle
from fc.tables.graph_lock import lock_graph

BATCH = 2000
"""Builds taken in at once."""

_AT_ONCE = 4
"""Short cuts settled at once: each reads and hashes files."""

_NEXT_JOBSET = """
SELECT e.jobset_id FROM builds b JOIN evaluations e ON e.id = b.evaluation_id
WHERE b.queued_at IS NULL AND b.status = 'pending' AND b.derivation_id IS NOT NULL
ORDER BY b.created_at, b.id LIMIT 1
"""

_NEW_BUILDS = """
SELECT b.derivation_id, b.id AS build_id, b.global_priority, b.priority AS local_priority, b.created_at AS wanted_since
FROM builds b JOIN evaluations e ON e.id = b.evaluation_id
WHERE e.jobset_id = $1 AND b.queued_at IS NULL AND b.status = 'pending' AND b.derivation_id IS NOT NULL
ORDER BY b.created_at, b.id LIMIT $2
"""

_NODES = """
SELECT d.id, d.status, f.drv_path IS NOT NULL AS failed_before,
       ARRAY(SELECT input_id FROM derivation_inputs WHERE derivation_id = d.id) AS inputs,
       ARRAY(SELECT path FROM derivation_outputs WHERE derivation_id = d.id) AS paths,
       m.global_priority, m.local_priority
FROM derivations d
LEFT JOIN failed_paths_cache f ON f.drv_path = d.drv_path
LEFT JOIN derivation_demands m ON m.derivation_id = d.id AND m.jobset_id = $2
WHERE d.id = ANY ($1)
"""

_BEGIN_ANEW = """
UPDATE derivations SET status = 'pending', attempts = 0, next_attempt_at = now(), error_message = NULL,
       started_at = NULL, completed_at = NULL, builder_id = NULL, builder_name = NULL
WHERE id = ANY ($1) AND status NOT IN ('pending', 'ready', 'running')
"""

_THERE = """
UPDATE derivations d SET status = 'built', missing_inputs = 0, error_message = NULL, completed_at = now()
WHERE id = ANY ($1) AND status NOT IN ('running', 'built', 'failed_with_output') AND NOT EXISTS (
    SELECT 1 FROM builds b WHERE b.derivation_id = d.id AND b.status IN ('pending', 'running')
)
RETURNING id
"""

_FAILED_BEFORE = """
UPDATE derivations SET status = CASE WHEN status IN ('pending', 'ready') THEN 'cached_failure' ELSE status END,
       completed_at = COALESCE(completed_at, now())
WHERE id = ANY ($1) AND status <> 'running' RETURNING id, name
"""

_DEMAND = """
INSERT INTO derivation_demands (derivation_id, jobset_id, build_id, global_priority, local_priority, wanted_since)
SELECT w.id, $1, w.build_id, w.global_priority, w.local_priority, w.wanted_since
FROM unnest($2::uuid[], $3::uuid[], $4::int[], $5::int[], $6::timestamptz[])
  AS w (id, build_id, global_priority, local_priority, wanted_since)
JOIN derivations d ON d.id = w.id AND d.status IN ('pending', 'ready', 'running')
ON CONFLICT (derivation_id, jobset_id) DO UPDATE
SET global_priority = GREATEST(derivation_demands.global_priority, EXCLUDED.global_priority),
    local_priority = GREATEST(derivation_demands.local_priority, EXCLUDED.local_priority),
    wanted_since = LEAST(derivation_demands.wanted_since, EXCLUDED.wanted_since)
"""

_QUEUED = """
UPDATE builds b SET queued_at = now() FROM derivations d
WHERE b.id = ANY ($1) AND d.id = b.derivation_id AND d.status IN ('pending', 'ready', 'running') AND b.queued_at IS NULL
"""


class Root(msgspec.Struct, frozen=True):
    """A derivation that a jobset needs, and why."""

    derivation_id: uuid.UUID
    build_id: uuid.UUID | None
    global_priority: int
    local_priority: int
    wanted_since: datetime


async def take_in(database: Database, workplace: Workplace, limit: int = BATCH) -> bool:
    """Take in new builds of one jobset; false: there were none.

    Whoever else does the same at the same time does no harm: every change is guarded by the state it changes.

    Raises:
        BuilderError: the head's store cannot be asked.
    """
    jobset_id = await database.fetchval(_NEXT_JOBSET)
    if jobset_id is None:
        return False
    roots = [Root(**row) for row in await database.fetch(_NEW_BUILDS, jobset_id, limit)]
    needs = await absorb(database, workplace, jobset_id, roots)
    await settle_there(database, workplace, needs.there)
    return True


async def absorb(
    database: Database, workplace: Workplace, jobset_id: uuid.UUID, roots: Sequence[Root]
) -> Needs:
    """Record what must be built for ``roots``, which one jobset needs.

    Roots whose outputs are there stay as they are: ``settle_there`` brings them to their end.
    """
    nodes = await _read_graph(database, workplace, jobset_id, roots)
    by_age = [root.derivation_id for root in sorted(roots, key=lambda root: root.wanted_since)]
    needs = decide(nodes, by_age)
    async with database.transaction() as connection:
        await lock_graph(connection)
        await connection.execute(_BEGIN_ANEW, list(needs.again))
        await _note_there(connection, needs.there)
        await _note_failing(connection, needs.failing)
        await _note_demands(connection, jobset_id, nodes, needs, roots)
        await recount(connection, list(needs.wanted | needs.again))
        await connection.execute(_QUEUED, [root.build_id for root in roots if root.build_id is not None])
    return needs


async def settle_there(database: Database, workplace: Workplace, derivations: Iterable[uuid.UUID]) -> None:
    """End the builds of derivations whose outputs are valid in the head's store, without building."""
    rows = await database.fetch(
        """SELECT d.id, json_object_agg(o.name, o.path) AS outputs FROM derivations d
        JOIN derivation_outputs o ON o.derivation_id = d.id
        WHERE d.id = ANY ($1) AND d.status <> 'running' AND (d.status IN ('pending', 'ready') OR EXISTS (
            SELECT 1 FROM builds b WHERE b.derivation_id = d.id AND b.status IN ('pending', 'running')
        )) GROUP BY d.id""",
        list(set(derivations)),
    )
    outputs = {row["id"]: row["outputs"] for row in rows}
    infos = await workplace.store.path_infos(path for paths in outputs.values() for path in paths.values())
    turn = asyncio.Semaphore(_AT_ONCE)

    async def settle_one(derivation_id: uuid.UUID, paths: Mapping[str, str]) -> None:
        async with turn:
            mine = {path: infos[path] for path in paths.values() if path in infos}
            if len(mine) == len(set(paths.values())):
                await settle(database, derivation_id, await look_into(workplace, paths, mine))

    async with asyncio.TaskGroup() as group:
        for derivation_id, paths in outputs.items():
            group.create_task(settle_one(derivation_id, paths))


async def _read_graph(
    database: Database, workplace: Workplace, jobset_id: uuid.UUID, roots: Sequence[Root]
) -> dict[uuid.UUID, Node]:
    """The roots and what is below them, level by level, as far as it matters.

    What the jobset demands already, with no less priority, was looked below when that was recorded.
    """
    least_global = max((root.global_priority for root in roots), default=0)
    least_local = max((root.local_priority for root in roots), default=0)
    starts = {root.derivation_id for root in roots}
    nodes: dict[uuid.UUID, Node] = {}
    level: Collection[uuid.UUID] = starts
    while level:
        rows = await database.fetch(_NODES, list(level), jobset_id)
        asked = [
            path for row in rows if row["status"] != RUNNING for path in row["paths"] if path is not None
        ]
        valid = await workplace.store.valid_paths(asked)
        for row in rows:
            known = (
                row["id"] not in starts
                and row["global_priority"] is not None
                and row["status"] in (*WAITING, RUNNING)
                and row["global_priority"] >= least_global
                and row["local_priority"] >= least_local
            )
            node = Node(
                status=row["status"],
                valid=bool(row["paths"]) and all(path in valid for path in row["paths"]),
                failed_before=row["failed_before"],
                inputs=frozenset(row["inputs"]),
            )
            looks_on = look_below(node) and not known
            nodes[row["id"]] = node if looks_on else msgspec.structs.replace(node, inputs=frozenset())
        level = {one for row in rows for one in nodes[row["id"]].inputs} - nodes.keys()
    return nodes


async def _note_there(connection: asyncpg.Connection, there: Collection[uuid.UUID]) -> None:
    """Valid ones that no unfinished build is waiting for as such are simply built."""
    rows = await connection.fetch(_THERE, list(there))
    built = [row["id"] for row in rows]
    if built:
        await drop_demands(connection, built)
        await recount_dependents(connection, built)


async def _note_failing(connection: asyncpg.Connection, failing: Collection[uuid.UUID]) -> None:
    """What has failed before fails again, with all that needs it."""
    for row in await connection.fetch(_FAILED_BEFORE, list(failing)):
        await end_builds(
            connection,
            [row["id"]],
            "cached_failure",
            "this derivation has failed before; it is not tried again",
        )
        await drop_demands(connection, [row["id"]])
        await fail_dependents(connection, [row["id"]], f"{row['name']}, which it needs, has failed before")


async def _note_demands(
    connection: asyncpg.Connection,
    jobset_id: uuid.UUID,
    nodes: Mapping[uuid.UUID, Node],
    needs: Needs,
    roots: Sequence[Root],
) -> None:
    """Record for each wanted derivation the oldest build that needs it and the greatest priorities."""
    oldest = _reaching(nodes, needs, sorted(roots, key=lambda root: root.wanted_since))
    weightiest = _reaching(nodes, needs, sorted(roots, key=lambda root: -root.global_priority))
    preferred = _reaching(nodes, needs, sorted(roots, key=lambda root: -root.local_priority))
    keys = list(oldest)
    await connection.execute(
        _DEMAND,
        jobset_id,
        keys,
        [oldest[key].build_id for key in keys],
        [weightiest[key].global_priority for key in keys],
        [preferred[key].local_priority for key in keys],
        [oldest[key].wanted_since for key in keys],
    )


def _reaching(nodes: Mapping[uuid.UUID, Node], needs: Needs, roots: Sequence[Root]) -> dict[uuid.UUID, Root]:
    """For each wanted derivation the first of ``roots`` that needs it."""
    by_derivation: dict[uuid.UUID, Root] = {}
    for root in roots:
        by_derivation.setdefault(root.derivation_id, root)
    return {
        key: by_derivation[first] for key, first in first_reaching(nodes, needs.wanted, by_derivation).items()
    }
