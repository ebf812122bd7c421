"""Recording the build graph: derivations, their inputs and outputs, in short transactions, inputs first."""

import uuid
from collections.abc import Iterable, Mapping, Sequence

import asyncpg
import msgspec

from fc.base.database import Database, affected
from fc.base.errors import ConflictError
from fc.evaluate.chains import UNKNOWN_SECONDS, chain_lengths
from fc.evaluate.graph import DerivationFacts, Graph
from fc.nix.eval_job import EvalJob
from fc.tables.graph_lock import lock_graph

CHUNK = 2000
"""Derivations inserted in one transaction. The end of a build anywhere waits for it."""

_WAITING = ("pending", "ready", "running")
_SEPARATOR = "\x1f"

_CLOSURE = """
WITH RECURSIVE reached (id) AS (
    SELECT id FROM derivations WHERE drv_path = ANY ($1)
  UNION
    SELECT i.input_id FROM reached r JOIN derivation_inputs i ON i.derivation_id = r.id
)
SELECT d.id, d.drv_path, d.name, d.status, d.path_length,
       ARRAY(SELECT input_id FROM derivation_inputs WHERE derivation_id = d.id) AS inputs
FROM reached r JOIN derivations d ON d.id = r.id
"""
_DURATIONS = """
SELECT name, avg(EXTRACT(EPOCH FROM completed_at - started_at))::float8 AS seconds FROM derivations
WHERE name = ANY ($1) AND status = 'built' AND started_at IS NOT NULL AND completed_at > started_at GROUP BY name
"""
_INSERT = """
INSERT INTO derivations
    (drv_path, name, system, required_features, prefer_local, fixed_output, timeout, max_silent, path_length)
SELECT n.drv_path, n.name, n.system, string_to_array(n.features, $9), n.prefer_local, n.fixed_output, n.timeout,
       n.max_silent, n.path_length
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::boolean[], $7::int[], $8::int[], $10::int[])
  AS n (drv_path, name, system, features, prefer_local, fixed_output, timeout, max_silent, path_length)
ON CONFLICT (drv_path) DO NOTHING RETURNING id, drv_path
"""
_INSERT_INPUTS = """
INSERT INTO derivation_inputs (derivation_id, input_id)
SELECT e.derivation_id, d.id FROM unnest($1::uuid[], $2::text[]) AS e (derivation_id, input)
JOIN derivations d ON d.drv_path = e.input
"""
_INSERT_OUTPUTS = """
INSERT INTO derivation_outputs (derivation_id, name, path)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[])
"""
_COUNT_MISSING = """
UPDATE derivations d SET missing_inputs = c.missing, status = CASE WHEN c.missing = 0 THEN 'ready' ELSE 'pending' END
FROM (
    SELECT n.id, count(x.id) AS missing FROM unnest($1::uuid[]) AS n (id)
    LEFT JOIN derivation_inputs i ON i.derivation_id = n.id
    LEFT JOIN derivations x ON x.id = i.input_id AND x.status NOT IN ('built', 'failed_with_output')
    GROUP BY n.id
) c WHERE d.id = c.id
"""
_LENGTHEN = """
UPDATE derivations d SET path_length = v.path_length FROM unnest($1::uuid[], $2::int[]) AS v (id, path_length)
WHERE d.id = v.id AND d.path_length < v.path_length AND d.status = ANY ($3)
"""
_LIMIT = """
UPDATE derivations d SET timeout = v.timeout, max_silent = v.max_silent
FROM unnest($1::text[], $2::int[], $3::int[]) AS v (drv_path, timeout, max_silent)
WHERE d.drv_path = v.drv_path AND d.status IN ('pending', 'ready')
  AND (d.timeout, d.max_silent) IS DISTINCT FROM (v.timeout, v.max_silent)
"""


class KnownDerivation(msgspec.Struct, frozen=True, kw_only=True):
    """A row that was there before this evaluation."""

    id: uuid.UUID
    drv_path: str
    name: str
    waiting: bool
    """Whether it has no end yet."""
    path_length: int
    inputs: tuple[str, ...]
    """Paths of the derivations it needs."""


class Limits(msgspec.Struct, frozen=True):
    """What a job's ``meta`` allows its derivation; seconds."""

    timeout: int | None = None
    max_silent: int | None = None


async def read_known(database: Database, paths: Iterable[str]) -> dict[str, KnownDerivation]:
    """The rows of ``paths`` and of all they need, by path."""
    rows = await database.fetch(_CLOSURE, list(paths))
    by_id = {row["id"]: row["drv_path"] for row in rows}
    return {
        row["drv_path"]: KnownDerivation(
            id=row["id"],
            drv_path=row["drv_path"],
            name=row["name"],
            waiting=row["status"] in _WAITING,
            path_length=row["path_length"],
            inputs=tuple(by_id[one] for one in row["inputs"] if one in by_id),
        )
        for row in rows
    }


def limits_of(jobs: Iterable[EvalJob]) -> dict[str, Limits]:
    """The limits of each job's derivation; the more generous ones where several jobs share it."""
    found: dict[str, Limits] = {}
    for job in jobs:
        other = found.get(job.drv_path, Limits())
        found[job.drv_path] = Limits(
            _larger(job.timeout, other.timeout), _larger(job.max_silent, other.max_silent)
        )
    return found


def _larger(one: int | None, other: int | None) -> int | None:
    return max(one, other) if one is not None and other is not None else one if other is None else other


async def record_graph(
    database: Database, graph: Graph, known: Mapping[str, KnownDerivation], limits: Mapping[str, Limits]
) -> None:
    """Insert the new derivations of ``graph``.

    Every transaction leaves a graph in which all that a derivation needs is recorded too, so it does no harm to
    stop after any of them, to begin again, or to do this twice at once.

    Args:
        database: where to.
        graph: what ``read_graph`` has found.
        known: what ``read_known`` says about ``graph.known``.
        limits: by path, of derivations that jobs name.

    Raises:
        ConflictError: a derivation that was known has been removed meanwhile; read the graph again.
    """
    lengths = await _lengths(database, graph, known)
    new = list(graph.new.values())
    for start in range(0, len(new), CHUNK):
        chunk = new[start : start + CHUNK]
        async with database.transaction() as connection:
            await lock_graph(connection)
            await _insert(connection, chunk, lengths, limits)
    if len(new) > CHUNK:
        # The planner must not take the tables for small ones until autovacuum comes by.
        await database.execute("ANALYZE derivations, derivation_inputs, derivation_outputs")
    longer = {one.id: lengths[path] for path, one in known.items() if lengths.get(path, 0) > one.path_length}
    old = [path for path in limits if path not in graph.new]
    async with database.transaction() as connection:
        await lock_graph(connection)
        await connection.execute(_LENGTHEN, list(longer), list(longer.values()), _WAITING)
        await connection.execute(
            _LIMIT, old, [limits[path].timeout for path in old], [limits[path].max_silent for path in old]
        )


async def _lengths(database: Database, graph: Graph, known: Mapping[str, KnownDerivation]) -> dict[str, int]:
    names = {path: facts.name for path, facts in graph.new.items()}
    names |= {path: one.name for path, one in known.items() if one.waiting}
    rows = await database.fetch(_DURATIONS, list(set(names.values())))
    measured = {row["name"]: row["seconds"] for row in rows}
    inputs = {path: graph.new[path].inputs if path in graph.new else known[path].inputs for path in names}
    return chain_lengths(inputs, {path: measured.get(name, UNKNOWN_SECONDS) for path, name in names.items()})


async def _insert(
    connection: asyncpg.Connection,
    chunk: Sequence[DerivationFacts],
    lengths: Mapping[str, int],
    limits: Mapping[str, Limits],
) -> None:
    none = Limits()
    rows = await connection.fetch(
        _INSERT,
        [facts.drv_path for facts in chunk],
        [facts.name for facts in chunk],
        [facts.system for facts in chunk],
        [_SEPARATOR.join(facts.required_features) for facts in chunk],
        [facts.prefer_local for facts in chunk],
        [facts.fixed_output for facts in chunk],
        [limits.get(facts.drv_path, none).timeout for facts in chunk],
        [limits.get(facts.drv_path, none).max_silent for facts in chunk],
        _SEPARATOR,
        [lengths.get(facts.drv_path, 0) for facts in chunk],
    )
    ids = {row["drv_path"]: row["id"] for row in rows}
    added = [facts for facts in chunk if facts.drv_path in ids]
    edges = [(ids[facts.drv_path], one) for facts in added for one in facts.inputs]
    tag = await connection.execute(_INSERT_INPUTS, [edge[0] for edge in edges], [edge[1] for edge in edges])
    if affected(tag) != len(edges):
        message = "a derivation was removed from the database while another that needs it was recorded"
        raise ConflictError(message)
    outputs = [(ids[facts.drv_path], name, path) for facts in added for name, path in facts.outputs.items()]
    await connection.execute(_INSERT_OUTPUTS, *([item[column] for item in outputs] for column in range(3)))
    await connection.execute(_COUNT_MISSING, list(ids.values()))
