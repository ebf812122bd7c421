"""Recording the closures of built outputs, and finding them again by what clients send."""

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec
import structlog

from fc.base.database import Database
from fc.base.nix_cli import Nix
from fc.cache.closures import servable
from fc.cache.store import read_closures
from fc.nix.path_info import PathInfo
from fc.nix.storepath import parse_store_path

BATCH = 200
"""Derivations recorded at once."""

# Both conditions are those of the partial index idx_derivations_uncached.
_UNRECORDED = """
SELECT d.id, d.completed_at, array_agg(o.path) FILTER (WHERE o.path IS NOT NULL) AS paths
FROM derivations d LEFT JOIN derivation_outputs o ON o.derivation_id = d.id
WHERE d.id IN (
    SELECT id FROM derivations
    WHERE status = 'built' AND (cached_at IS NULL OR cached_at < completed_at)
    ORDER BY completed_at LIMIT $1
)
GROUP BY d.id
"""

_UNRECORDED_WITH = """
SELECT d.id, d.completed_at, array_agg(o.path) FILTER (WHERE o.path IS NOT NULL) AS paths
FROM derivations d JOIN derivation_outputs o ON o.derivation_id = d.id
WHERE d.status = 'built' AND (d.cached_at IS NULL OR d.cached_at < d.completed_at)
  AND d.id IN (SELECT derivation_id FROM derivation_outputs WHERE substr(path, 12, 32) = $1)
GROUP BY d.id
"""

_UPSERT = """
INSERT INTO cache_paths (hash_part, path, deriver, reference_paths, nar_hash, nar_size, content_address, signatures)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (hash_part) DO UPDATE SET
    path = EXCLUDED.path, deriver = EXCLUDED.deriver, reference_paths = EXCLUDED.reference_paths,
    nar_hash = EXCLUDED.nar_hash, nar_size = EXCLUDED.nar_size, content_address = EXCLUDED.content_address,
    signatures = EXCLUDED.signatures, recorded_at = now()
"""

# cached_at is the time of the result that was looked at: a later one is recorded again.
_RECORDED = """
UPDATE derivations d SET cached_at = COALESCE(r.completed_at, now())
FROM unnest($1::uuid[], $2::timestamptz[]) AS r (id, completed_at)
WHERE d.id = r.id AND d.status = 'built' AND (d.cached_at IS NULL OR d.cached_at < r.completed_at)
"""

_FIND = """
SELECT path, deriver, reference_paths, nar_hash, nar_size, content_address, signatures
FROM cache_paths WHERE hash_part = $1
"""

log = structlog.get_logger(__name__)


class _Unrecorded(msgspec.Struct, frozen=True):
    """A built derivation whose outputs are not recorded yet."""

    id: uuid.UUID
    completed_at: datetime | None
    paths: list[str] | None


async def record_next(database: Database, nix: Nix) -> bool:
    """Record the closures of the next built derivations; whether there may be more.

    Two processes may do the same at once: both write the same.

    Raises:
        NixError: the store cannot be asked.
    """
    rows = [_Unrecorded(**row) for row in await database.fetch(_UNRECORDED, BATCH)]
    await _record(database, nix, rows)
    return len(rows) == BATCH


async def find_path(database: Database, nix: Nix, hash_part: str) -> PathInfo | None:
    """The path with ``hash_part``, if it may be served.

    An output that has just been built is recorded now if it has not been yet: a client that is told "not here"
    remembers that for an hour.

    Raises:
        NixError: the store cannot be asked.
    """
    found = await _find(database, hash_part)
    if found is not None:
        return found
    rows = [_Unrecorded(**row) for row in await database.fetch(_UNRECORDED_WITH, hash_part)]
    if not rows:
        return None
    await _record(database, nix, rows)
    return await _find(database, hash_part)


async def forget_path(database: Database, info: PathInfo) -> None:
    """Serve ``info`` no more: the store has lost it. It is recorded again when it is built again."""
    hash_part = parse_store_path(info.path).hash_part
    await database.execute(
        "DELETE FROM cache_paths WHERE hash_part = $1 AND nar_hash = $2", hash_part, info.nar_hash
    )
    log.warning("a path of the binary cache is gone from the store", path=info.path)


async def _find(database: Database, hash_part: str) -> PathInfo | None:
    row = await database.fetchrow(_FIND, hash_part)
    if row is None:
        return None
    return PathInfo(
        path=row["path"],
        deriver=row["deriver"],
        references=tuple(row["reference_paths"]),
        nar_size=row["nar_size"],
        nar_hash=row["nar_hash"],
        ca=row["content_address"],
        signatures=tuple(row["signatures"]),
    )


async def _record(database: Database, nix: Nix, rows: Sequence[_Unrecorded]) -> None:
    if not rows:
        return
    outputs = sorted({path for row in rows for path in row.paths or ()})
    infos = servable(outputs, await read_closures(nix, outputs)) if outputs else []
    _report_missing(outputs, infos)
    async with database.transaction() as connection:
        # In one order, so that two processes never wait for each other's rows in a circle.
        await connection.executemany(_UPSERT, sorted(_row(info) for info in infos))
        await connection.execute(_RECORDED, [row.id for row in rows], [row.completed_at for row in rows])


def _report_missing(outputs: Collection[str], infos: Collection[PathInfo]) -> None:
    missing = set(outputs) - {info.path for info in infos}
    if missing:
        log.warning(
            "built outputs are not served: not valid in the store, or they refer to derivations",
            paths=sorted(missing)[:10],
        )


def _row(info: PathInfo) -> tuple[str, str, str | None, list[str], str, int, str, list[str]]:
    assert info.nar_hash is not None
    return (
        parse_store_path(info.path).hash_part,
        info.path,
        info.deriver,
        sorted(info.references),
        info.nar_hash,
        info.nar_size,
        info.ca,
        sorted(info.signatures),
    )
