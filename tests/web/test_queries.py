"""What pages ask the database, where the pages themselves do not show it all."""

import uuid

from fc.base.database import Database
from fc.tables.comparison_queries import builds_in, changed_jobs, status_counts
from fc.tables.overview_queries import current_load, queued_builds, recent_notifications
from fc.tables.project_queries import (
    find_project,
    job_matrix,
    latest_evaluations,
    list_jobsets,
    project_evaluations,
)
from fc.web.fingerprints import KINDS
from tests.support.built import add_evaluation, add_jobset
from tests.support.story_rows import Story


async def rename(database: Database, evaluation: uuid.UUID, names: dict[str, str]) -> None:
    for old, new in names.items():
        await database.execute(
            "UPDATE builds SET job_name = $3 WHERE evaluation_id = $1 AND job_name = $2", evaluation, old, new
        )


async def test_jobs_change_in_four_ways(database: Database) -> None:
    jobset = await add_jobset(database)
    before = await add_evaluation(
        database, jobset, 1, ["succeeded", "failed", "succeeded", "failed", "succeeded", "cancelled"]
    )
    now = await add_evaluation(
        database, jobset, 2, ["timeout", "succeeded", "succeeded", "failed", "succeeded", "succeeded"]
    )
    await rename(database, now, {"job4": "new"})
    changes = {
        change: [job.job for job in await changed_jobs(database, change, now=now, before=before)]
        for change in ("broken", "fixed", "added", "removed")
    }
    assert changes == {"broken": ["job0"], "fixed": ["job1"], "added": ["new"], "removed": ["job4"]}
    [broken] = await changed_jobs(database, "broken", now=now, before=before)
    assert (broken.status, broken.previous_status) == ("timeout", "succeeded")
    assert await changed_jobs(database, "added", now=now, before=before, limit=0) == []


async def test_builds_of_a_state_come_in_pages(database: Database) -> None:
    evaluation = await add_evaluation(database, await add_jobset(database), 1, ["succeeded"] * 5 + ["failed"])
    assert await status_counts(database, evaluation) == {"succeeded": 5, "failed": 1}
    first = await builds_in(database, evaluation, ["succeeded"], limit=3)
    second = await builds_in(database, evaluation, ["succeeded"], after=first[-1].job, limit=3)
    assert [build.job for build in first + second] == [f"job{number}" for number in range(5)]


async def test_the_matrix_joins_jobs_of_all_its_evaluations(database: Database) -> None:
    jobset = await add_jobset(database)
    old = await add_evaluation(database, jobset, 1, ["succeeded", "failed"])
    new = await add_evaluation(database, jobset, 2, ["failed", "succeeded"])
    await rename(database, old, {"job1": "gone"})
    rows = await job_matrix(database, [new, old])
    assert {row.job: {evaluation: cell.status for evaluation, cell in row.cells.items()} for row in rows} == {
        "gone": {old: "failed"},
        "job0": {new: "failed", old: "succeeded"},
        "job1": {new: "succeeded"},
    }
    assert [row.job for row in await job_matrix(database, [new, old], failing=True)] == ["job0"]
    assert [row.job for row in await job_matrix(database, [new, old], after="gone", limit=1)] == ["job0"]
    assert [row.job for row in await job_matrix(database, [new, old], prefix="go")] == ["gone"]
    assert await job_matrix(database, []) == []


async def test_pull_requests_are_never_the_newest_evaluation(database: Database) -> None:
    jobset = await add_jobset(database)
    branch = await add_evaluation(database, jobset, 1, ["succeeded"])
    proposal = await add_evaluation(database, jobset, 2, ["failed"], pr_number=3)
    other = await add_jobset(database, "other")
    assert {key: row.id for key, row in (await latest_evaluations(database)).items()} == {jobset: branch}
    assert await latest_evaluations(database, jobset=other) == {}
    project = await find_project(database, "hello")
    assert project is not None
    assert [row.id for row in await project_evaluations(database, project.id)] == [proposal, branch]
    [summary] = await list_jobsets(database, project.id)
    assert summary.latest is not None
    assert summary.latest.builds.succeeded == 1


async def test_a_disabled_project_disables_its_jobsets(database: Database) -> None:
    await add_jobset(database)
    await database.execute("UPDATE projects SET enabled = false")
    [summary] = await list_jobsets(database)
    assert not summary.enabled


async def test_the_load_is_what_is_unfinished(database: Database, story: Story) -> None:
    load = await current_load(database)
    assert (load.builds_running, load.builds_pending) == (3, 4)
    assert (load.derivations_running, load.derivations_ready) == (3, 2)
    assert (load.evaluations_running, load.evaluations_pending) == (1, 0)
    queue = await queued_builds(database)
    assert {build.job: build.ready for build in queue} == {
        "image.x86_64-linux": False,
        "integration.x86_64-linux": False,
        "ingest.aarch64-linux": True,
        "nimbus.aarch64-linux": True,
    }


async def test_deliveries_come_in_pages(database: Database, story: Story) -> None:
    first = await recent_notifications(database, limit=2)
    second = await recent_notifications(database, before=first[-1].id, limit=2)
    assert [task.status for task in first + second] == ["failed", "pending", "completed"]
    assert {task.project for task in first + second} == {"kestrel"}
    assert [task.status for task in await recent_notifications(database, status="pending")] == ["pending"]


async def test_every_fingerprint_is_a_text_and_steady(database: Database, story: Story) -> None:
    keys = {
        "project": "SELECT id FROM projects WHERE name = 'nimbus'",
        "jobset": "SELECT jobset_id FROM evaluations LIMIT 1",
        "evaluation": "SELECT id FROM evaluations LIMIT 1",
        "build": "SELECT id FROM builds LIMIT 1",
        "preview": "SELECT id FROM config_previews LIMIT 1",
    }
    await database.execute(
        "INSERT INTO config_previews (source, number, head_hash) VALUES ('default', 7, repeat('a', 40))"
    )
    for name, kind in KINDS.items():
        arguments = [await database.fetchval(keys[name])] if name in keys else []
        first = await database.fetchval(kind.fingerprint, *arguments)
        assert isinstance(first, str), name
        assert first, name
        assert await database.fetchval(kind.fingerprint, *arguments) == first
        if name in keys:
            assert await database.fetchval(kind.fingerprint, uuid.uuid4()) is None
