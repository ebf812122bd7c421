"""What pages and API ask about jobsets and their evaluations."""

import uuid
from datetime import datetime
from typing import Any, Literal

import msgspec

from fc.base.database import Database

EvaluationStatus = Literal["pending", "running", "completed", "failed", "cancelled", "timed_out"]
Cause = Literal["poll", "push", "pull_request", "input", "configuration", "manual"]

PAGE = 20


class BuildCounts(msgspec.Struct, frozen=True):
    """How the builds of an evaluation stand."""

    total: int = 0
    pending: int = 0
    running: int = 0
    succeeded: int = 0
    failed: int = 0
    """Every final status but ``succeeded``."""

    @property
    def unfinished(self) -> int:
        """Builds that have no result yet."""
        return self.pending + self.running


class EvaluationRow(msgspec.Struct, frozen=True):
    """An evaluation as lists show it."""

    id: uuid.UUID
    project: str
    jobset: str
    status: EvaluationStatus
    cause: Cause
    commit_hash: str
    commit_subject: str | None
    commit_author: str | None
    committed_at: datetime | None
    pr_number: int | None
    evaluation_time: datetime
    """When it was asked for."""
    started_at: datetime | None
    completed_at: datetime | None
    error_message: str | None
    """Why it has no builds, or why its last attempt was lost."""
    errors: int
    """Jobs that could not be evaluated."""
    builds: BuildCounts


class EvaluationDetail(msgspec.Struct, frozen=True):
    """One evaluation with what it was made from."""

    evaluation: EvaluationRow
    jobset_id: uuid.UUID
    repository_url: str
    nix_expression: str
    flake_mode: bool
    branch: str | None
    pr_head_branch: str | None
    pr_base_branch: str | None
    inputs: dict[str, Any]
    """Every input by name, with ``type``, ``value`` and, of git inputs, ``revision``."""
    attempts: int
    previous_id: uuid.UUID | None
    """The completed evaluation of the same jobset before this one."""


class EvaluationErrorRow(msgspec.Struct, frozen=True):
    """A job that could not be evaluated."""

    job: str
    """Empty when the whole expression is meant."""
    message: str


class JobsetState(msgspec.Struct, frozen=True):
    """A jobset and how its checks go."""

    id: uuid.UUID
    project: str
    name: str
    description: str | None
    enabled: bool
    """Whether it is checked at all: its own switch, its project's, and its state."""
    state: Literal["disabled", "enabled", "one_shot", "one_at_a_time"]
    repository_url: str
    branch: str | None
    nix_expression: str
    flake_mode: bool
    check_interval: int
    last_checked_at: datetime | None
    next_check_at: datetime
    check_requested_at: datetime | None
    check_failures: int
    """Failed checks in a row."""
    last_error: str | None
    """Why the last check failed; none when it did not."""
    last_commit: str | None


_ROWS = """
SELECT e.id, p.name AS project, j.name AS jobset, e.status, e.cause, e.commit_hash, e.commit_subject,
       e.commit_author, e.committed_at, e.pr_number, e.evaluation_time, e.started_at, e.completed_at, e.error_message,
       (SELECT count(*) FROM evaluation_errors x WHERE x.evaluation_id = e.id) AS errors, c.builds
"""
_COUNTED = """
CROSS JOIN LATERAL (
    SELECT json_build_object(
        'total', count(*),
        'pending', count(*) FILTER (WHERE b.status = 'pending'),
        'running', count(*) FILTER (WHERE b.status = 'running'),
        'succeeded', count(*) FILTER (WHERE b.status = 'succeeded'),
        'failed', count(*) FILTER (WHERE b.status NOT IN ('pending', 'running', 'succeeded'))
    ) AS builds
    FROM builds b WHERE b.evaluation_id = e.id
) c
"""
_LIST = f"""
{_ROWS}
FROM (
    SELECT * FROM evaluations
    WHERE ($1::uuid IS NULL OR jobset_id = $1)
      AND ($2::uuid IS NULL OR (evaluation_time, id) < (SELECT evaluation_time, id FROM evaluations WHERE id = $2))
    ORDER BY evaluation_time DESC, id DESC LIMIT $3
) e
JOIN jobsets j ON j.id = e.jobset_id JOIN projects p ON p.id = j.project_id
{_COUNTED}
ORDER BY e.evaluation_time DESC, e.id DESC
"""  # noqa: S608 - only constants of this file are put in
_DETAIL = f"""
{_ROWS}, e.jobset_id, p.repository_url, j.nix_expression, j.flake_mode, j.branch, e.pr_head_branch, e.pr_base_branch,
    e.inputs, e.attempts, (
        SELECT o.id FROM evaluations o
        WHERE o.jobset_id = e.jobset_id AND o.status = 'completed' AND o.pr_number IS NULL
          AND (o.evaluation_time, o.id) < (e.evaluation_time, e.id)
        ORDER BY o.evaluation_time DESC, o.id DESC LIMIT 1
    ) AS previous_id
FROM evaluations e
JOIN jobsets j ON j.id = e.jobset_id JOIN projects p ON p.id = j.project_id
{_COUNTED}
WHERE e.id = $1
"""  # noqa: S608 - only constants of this file are put in
_JOBSETS = """
SELECT j.id, p.name AS project, j.name, j.description,
       j.enabled AND p.enabled AND j.state <> 'disabled' AS enabled, j.state, p.repository_url, j.branch,
       j.nix_expression, j.flake_mode, j.check_interval, j.last_checked_at, j.next_check_at, j.check_requested_at,
       j.check_failures, j.last_error, j.last_commit
FROM jobsets j JOIN projects p ON p.id = j.project_id
"""


async def find_jobset(database: Database, project: str, jobset: str) -> JobsetState | None:
    """The jobset of this name, or none."""
    row = await database.fetchrow(f"{_JOBSETS} WHERE p.name = $1 AND j.name = $2", project, jobset)
    return None if row is None else msgspec.convert(dict(row), JobsetState)


async def project_jobsets(database: Database, project: str) -> list[JobsetState]:
    """The jobsets of a project, by name."""
    rows = await database.fetch(f"{_JOBSETS} WHERE p.name = $1 ORDER BY j.name", project)
    return msgspec.convert([dict(row) for row in rows], list[JobsetState])


async def recent_evaluations(
    database: Database,
    *,
    jobset: uuid.UUID | None = None,
    before: uuid.UUID | None = None,
    limit: int = PAGE,
) -> list[EvaluationRow]:
    """At most ``limit`` evaluations, newest first.

    Args:
        database: where they are.
        jobset: only its evaluations; none: those of every jobset.
        before: only older ones than this evaluation: the last one of the page before.
        limit: most rows.
    """
    rows = await database.fetch(_LIST, jobset, before, limit)
    return msgspec.convert([dict(row) for row in rows], list[EvaluationRow])


async def find_evaluation(database: Database, evaluation: uuid.UUID) -> EvaluationDetail | None:
    """One evaluation, or none."""
    row = await database.fetchrow(_DETAIL, evaluation)
    if row is None:
        return None
    facts = dict(row)
    return msgspec.convert(facts | {"evaluation": facts}, EvaluationDetail)


async def evaluation_errors(
    database: Database, evaluation: uuid.UUID, *, after: str | None = None, limit: int = 1000
) -> list[EvaluationErrorRow]:
    """At most ``limit`` jobs that could not be evaluated, by name; those after the job ``after``, if one is given."""
    rows = await database.fetch(
        """SELECT job_name AS job, message FROM evaluation_errors
        WHERE evaluation_id = $1 AND ($2::text IS NULL OR job_name > $2) ORDER BY job_name LIMIT $3""",
        evaluation,
        after,
        limit,
    )
    return msgspec.convert([dict(row) for row in rows], list[EvaluationErrorRow])
