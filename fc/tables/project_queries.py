"""What pages and API ask about projects, and about the jobs of a jobset over its evaluations."""

import uuid
from datetime import datetime

import msgspec

from fc.base.database import Database
from fc.tables.build_queries import BuildStatus
from fc.tables.evaluation_queries import EvaluationRow

FAILED: tuple[BuildStatus, ...] = (
    "failed",
    "dependency_failed",
    "aborted",
    "failed_with_output",
    "timeout",
    "cached_failure",
    "unsupported_system",
    "log_limit_exceeded",
    "nar_size_limit_exceeded",
    "non_deterministic",
)
"""Final statuses that ask for somebody's attention: all but success and a wish to stop."""


class Project(msgspec.Struct, frozen=True):
    """One project."""

    id: uuid.UUID
    name: str
    description: str | None
    repository_url: str
    enabled: bool
    created_at: datetime


class Removal(msgspec.Struct, frozen=True):
    """How something was taken out of git."""

    removed_at: datetime
    revision_id: uuid.UUID


class JobsetSummary(msgspec.Struct, frozen=True):
    """One jobset as a line in a list."""

    id: uuid.UUID
    project: str
    name: str
    description: str | None
    enabled: bool
    """Its own switch, its project's, and its state together."""
    state: str
    branch: str | None
    last_checked_at: datetime | None
    last_error: str | None
    """Why the last check failed; none when it did not."""
    latest: EvaluationRow | None
    """The newest evaluation that is not of a pull request."""


class JobsetInput(msgspec.Struct, frozen=True):
    """One input of a jobset."""

    name: str
    input_type: str
    value: str
    revision: str | None


class Channel(msgspec.Struct, frozen=True):
    """A channel and the evaluation it stands at."""

    name: str
    jobset: str
    evaluation_id: uuid.UUID | None
    """None: nothing was good enough yet."""
    commit_hash: str | None
    updated_at: datetime


class NotificationTarget(msgspec.Struct, frozen=True):
    """Where a project's results are reported, without its secrets."""

    name: str
    notification_type: str
    enabled: bool
    repository: str | None


class JobCell(msgspec.Struct, frozen=True):
    """One build in the matrix of jobs and evaluations."""

    build_id: uuid.UUID
    status: BuildStatus


class JobRow(msgspec.Struct, frozen=True):
    """One job over several evaluations."""

    job: str
    cells: dict[uuid.UUID, JobCell]
    """Its builds by evaluation."""


_ROWS = """
SELECT e.id, p.name AS project, j.name AS jobset, e.status, e.cause, e.commit_hash, e.commit_subject,
       e.commit_author, e.committed_at, e.pr_number, e.evaluation_time, e.started_at, e.completed_at, e.error_message,
       (SELECT count(*) FROM evaluation_errors x WHERE x.evaluation_id = e.id) AS errors, e.jobset_id, (
           SELECT json_build_object(
               'total', count(*),
               'pending', count(*) FILTER (WHERE b.status = 'pending'),
               'running', count(*) FILTER (WHERE b.status = 'running'),
               'succeeded', count(*) FILTER (WHERE b.status = 'succeeded'),
               'failed', count(*) FILTER (WHERE b.status NOT IN ('pending', 'running', 'succeeded'))
           ) FROM builds b WHERE b.evaluation_id = e.id
       ) AS builds
FROM jobsets j
JOIN projects p ON p.id = j.project_id
"""
"""What an EvaluationRow needs; joined with evaluations e."""

_LATEST = f"""
{_ROWS}
CROSS JOIN LATERAL (
    SELECT * FROM evaluations
    WHERE jobset_id = j.id AND pr_number IS NULL ORDER BY evaluation_time DESC, id DESC LIMIT 1
) e
WHERE ($1::uuid IS NULL OR j.project_id = $1) AND ($2::uuid IS NULL OR j.id = $2)
"""  # noqa: S608 - only a constant of this file is put in

_NEWEST = f"""
{_ROWS}
JOIN (
    SELECT newest.* FROM jobsets o
    CROSS JOIN LATERAL (SELECT * FROM evaluations WHERE jobset_id = o.id ORDER BY evaluation_time DESC, id DESC LIMIT $2) newest
    WHERE o.project_id = $1 ORDER BY newest.evaluation_time DESC, newest.id DESC LIMIT $2
) e ON e.jobset_id = j.id
ORDER BY e.evaluation_time DESC, e.id DESC
"""  # noqa: S608 - only a constant of this file is put in

_HIDDEN = """
NOT p.enabled AND NOT EXISTS (SELECT FROM config_resources c WHERE c.kind = 'project' AND c.key = p.name)
AND (
    SELECT action FROM config_changes h WHERE h.kind = 'project' AND h.key = p.name ORDER BY h.created_at DESC LIMIT 1
) = 'delete'
"""
"""Whether a project was taken out of git, and nobody has enabled it since."""

_JOBSETS = f"""
SELECT j.id, p.name AS project, j.name, j.description, j.enabled AND p.enabled AND j.state <> 'disabled' AS enabled,
       j.state, j.branch, j.last_checked_at, j.last_error
FROM jobsets j JOIN projects p ON p.id = j.project_id
WHERE j.project_id = $1 OR ($1::uuid IS NULL AND ({_HIDDEN}) IS NOT TRUE)
ORDER BY p.name, j.name
"""  # noqa: S608 - only a constant of this file is put in

_REMOVED = f"""
SELECT h.created_at AS removed_at, h.revision_id FROM projects p
CROSS JOIN LATERAL (
    SELECT created_at, revision_id FROM config_changes
    WHERE kind = 'project' AND key = p.name ORDER BY created_at DESC LIMIT 1
) h
WHERE p.id = $1 AND {_HIDDEN}
"""  # noqa: S608 - only a constant of this file is put in

# Each evaluation's own index gives its first names in order: the cost is that of a page, not of whole evaluations.
_JOB_NAMES = """
SELECT DISTINCT job_name FROM unnest($1::uuid[]) AS chosen (evaluation_id)
CROSS JOIN LATERAL (
    SELECT b.job_name FROM builds b
    WHERE b.evaluation_id = chosen.evaluation_id AND b.job_name > $2 AND starts_with(b.job_name, $3)
      AND ($4::text[] IS NULL OR b.status = ANY ($4))
    ORDER BY b.job_name LIMIT $5
) names
ORDER BY job_name LIMIT $5
"""


async def find_project(database: Database, name: str) -> Project | None:
    """The project ``name``, or none."""
    row = await database.fetchrow("SELECT * FROM projects WHERE name = $1", name)
    return None if row is None else msgspec.convert(dict(row), Project)


async def list_projects(database: Database) -> list[Project]:
    """Every project, by name, but those that were taken out of git."""
    rows = await database.fetch(
        f"SELECT p.* FROM projects p WHERE ({_HIDDEN}) IS NOT TRUE ORDER BY p.name"  # noqa: S608 - only a constant of this file is put in
    )
    return msgspec.convert([dict(row) for row in rows], list[Project])


async def project_removal(database: Database, project_id: uuid.UUID) -> Removal | None:
    """When and by which revision a project was taken out of git; none: it was not."""
    row = await database.fetchrow(_REMOVED, project_id)
    return None if row is None else Removal(**row)


async def latest_evaluations(
    database: Database, *, project: uuid.UUID | None = None, jobset: uuid.UUID | None = None
) -> dict[uuid.UUID, EvaluationRow]:
    """The newest evaluation by jobset: of one, of a project's, or of all. Those of pull requests do not count."""
    rows = await database.fetch(_LATEST, project, jobset)
    return {row["jobset_id"]: msgspec.convert(dict(row), EvaluationRow) for row in rows}


async def project_evaluations(
    database: Database, project_id: uuid.UUID, limit: int = 20
) -> list[EvaluationRow]:
    """The newest evaluations of a project, pull requests included."""
    rows = await database.fetch(_NEWEST, project_id, limit)
    return msgspec.convert([dict(row) for row in rows], list[EvaluationRow])


async def list_jobsets(database: Database, project_id: uuid.UUID | None = None) -> list[JobsetSummary]:
    """The jobsets of one project, or of all, by project and name."""
    latest = await latest_evaluations(database, project=project_id)
    rows = await database.fetch(_JOBSETS, project_id)
    return msgspec.convert([{**row, "latest": latest.get(row["id"])} for row in rows], list[JobsetSummary])


async def jobset_inputs(database: Database, jobset_id: uuid.UUID) -> list[JobsetInput]:
    """The inputs of a jobset, by name."""
    rows = await database.fetch(
        "SELECT name, input_type, value, revision FROM jobset_inputs WHERE jobset_id = $1 ORDER BY name",
        jobset_id,
    )
    return [JobsetInput(**row) for row in rows]


async def list_channels(database: Database, project_id: uuid.UUID) -> list[Channel]:
    """The channels of a project, by name."""
    rows = await database.fetch(
        """SELECT c.name, j.name AS jobset, e.id AS evaluation_id, e.commit_hash, c.updated_at
        FROM channels c JOIN jobsets j ON j.id = c.jobset_id LEFT JOIN evaluations e ON e.id = c.current_evaluation_id
        WHERE c.project_id = $1 ORDER BY c.name""",
        project_id,
    )
    return [Channel(**row) for row in rows]


async def notification_targets(database: Database, project_id: uuid.UUID) -> list[NotificationTarget]:
    """Where a project's results are reported, by name. Only the public part of each configuration is read."""
    rows = await database.fetch(
        """SELECT name, notification_type, enabled, config ->> 'repository' AS repository
        FROM notification_configs WHERE project_id = $1 ORDER BY name""",
        project_id,
    )
    return [NotificationTarget(**row) for row in rows]


async def job_matrix(
    database: Database,
    evaluations: list[uuid.UUID],
    *,
    after: str = "",
    prefix: str = "",
    failing: bool = False,
    limit: int = 100,
) -> list[JobRow]:
    """At most ``limit`` jobs with their builds in each of ``evaluations``, by name.

    Args:
        database: where they are.
        evaluations: newest first.
        after: only names after this one: the last of the page before.
        prefix: only names that begin with it.
        failing: only jobs that fail in the newest of the evaluations.
        limit: most rows.
    """
    chosen = evaluations[:1] if failing else evaluations
    names = [
        row["job_name"]
        for row in await database.fetch(
            _JOB_NAMES, chosen, after, prefix, list(FAILED) if failing else None, limit
        )
    ]
    rows = await database.fetch(
        "SELECT id, evaluation_id, job_name, status FROM builds WHERE evaluation_id = ANY ($1) AND job_name = ANY ($2)",
        evaluations,
        names,
    )
    cells: dict[str, dict[uuid.UUID, JobCell]] = {name: {} for name in names}
    for row in rows:
        cells[row["job_name"]][row["evaluation_id"]] = JobCell(build_id=row["id"], status=row["status"])
    return [JobRow(job=name, cells=cells[name]) for name in names]
