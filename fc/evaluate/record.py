"""Recording an evaluation: its builds, what they wait for, and its errors, all or nothing, if it is still ours."""

import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any, Literal

import asyncpg
import msgspec

from fc.base.database import Database, affected
from fc.base.nix_cli import Nix
from fc.evaluate.chains import nearest_jobs
from fc.evaluate.graph import Graph, read_graph
from fc.evaluate.record_graph import KnownDerivation, limits_of, read_known, record_graph
from fc.evaluate.request import EvaluationResult
from fc.nix.eval_job import EvalError, EvalJob

WHOLE = ""
"""Job name of an error that is about the expression itself."""

_LONGEST_JOB_NAME = 255
_LONGEST_SYSTEM = 50
_LONGEST_MESSAGE = 20_000
_META = (
    "description",
    "homepage",
    "license",
    "maintainers",
    "mainProgram",
    "timeout",
    "maxSilent",
    "schedulingPriority",
)
"""What of ``meta`` is kept: nix-eval-jobs passes on all of it, which may be large."""

_FINISH = """
UPDATE evaluations SET status = $3, error_message = $4, completed_at = now(), claim_token = NULL, lease_until = NULL
WHERE id = $1 AND claim_token = $2 AND status = 'running' RETURNING jobset_id
"""
# Its key is given up: should the jobset become again what it was, that is evaluated.
_OUTDATE = """
UPDATE evaluations SET status = 'cancelled', error_message = $3, completed_at = now(), claim_token = NULL,
    lease_until = NULL, inputs_hash = left(inputs_hash, 64) || '/' || id
WHERE id = $1 AND claim_token = $2 AND status = 'running' RETURNING jobset_id
"""
_STOP_ONE_SHOT = "UPDATE jobsets SET state = 'disabled' WHERE id = $1 AND state = 'one_shot'"
_ERRORS = """
INSERT INTO evaluation_errors (evaluation_id, job_name, message)
SELECT $1, * FROM unnest($2::text[], $3::text[]) ON CONFLICT DO NOTHING
"""
_BUILDS = """
INSERT INTO builds (id, evaluation_id, job_name, drv_path, derivation_id, status, system, priority, meta, is_aggregate,
                    constituents, notification_pending_since)
SELECT n.id, $1, n.job_name, n.drv_path, d.id, 'pending', n.system, n.priority, n.meta::jsonb, n.is_aggregate,
       n.constituents::jsonb, now()
FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::int[], $7::text[], $8::boolean[], $9::text[])
  AS n (id, job_name, drv_path, system, priority, meta, is_aggregate, constituents)
JOIN derivations d ON d.drv_path = n.drv_path
"""


class Claim(msgspec.Struct, frozen=True):
    """An evaluation that this process works on."""

    evaluation_id: uuid.UUID
    token: uuid.UUID


class _Job(msgspec.Struct, frozen=True):
    """A job as its build's row has it."""

    id: uuid.UUID
    job: EvalJob
    constituents: tuple[str, ...]
    """Names of the jobs that an aggregate consists of."""


async def record_result(database: Database, nix: Nix, claim: Claim, result: EvaluationResult) -> bool:
    """Record what an evaluation found; false: it is no longer ours, and nothing was changed.

    The graph is recorded first, in short transactions; without a build that wants it, it changes nothing. Builds,
    their dependencies, the errors and the evaluation's own end then come in one transaction. New builds are always
    pending: the build stage takes them in, and settles at once those that are built or have failed already.

    Raises:
        NixError: a .drv file is gone from the store.
        ConflictError: a derivation was removed meanwhile; try again.
    """
    if result.failure is not None and not result.jobs:
        status: Literal["timed_out", "failed"] = "timed_out" if result.timed_out else "failed"
        return await record_failure(database, claim, result.failure, status=status, errors=result.errors)
    paths = {job.drv_path for job in result.jobs}
    graph = await read_graph(nix, database, paths)
    known = await read_known(database, graph.known)
    jobs, errors = _sorted_out(result, graph)
    await record_graph(database, graph, known, limits_of(item.job for item in jobs))
    waits = _dependencies(jobs, graph, known)
    async with database.transaction() as connection:
        jobset = await connection.fetchval(_FINISH, claim.evaluation_id, claim.token, "completed", None)
        if jobset is None:
            return False
        await _insert_builds(connection, claim.evaluation_id, jobs)
        await connection.copy_records_to_table(
            "build_dependencies", records=waits, columns=("build_id", "dependency_build_id")
        )
        await _insert_errors(connection, claim.evaluation_id, errors)
        await connection.execute(_STOP_ONE_SHOT, jobset)
    return True


async def record_failure(
    database: Database,
    claim: Claim,
    message: str,
    *,
    status: Literal["failed", "timed_out"] = "failed",
    errors: Iterable[EvalError] = (),
) -> bool:
    """Record that an evaluation has no builds, and why; false: it is no longer ours."""
    async with database.transaction() as connection:
        shown = _storable(message)
        jobset = await connection.fetchval(_FINISH, claim.evaluation_id, claim.token, status, shown)
        if jobset is None:
            return False
        await _insert_errors(connection, claim.evaluation_id, {one.attr: one.error for one in errors})
        await connection.execute(_STOP_ONE_SHOT, jobset)
    return True


async def record_outdated(database: Database, claim: Claim, message: str) -> bool:
    """Record that an evaluation is not wanted any more, and why; false: it is no longer ours."""
    return await database.fetchval(_OUTDATE, claim.evaluation_id, claim.token, message) is not None


def _sorted_out(result: EvaluationResult, graph: Graph) -> tuple[list[_Job], dict[str, str]]:
    """The jobs that become builds, and the errors by job name."""
    errors = {one.attr: one.error for one in result.errors}
    if result.failure is not None:
        errors[WHOLE] = result.failure
    good: dict[str, EvalJob] = {}
    for job in result.jobs:
        if job.drv_path in graph.broken:
            errors[job.attr] = f"its derivation cannot be recorded: {graph.broken[job.drv_path]}"
        elif len(job.attr) > _LONGEST_JOB_NAME:
            errors[job.attr] = f"the name of this job has more than {_LONGEST_JOB_NAME} characters"
        else:
            good[job.attr] = job
    by_path = defaultdict(list)
    for job in good.values():
        by_path[job.drv_path].append(job.attr)
    jobs = []
    for job in good.values():
        constituents, absent = _constituents(job, by_path, good)
        if absent:
            errors[job.attr] = f"constituents of this aggregate are no jobs: {', '.join(absent[:20])}"
        else:
            jobs.append(_Job(uuid.uuid4(), job, constituents))
    return jobs, errors


def _constituents(
    job: EvalJob, by_path: Mapping[str, list[str]], good: Mapping[str, EvalJob]
) -> tuple[tuple[str, ...], list[str]]:
    """Names of the jobs an aggregate consists of, and what it names that is no job."""
    names: set[str] = set()
    absent: list[str] = []
    for path in job.constituents:
        # Derivations that are no jobs themselves are merely inputs.
        names.update(by_path.get(path, ()))
    for wanted in job.named_constituents:
        matching = [name for name in good if fnmatchcase(name, wanted)] if job.glob_constituents else [wanted]
        names.update(name for name in matching if name in good)
        absent += [name for name in matching if name not in good] or ([] if matching else [wanted])
    return tuple(sorted(names - {job.attr})), absent


def _dependencies(
    jobs: Iterable[_Job], graph: Graph, known: Mapping[str, KnownDerivation]
) -> list[tuple[uuid.UUID, uuid.UUID]]:
    """Pairs of builds of which the first waits for the second: the nearest ones, and an aggregate's constituents."""
    inputs = {path: one.inputs for path, one in known.items()}
    inputs |= {path: facts.inputs for path, facts in graph.new.items()}
    by_path = defaultdict(list)
    by_name = {}
    for item in jobs:
        by_path[item.job.drv_path].append(item.id)
        by_name[item.job.attr] = item.id
    nearest = nearest_jobs(inputs, by_path.keys())
    pairs = {
        (waiting, needed)
        for path, builds in by_path.items()
        for waiting in builds
        for other in nearest[path]
        for needed in by_path[other]
    }
    pairs |= {(item.id, by_name[name]) for item in jobs for name in item.constituents if name in by_name}
    return sorted(pairs)


async def _insert_builds(connection: asyncpg.Connection, evaluation: uuid.UUID, jobs: list[_Job]) -> None:
    tag = await connection.execute(
        _BUILDS,
        evaluation,
        [item.id for item in jobs],
        [item.job.attr for item in jobs],
        [item.job.drv_path for item in jobs],
        [item.job.system[:_LONGEST_SYSTEM] for item in jobs],
        [item.job.scheduling_priority for item in jobs],
        [_json(_kept_meta(item.job)) for item in jobs],
        [item.job.is_aggregate for item in jobs],
        [_json(item.constituents) if item.job.is_aggregate else None for item in jobs],
    )
    assert affected(tag) == len(jobs), "the graph was recorded before"


def _kept_meta(job: EvalJob) -> dict[str, Any]:
    return {name: job.meta[name] for name in _META if job.meta.get(name) is not None}


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


async def _insert_errors(
    connection: asyncpg.Connection, evaluation: uuid.UUID, errors: Mapping[str, str]
) -> None:
    await connection.execute(_ERRORS, evaluation, list(errors), [_storable(text) for text in errors.values()])


def _storable(text: str) -> str:
    return text.encode("utf-8", "replace").decode().replace("\0", "")[:_LONGEST_MESSAGE]
