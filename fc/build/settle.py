"""Settling: the end of a derivation reaches its builds and all that waits for it, in one transaction."""

import uuid
from collections.abc import Sequence

import asyncpg
import msgspec

from fc.base.database import Database
from fc.build.claims import end_steps
from fc.build.graph import drop_demands, end_builds, fail_dependents, recount_dependents
from fc.nix.build_result import BuildResult, BuildStatus
from fc.nix.products import Metric
from fc.tables.graph_lock import lock_graph

_BY_NAME = {
    BuildStatus.CACHED_FAILURE: "cached_failure",
    BuildStatus.TIMED_OUT: "timeout",
    BuildStatus.DEPENDENCY_FAILED: "dependency_failed",
    BuildStatus.LOG_LIMIT_EXCEEDED: "log_limit_exceeded",
    BuildStatus.NOT_DETERMINISTIC: "non_deterministic",
}

_IN_WORDS = {
    "failed": "failed",
    "cached_failure": "has failed before",
    "timeout": "took too long",
    "log_limit_exceeded": "printed too much",
    "non_deterministic": "is not deterministic",
    "aborted": "could not be built",
}

_END_DERIVATION = """
UPDATE derivations SET status = $2, error_message = $3, claim_token = NULL, lease_until = NULL, worker = NULL,
       completed_at = CASE WHEN status = $2 THEN COALESCE(completed_at, now()) ELSE now() END,
       missing_inputs = CASE WHEN $4 THEN 0 ELSE missing_inputs END
WHERE id = $1 AND ($5::uuid IS NULL AND status <> 'running' OR status = 'running' AND claim_token = $5)
RETURNING drv_path, name
"""

_SUCCEED_BUILDS = """
UPDATE builds b SET status = $2, error_message = $3, completed_at = now(), notification_pending_since = now(),
       outputs = $4, build_output_path = $5, log_path = COALESCE(b.log_path, d.log_path)
FROM derivations d WHERE d.id = b.derivation_id AND b.derivation_id = $1 AND b.status IN ('pending', 'running')
RETURNING b.id
"""

_PRODUCTS = """
INSERT INTO build_products (build_id, name, path, sha256_hash, file_size, content_type, is_directory, gc_root_path)
SELECT b.id, p.name, p.path, p.sha256_hash, p.file_size, p.content_type, p.is_directory, p.gc_root_path
FROM unnest($1::uuid[]) AS b (id)
CROSS JOIN unnest($2::text[], $3::text[], $4::text[], $5::bigint[], $6::text[], $7::boolean[], $8::text[])
  AS p (name, path, sha256_hash, file_size, content_type, is_directory, gc_root_path)
"""

_METRICS = """
INSERT INTO build_metrics (build_id, metric_name, metric_value, unit)
SELECT b.id, m.name, m.value, m.unit FROM unnest($1::uuid[]) AS b (id)
CROSS JOIN unnest($2::text[], $3::float8[], $4::text[]) AS m (name, value, unit)
ON CONFLICT (build_id, metric_name) DO NOTHING
"""


class Output(msgspec.Struct, frozen=True):
    """A store path that was made."""

    name: str
    path: str
    nar_hash: str | None = None
    """``sha256:`` and base 32."""
    nar_size: int | None = None


class Product(msgspec.Struct, frozen=True, kw_only=True):
    """A file or directory a build offers."""

    name: str
    path: str
    content_type: str | None = None
    """Type and subtype as the build gave them."""
    sha256_hash: str | None = None
    """Base 16, of files."""
    file_size: int | None = None
    is_directory: bool = False
    gc_root_path: str | None = None


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a derivation ended."""

    status: str
    """``built``, ``failed_with_output`` (there, but by its own word a failure), or a failing end."""
    message: str | None = None
    outputs: tuple[Output, ...] = ()
    products: tuple[Product, ...] = ()
    metrics: tuple[Metric, ...] = ()
    exit_code: int | None = None
    cacheable: bool = False
    """Whether it would end the same way every time: it is not tried again. Every other failure is, when next wanted."""


def failing_status(result: BuildResult) -> str | None:
    """The end that a build which did not succeed comes to; none: the builder is at fault, it is tried again."""
    if result.status.is_permanent:
        return "failed"
    return _BY_NAME.get(result.status)


async def settle(
    database: Database, derivation_id: uuid.UUID, outcome: Outcome, token: uuid.UUID | None = None
) -> bool:
    """Record the end of a derivation and all that follows from it; false: it came too late and changed nothing.

    Args:
        database: where the graph is.
        derivation_id: what ended.
        outcome: how.
        token: of the claim it was built with; none: a short cut found the end without building, which holds
            unless somebody builds it right now.
    """
    async with database.transaction() as connection:
        await lock_graph(connection)
        succeeded = bool(outcome.outputs)
        row = await connection.fetchrow(
            _END_DERIVATION, derivation_id, outcome.status, outcome.message, succeeded, token
        )
        if row is None:
            return False
        await drop_demands(connection, [derivation_id])
        if succeeded:
            await _succeed(connection, derivation_id, outcome)
        else:
            await _fail(connection, derivation_id, row, outcome)
        step_status = "succeeded" if outcome.status == "built" else outcome.status
        await end_steps(connection, [derivation_id], step_status, outcome.message, outcome.exit_code)
        return True


async def _succeed(connection: asyncpg.Connection, derivation_id: uuid.UUID, outcome: Outcome) -> None:
    await connection.execute(
        """UPDATE derivation_outputs o SET path = n.path, nar_hash = n.nar_hash, nar_size = n.nar_size
        FROM unnest($2::text[], $3::text[], $4::text[], $5::bigint[]) AS n (name, path, nar_hash, nar_size)
        WHERE o.derivation_id = $1 AND o.name = n.name""",
        derivation_id,
        [one.name for one in outcome.outputs],
        [one.path for one in outcome.outputs],
        [one.nar_hash for one in outcome.outputs],
        [one.nar_size for one in outcome.outputs],
    )
    paths = {one.name: one.path for one in outcome.outputs}
    rows = await connection.fetch(
        _SUCCEED_BUILDS,
        derivation_id,
        "succeeded" if outcome.status == "built" else outcome.status,
        outcome.message,
        paths,
        paths.get("out", outcome.outputs[0].path),
    )
    builds = [row["id"] for row in rows]
    await _record_finds(connection, builds, outcome)
    await recount_dependents(connection, [derivation_id])


async def _record_finds(
    connection: asyncpg.Connection, builds: Sequence[uuid.UUID], outcome: Outcome
) -> None:
    """Products and metrics, for each of the builds."""
    if builds and outcome.products:
        columns = ("name", "path", "sha256_hash", "file_size", "content_type", "is_directory", "gc_root_path")
        values = [[getattr(product, column) for product in outcome.products] for column in columns]
        await connection.execute(_PRODUCTS, builds, *values)
    if builds and outcome.metrics:
        await connection.execute(
            _METRICS,
            builds,
            [metric.name for metric in outcome.metrics],
            [metric.value for metric in outcome.metrics],
            [metric.unit for metric in outcome.metrics],
        )


async def _fail(
    connection: asyncpg.Connection, derivation_id: uuid.UUID, row: asyncpg.Record, outcome: Outcome
) -> None:
    if outcome.cacheable:
        await connection.execute(
            """INSERT INTO failed_paths_cache (drv_path, source_build_id, failure_status) VALUES (
                $1, (SELECT id FROM builds WHERE derivation_id = $2 ORDER BY created_at, id LIMIT 1), $3
            ) ON CONFLICT (drv_path) DO UPDATE SET failure_status = EXCLUDED.failure_status, failed_at = now()""",
            row["drv_path"],
            derivation_id,
            outcome.status,
        )
    await end_builds(connection, [derivation_id], outcome.status, outcome.message)
    reason = f"{row['name']}, which it needs, {_IN_WORDS.get(outcome.status, 'failed')}"
    await fail_dependents(connection, [derivation_id], reason)
