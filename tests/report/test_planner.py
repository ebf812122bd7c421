"""From flags to tasks, on a real database."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from fc.base.database import Database
from fc.base.settings import Settings
from fc.report import planner
from fc.report.planner import plan_batch
from tests.report.rows import COMMIT, TOKEN, Rows

GITHUB = {"repository": "tools/hello", "token": TOKEN}


async def plan_all(rows: Rows, settings: Settings) -> int:
    total = 0
    while count := await plan_batch(rows.database, settings):
        total += count
    return total


async def flags(database: Database) -> int:
    count: int = await database.fetchval(
        """SELECT (SELECT count(*) FROM builds WHERE notification_pending_since IS NOT NULL)
                + (SELECT count(*) FROM evaluations WHERE notification_pending_since IS NOT NULL)"""
    )
    return count


async def test_nothing_flagged_is_nothing_planned(rows: Rows, settings: Settings) -> None:
    assert await plan_batch(rows.database, settings) == 0


async def test_an_evaluation_is_reported_from_its_first_moment_to_its_end(
    rows: Rows, settings: Settings
) -> None:
    jobset = await rows.jobset()
    config = await rows.notification("github_status", GITHUB)
    evaluation = await rows.evaluation(jobset, "pending")
    await plan_all(rows, settings)
    assert await rows.said() == {"fc/hello/main": ("pending", "Being evaluated")}

    await rows.database.execute("UPDATE evaluations SET status = 'completed' WHERE id = $1", evaluation)
    await rows.builds(evaluation, 2)
    await plan_all(rows, settings)
    assert await rows.said() == {
        "fc/hello/main": ("pending", "Building 2 jobs"),
        "fc/hello/main/job-1": ("pending", "Waiting to be built"),
        "fc/hello/main/job-2": ("pending", "Waiting to be built"),
    }

    await rows.settle(evaluation, "job-1", "succeeded")
    failed = await rows.settle(evaluation, "job-2", "cached_failure")
    await plan_all(rows, settings)
    assert await rows.said() == {
        "fc/hello/main": ("failure", "1 of 2 jobs failed"),
        "fc/hello/main/job-1": ("success", "Built"),
        "fc/hello/main/job-2": ("failure", "It failed before and was not tried again"),
    }
    tasks = await rows.tasks()
    assert len(tasks) == 3, "what waited was brought up to date"
    (task,) = (task for task in tasks if task["build_id"] == failed)
    assert task["payload"] == {
        "content": {
            "state": "failure",
            "context": "fc/hello/main/job-2",
            "description": "It failed before and was not tried again",
            "target_url": f"{settings.public_url}/builds/{failed}",
            "sha": COMMIT,
        },
        "target": {"url": "https://api.github.com", "repository": "tools/hello", "token": TOKEN},
    }
    assert task["notification_config_id"] == config
    assert task["evaluation_id"] == evaluation
    assert task["destination"] == "api.github.com:443"
    assert await flags(rows.database) == 0


async def test_each_target_of_the_project_gets_its_own_and_others_none(
    rows: Rows, settings: Settings
) -> None:
    jobset = await rows.jobset()
    await rows.jobset("other")
    await rows.notification("github_status", GITHUB)
    await rows.notification("gitea_status", GITHUB | {"url": "https://git.example.org"})
    await rows.notification("webhook", {"url": "https://chat.example.org/hook/secret-part"})
    await rows.notification("webhook", {"url": "https://x.example.org"}, project="other")
    await rows.database.execute(
        """INSERT INTO notification_configs (project_id, notification_type, config, name, enabled)
        SELECT id, 'webhook', '{"url": "https://off.example.org"}', 'off', false FROM projects WHERE name = 'hello'"""
    )
    evaluation = await rows.evaluation(jobset)
    await rows.builds(evaluation, 1, "succeeded")
    await plan_all(rows, settings)
    tasks = await rows.tasks()
    assert sorted(
        (task["notification_type"], task["destination"], task["subject"].split()[0]) for task in tasks
    ) == [
        ("gitea_status", "git.example.org:443", COMMIT),
        ("gitea_status", "git.example.org:443", COMMIT),
        ("github_status", "api.github.com:443", COMMIT),
        ("github_status", "api.github.com:443", COMMIT),
        ("webhook", "chat.example.org:443", "build"),
        ("webhook", "chat.example.org:443", "evaluation"),
    ]


async def test_projects_planned_together_are_not_mixed_up(rows: Rows, settings: Settings) -> None:
    for project in ("hello", "other"):
        jobset = await rows.jobset(project)
        await rows.notification("github_status", GITHUB | {"repository": f"tools/{project}"}, project)
        await rows.evaluation(jobset)
    assert await plan_batch(rows.database, settings) == 2
    said = {
        (task["payload"]["target"]["repository"], task["payload"]["content"]["context"])
        for task in await rows.tasks()
    }
    assert said == {("tools/hello", "fc/hello/main"), ("tools/other", "fc/other/main")}


async def test_a_project_without_targets_or_with_mail_alone_only_loses_its_flags(
    rows: Rows, settings: Settings
) -> None:
    jobset = await rows.jobset()
    await rows.notification("email", {"to": "ops@example.org"})
    evaluation = await rows.evaluation(jobset)
    await rows.builds(evaluation, 3)
    assert await plan_all(rows, settings) == 4
    assert await rows.tasks() == []
    assert await flags(rows.database) == 0


async def test_errors_of_single_jobs_make_the_summary_fail(rows: Rows, settings: Settings) -> None:
    jobset = await rows.jobset()
    await rows.notification("github_status", GITHUB)
    evaluation = await rows.evaluation(jobset)
    await rows.database.execute(
        "INSERT INTO evaluation_errors (evaluation_id, job_name, message) VALUES ($1, 'a', 'x'), ($1, 'b', 'x')",
        evaluation,
    )
    await rows.builds(evaluation, 1, "succeeded")
    await plan_all(rows, settings)
    assert (await rows.said())["fc/hello/main"] == ("failure", "2 jobs could not be evaluated")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("failed", ("failure", "The evaluation failed: error: boom")),
        ("timed_out", ("failure", "The evaluation took too long")),
        ("cancelled", ("cancelled", "The evaluation was cancelled")),
    ],
)
async def test_a_failed_evaluation_is_reported(
    rows: Rows, settings: Settings, status: str, expected: tuple[str, str]
) -> None:
    jobset = await rows.jobset()
    await rows.notification("github_status", GITHUB)
    evaluation = await rows.evaluation(jobset, "running")
    await plan_all(rows, settings)
    await rows.database.execute(
        "UPDATE evaluations SET status = $2, error_message = 'error: boom' WHERE id = $1", evaluation, status
    )
    await plan_all(rows, settings)
    assert await rows.said() == {"fc/hello/main": expected}


async def test_thousands_of_jobs_make_few_statuses(rows: Rows, settings: Settings) -> None:
    jobset = await rows.jobset()
    await rows.notification("github_status", GITHUB)
    evaluation = await rows.evaluation(jobset)
    await rows.builds(evaluation, 2000)
    await rows.settle_all(evaluation, "failed")
    assert await plan_all(rows, settings) == 2001
    said = await rows.said()
    assert len(said) == 48
    assert said["fc/hello/main"] == ("failure", "2000 of 2000 jobs failed (47 are listed)")


async def test_a_failure_in_a_large_evaluation_is_flipped_by_a_later_success(
    rows: Rows, settings: Settings
) -> None:
    jobset = await rows.jobset()
    await rows.notification("github_status", GITHUB)
    evaluation = await rows.evaluation(jobset)
    await rows.builds(evaluation, 60)
    await rows.settle_all(evaluation, "succeeded")
    await rows.settle(evaluation, "job-7", "failed")
    await plan_all(rows, settings)
    await rows.database.execute("UPDATE notification_tasks SET status = 'completed'")
    await rows.settle(evaluation, "job-7", "succeeded")
    await plan_all(rows, settings)
    assert await rows.said() == {
        "fc/hello/main": ("success", "Built 60 jobs"),
        "fc/hello/main/job-7": ("success", "Built"),
    }


async def test_a_delivered_status_is_not_planned_again_in_the_same_words(
    rows: Rows, settings: Settings
) -> None:
    jobset = await rows.jobset()
    await rows.notification("github_status", GITHUB)
    evaluation = await rows.evaluation(jobset)
    await rows.builds(evaluation, 1, "succeeded")
    await plan_all(rows, settings)
    await rows.database.execute("UPDATE notification_tasks SET status = 'completed'")
    await rows.settle(evaluation, "job-1", "succeeded")
    assert await plan_all(rows, settings) == 1
    assert await rows.tasks("pending") == []


async def test_only_the_newest_evaluation_of_a_commit_speaks_to_forges(
    rows: Rows, settings: Settings
) -> None:
    jobset = await rows.jobset()
    await rows.notification("github_status", GITHUB)
    await rows.notification("webhook", {"url": "https://chat.example.org"})
    old = await rows.evaluation(jobset)
    await rows.builds(old, 1)
    new = await rows.evaluation(jobset)
    await rows.builds(new, 1, "succeeded")
    await plan_all(rows, settings)
    await rows.settle(old, "job-1", "failed")
    await plan_all(rows, settings)
    assert await rows.said() == {
        "fc/hello/main": ("success", "Built 1 job"),
        "fc/hello/main/job-1": ("success", "Built"),
    }
    events = [task for task in await rows.tasks() if task["notification_type"] == "webhook"]
    assert {task["evaluation_id"] for task in events} == {old, new}


async def test_jobsets_with_equal_jobs_at_one_commit_have_contexts_of_their_own(
    rows: Rows, settings: Settings
) -> None:
    first, second = await rows.jobset(), await rows.jobset(name="release")
    await rows.notification("github_status", GITHUB)
    await rows.builds(await rows.evaluation(first), 1, "succeeded")
    await rows.builds(await rows.evaluation(second), 1, "failed")
    await plan_all(rows, settings)
    said = await rows.said()
    assert said["fc/hello/main/job-1"][0] == "success"
    assert said["fc/hello/release/job-1"][0] == "failure"


async def test_a_waiting_task_keeps_its_wait_and_gets_new_tries_when_it_is_brought_up_to_date(
    rows: Rows, settings: Settings
) -> None:
    jobset = await rows.jobset()
    await rows.notification("github_status", GITHUB)
    evaluation = await rows.evaluation(jobset)
    await rows.builds(evaluation, 1)
    await plan_all(rows, settings)
    await rows.database.execute(
        "UPDATE notification_tasks SET attempts = 5, last_error = 'x', next_retry_at = now() + interval '1 hour'"
    )
    before = await rows.tasks()
    await rows.settle(evaluation, "job-1", "succeeded")
    await plan_all(rows, settings)
    after = await rows.tasks()
    assert [task["id"] for task in after] == [task["id"] for task in before]
    assert {(task["attempts"], task["last_error"]) for task in after} == {(0, None)}
    assert [task["next_retry_at"] for task in after] == [task["next_retry_at"] for task in before]


async def test_a_task_under_way_is_left_alone_and_its_successor_queued(
    rows: Rows, settings: Settings
) -> None:
    jobset = await rows.jobset()
    await rows.notification("github_status", GITHUB)
    evaluation = await rows.evaluation(jobset)
    await rows.builds(evaluation, 1)
    await plan_all(rows, settings)
    await rows.database.execute("UPDATE notification_tasks SET status = 'running'")
    await rows.settle(evaluation, "job-1", "succeeded")
    await plan_all(rows, settings)
    states = [(task["status"], task["payload"]["content"]["state"]) for task in await rows.tasks()]
    assert states == [("running", "pending")] * 2 + [("pending", "success")] * 2


async def test_a_configuration_that_nobody_checked_makes_tasks_that_say_so_later(
    rows: Rows, settings: Settings
) -> None:
    jobset = await rows.jobset()
    await rows.notification("gitea_status", {"repository": 5})
    await rows.evaluation(jobset)
    await plan_all(rows, settings)
    tasks = await rows.tasks()
    assert [(task["destination"], task["payload"]["target"]) for task in tasks] == [("", {})]


async def test_flags_are_kept_when_the_tasks_cannot_be_written(rows: Rows, settings: Settings) -> None:
    jobset = await rows.jobset()
    await rows.notification("github_status", GITHUB)
    evaluation = await rows.evaluation(jobset)
    await rows.builds(evaluation, 2)
    await rows.database.execute(
        "ALTER TABLE notification_tasks ADD CONSTRAINT no CHECK (build_id IS NULL) NOT VALID"
    )
    with pytest.raises(asyncpg.CheckViolationError):
        await plan_batch(rows.database, settings)
    assert (await rows.tasks(), await flags(rows.database)) == ([], 3)
    await rows.database.execute("ALTER TABLE notification_tasks DROP CONSTRAINT no")
    await plan_all(rows, settings)
    assert (len(await rows.tasks()), await flags(rows.database)) == (3, 0)


async def test_a_build_that_somebody_settles_just_now_is_left_for_the_next_turn(
    rows: Rows, settings: Settings
) -> None:
    jobset = await rows.jobset()
    await rows.notification("github_status", GITHUB)
    evaluation = await rows.evaluation(jobset)
    await rows.builds(evaluation, 2)
    async with rows.database.transaction() as connection:
        await connection.execute(
            "UPDATE builds SET status = 'succeeded', notification_pending_since = now() WHERE job_name = 'job-2'"
        )
        await plan_batch(rows.database, settings)
        assert set(await rows.said()) == {"fc/hello/main", "fc/hello/main/job-1"}
    await plan_all(rows, settings)
    assert (await rows.said())["fc/hello/main/job-2"] == ("success", "Built")
    assert await flags(rows.database) == 0


async def test_a_flag_set_again_while_planning_is_not_cleared(rows: Rows, settings: Settings) -> None:
    jobset = await rows.jobset()
    evaluation = await rows.evaluation(jobset, "running")
    await rows.database.execute(
        "UPDATE evaluations SET notification_pending_since = '2020-01-01T00:00:00Z' WHERE id = $1", evaluation
    )
    row = await rows.database.fetchrow("SELECT id, notification_pending_since AS since FROM evaluations")
    assert row is not None
    await rows.database.execute("UPDATE evaluations SET status = 'failed' WHERE id = $1", evaluation)
    await rows.database.execute(planner._CLEAR_EVALUATIONS, [row["id"]], [row["since"]])
    assert await flags(rows.database) == 1


async def test_two_processes_plan_one_after_the_other(
    rows: Rows, settings: Settings, database_url: str
) -> None:
    jobset = await rows.jobset()
    await rows.notification("github_status", GITHUB)
    evaluation = await rows.evaluation(jobset)
    await rows.builds(evaluation, 40)
    other = await Database.connect(database_url, size=2)
    try:
        async with rows.database.transaction() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock($1)", planner.LOCK)
            assert await plan_batch(other, settings) == 0
        done = await asyncio.gather(*(plan_batch(each, settings) for each in [rows.database, other] * 5))
        assert sum(done) == 41
        assert len(await rows.tasks()) == 41
    finally:
        await other.close()


async def test_batches_are_bounded(rows: Rows, settings: Settings) -> None:
    jobset = await rows.jobset()
    evaluation = await rows.evaluation(jobset)
    await rows.builds(evaluation, 25)
    assert [await plan_batch(rows.database, settings, batch=10) for _ in range(4)] == [11, 10, 5, 0]


@pytest.fixture
async def notices(database_url: str) -> AsyncIterator[list[Any]]:
    heard: list[Any] = []
    connection = await asyncpg.connect(database_url)
    await connection.add_listener("fc_notifications_pending", lambda *notice: heard.append(notice))
    yield heard
    await connection.close()


async def test_a_queued_task_is_announced(rows: Rows, settings: Settings, notices: list[Any]) -> None:
    jobset = await rows.jobset()
    await rows.notification("github_status", GITHUB)
    await rows.evaluation(jobset)
    await plan_all(rows, settings)
    async with asyncio.timeout(30):
        while not notices:
            await asyncio.sleep(0.01)
