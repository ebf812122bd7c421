"""``/api/v1/overview`` and ``/api/v1/projects``: what the pages of the same names show."""

import uuid

import msgspec
from litestar import get

from fc.base.database import Database
from fc.base.errors import NotFoundError
from fc.tables.comparison_queries import ChangedJob, changed_jobs
from fc.tables.configuration_queries import ConfigOwner, config_owner
from fc.tables.evaluation_queries import EvaluationRow, JobsetState, find_evaluation, find_jobset
from fc.tables.overview_queries import Load, QueuedBuild, current_load, queued_builds
from fc.tables.project_queries import (
    Channel,
    JobsetInput,
    JobsetSummary,
    NotificationTarget,
    Project,
    find_project,
    jobset_inputs,
    latest_evaluations,
    list_channels,
    list_jobsets,
    list_projects,
    notification_targets,
)

_MOST = 1000


class Overview(msgspec.Struct, frozen=True):
    """How much there is to do, and how every jobset stands."""

    load: Load
    queue: list[QueuedBuild]
    """The next builds."""
    jobsets: list[JobsetSummary]


class ProjectPage(msgspec.Struct, frozen=True):
    """Every project."""

    items: list[Project]


class ProjectAnswer(msgspec.Struct, frozen=True):
    """One project and all that belongs to it."""

    project: Project
    jobsets: list[JobsetSummary]
    channels: list[Channel]
    notifications: list[NotificationTarget]
    declared_in: ConfigOwner | None
    """Where in the configuration repository; none: git does not own it."""


class JobsetAnswer(msgspec.Struct, frozen=True):
    """One jobset and how it stands."""

    jobset: JobsetState
    inputs: list[JobsetInput]
    latest: EvaluationRow | None
    """The newest evaluation that is not of a pull request."""
    declared_in: ConfigOwner | None


class ChangesAnswer(msgspec.Struct, frozen=True):
    """What an evaluation changed; of each kind at most a thousand jobs, by name."""

    previous: uuid.UUID | None
    """The evaluation it is compared with; none: it is the first, and nothing is compared."""
    broken: list[ChangedJob]
    """Failed now, succeeded then."""
    fixed: list[ChangedJob]
    """Succeeded now, failed then."""
    added: list[ChangedJob]
    removed: list[ChangedJob]


@get("/api/v1/overview", tags=["projects"], summary="How much there is to do, and how every jobset stands")
async def get_overview(database: Database) -> Overview:
    """Everything at a glance."""
    return Overview(
        await current_load(database), await queued_builds(database, 50), await list_jobsets(database)
    )


@get("/api/v1/projects", tags=["projects"], summary="Projects")
async def get_projects(database: Database) -> ProjectPage:
    """Every project by name."""
    return ProjectPage(await list_projects(database))


@get("/api/v1/projects/{project:str}", tags=["projects"], summary="One project")
async def get_project(database: Database, project: str) -> ProjectAnswer:
    """A project with its jobsets, channels and notification targets."""
    found = await find_project(database, project)
    if found is None:
        kind = "project"
        raise NotFoundError(kind, project)
    return ProjectAnswer(
        project=found,
        jobsets=await list_jobsets(database, found.id),
        channels=await list_channels(database, found.id),
        notifications=await notification_targets(database, found.id),
        declared_in=await config_owner(database, "project", project),
    )


@get("/api/v1/projects/{project:str}/jobsets/{jobset:str}", tags=["projects"], summary="One jobset")
async def get_jobset(database: Database, project: str, jobset: str) -> JobsetAnswer:
    """A jobset as it is declared, and how its checks and its newest evaluation went."""
    found = await find_jobset(database, project, jobset)
    if found is None:
        kind = "jobset"
        raise NotFoundError(kind, f"{project}/{jobset}")
    return JobsetAnswer(
        jobset=found,
        inputs=await jobset_inputs(database, found.id),
        latest=(await latest_evaluations(database, jobset=found.id)).get(found.id),
        declared_in=await config_owner(database, "jobset", f"{project}/{jobset}"),
    )


@get(
    "/api/v1/evaluations/{evaluation_id:uuid}/changes",
    tags=["evaluations"],
    summary="What an evaluation changed",
)
async def get_changes(database: Database, evaluation_id: uuid.UUID) -> ChangesAnswer:
    """Its jobs against those of the completed evaluation of the same jobset before it."""
    detail = await find_evaluation(database, evaluation_id)
    if detail is None:
        kind = "evaluation"
        raise NotFoundError(kind, str(evaluation_id))
    before = detail.previous_id
    if before is None:
        return ChangesAnswer(None, [], [], [], [])
    return ChangesAnswer(
        previous=before,
        broken=await changed_jobs(database, "broken", now=evaluation_id, before=before, limit=_MOST),
        fixed=await changed_jobs(database, "fixed", now=evaluation_id, before=before, limit=_MOST),
        added=await changed_jobs(database, "added", now=evaluation_id, before=before, limit=_MOST),
        removed=await changed_jobs(database, "removed", now=evaluation_id, before=before, limit=_MOST),
    )
