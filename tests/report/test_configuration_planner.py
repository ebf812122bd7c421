"""From flags of revisions and previews to tasks, on a real database."""

import asyncio
from typing import Any

import pytest

from fc.base.database import Database
from fc.base.settings import Settings
from fc.base.source_settings import ReportSettings
from fc.report import planner
from fc.report.configuration_planner import plan_configuration
from fc.report.queue import claim, record
from fc.report.retry import Done, GivenUp
from tests.report.configuration_rows import (
    DIGEST,
    HEAD,
    REPORT,
    WITH_APP,
    change,
    flags,
    planned,
    preview,
    problem,
    reported,
    revision,
)
from tests.report.rows import COMMIT, Rows

HOST = "api.github.com:443"


async def send_all(rows: Rows, decision: Done | GivenUp = Done()) -> None:  # noqa: B008 - a value that never changes
    for task in await claim(rows.database, {HOST: 100}, reported=["default"]):
        assert await record(rows.database, task, decision)


async def test_a_revision_and_a_preview_become_tasks_and_their_flags_are_cleared(
    rows: Rows, settings: Settings
) -> None:
    applied = await revision(rows.database)
    await preview(rows.database, status="planned", plan=planned(change(1), change(2, "delete")))
    assert await plan_configuration(rows.database, reported(settings, REPORT)) == 2
    assert await flags(rows.database) == 0
    assert await plan_configuration(rows.database, reported(settings, REPORT)) == 0
    assert await rows.said() == {
        "fc/configuration": ("success", "Applied: 3 created, 1 updated"),
        "fc/plan": ("success", "Plan: 1 to create, 0 to update, 1 to delete"),
    }
    task = (await rows.tasks())[0]
    assert (task["notification_type"], task["config_source"], task["destination"], task["max_attempts"]) == (
        "github_status",
        "default",
        HOST,
        12,
    )
    assert task["notification_config_id"] is None
    assert task["subject"] == f"{COMMIT}:fc/configuration"
    assert task["payload"]["target"] == {
        "url": "https://api.github.com",
        "repository": "ops/fc",
        "token": {"secret": "forge-token"},
    }
    assert task["payload"]["content"]["target_url"].endswith(f"/configuration/revisions/{applied}")


async def test_with_an_app_previews_are_check_runs_and_revisions_are_not(
    rows: Rows, settings: Settings
) -> None:
    await revision(rows.database)
    await preview(rows.database, status="failed", errors=[problem(4)])
    await plan_configuration(rows.database, reported(settings, WITH_APP, "conf"))
    status, check = await rows.tasks()
    assert (status["notification_type"], check["notification_type"]) == ("github_status", "github_check")
    assert check["payload"]["target"]["app"] == {
        "id": 4711,
        "installation": 815,
        "key": {"secret": "app-key"},
    }
    (remark,) = check["payload"]["content"]["annotations"]
    assert (remark["path"], remark["line"], remark["column"]) == ("conf/projects.yaml", 4, 3)


@pytest.mark.parametrize("forge", ["gitea", "forgejo", "gitlab"])
async def test_other_forges_get_statuses(rows: Rows, settings: Settings, forge: Any) -> None:
    await preview(rows.database)
    report = ReportSettings(forge, "ops/fc", "t", "https://git.example.org", WITH_APP.app)
    await plan_configuration(rows.database, reported(settings, report))
    (task,) = await rows.tasks()
    assert (task["notification_type"], task["destination"]) == (f"{forge}_status", "git.example.org:443")
    assert task["payload"]["content"]["description"] == "Being planned"


async def test_a_source_that_nobody_wants_to_hear_of_only_loses_its_flag(
    rows: Rows, settings: Settings
) -> None:
    await revision(rows.database)
    await revision(rows.database, source="gone")
    await preview(rows.database, source="gone")
    assert await plan_configuration(rows.database, reported(settings, None)) == 3
    assert await rows.tasks() == []
    assert await flags(rows.database) == 0


async def test_sources_have_contexts_of_their_own(rows: Rows, settings: Settings) -> None:
    await revision(rows.database)
    await revision(rows.database, "failed", source="team-a", errors=[problem(1), problem(2)])
    await plan_configuration(rows.database, reported(settings, REPORT, others={"team-a": REPORT}))
    assert await rows.said() == {
        "fc/configuration": ("success", "Applied: 3 created, 1 updated"),
        "fc/configuration/team-a": ("failure", "projects.yaml:1:3: unknown key (and 1 more error)"),
    }


async def test_the_window_that_a_revision_waits_for_is_said(rows: Rows, settings: Settings) -> None:
    await rows.database.execute(
        """INSERT INTO config_sources (name, url, branch, status, opens_at)
        VALUES ('default', 'u', 'main', 'waiting', '2026-11-27T18:00:00Z')"""
    )
    await revision(rows.database, "waiting")
    await plan_configuration(rows.database, reported(settings, REPORT))
    assert await rows.said() == {
        "fc/configuration": ("pending", "Waits for its sync window until 2026-11-27 18:00 UTC")
    }


async def test_the_newest_revision_of_a_commit_and_the_newest_pull_request_of_a_head_speak(
    rows: Rows, settings: Settings
) -> None:
    await revision(rows.database, "held", plan={"digest": DIGEST, "summary": {}, "reasons": ["it is large"]})
    await revision(rows.database)
    await preview(rows.database, 8, "planned", plan=planned())
    await preview(rows.database, 7, "failed")
    await preview(rows.database, 9, "closed")
    await plan_configuration(rows.database, reported(settings, REPORT))
    assert await rows.said() == {
        "fc/configuration": ("success", "Applied: 3 created, 1 updated"),
        "fc/plan": ("success", "Nothing would change"),
    }


async def test_the_same_words_are_not_said_twice_unless_they_never_arrived(
    rows: Rows, settings: Settings
) -> None:
    there = reported(settings, REPORT)
    await preview(rows.database, status="planned", plan=planned())
    await plan_configuration(rows.database, there)
    await send_all(rows)
    await preview(rows.database, status="planned", plan=planned())
    assert await plan_configuration(rows.database, there) == 1
    assert len(await rows.tasks()) == 1
    await preview(rows.database, status="planned", plan=planned(change(1)))
    await plan_configuration(rows.database, there)
    await send_all(rows, GivenUp("no such repository"))
    await preview(rows.database, status="planned", plan=planned(change(1)))
    await plan_configuration(rows.database, there)
    assert [task["status"] for task in await rows.tasks()] == ["completed", "failed", "pending"]


async def test_the_same_words_are_said_again_elsewhere_and_in_another_form(
    rows: Rows, settings: Settings
) -> None:
    elsewhere = ReportSettings("github", "ops/moved", token="forge-token")
    for report in (REPORT, elsewhere, elsewhere, WITH_APP):
        await preview(rows.database)
        await plan_configuration(rows.database, reported(settings, report))
        await send_all(rows)
    assert [task["payload"]["target"]["repository"] for task in await rows.tasks()] == [
        "ops/fc",
        "ops/moved",
        "ops/fc",
    ]


async def test_newer_words_replace_those_that_wait_and_come_after_those_under_way(
    rows: Rows, settings: Settings
) -> None:
    there = reported(settings, WITH_APP)
    await preview(rows.database)
    await plan_configuration(rows.database, there)
    await preview(rows.database, status="planned", plan=planned(change(1)))
    await plan_configuration(rows.database, there)
    assert len(await rows.tasks()) == 1
    (first,) = await claim(rows.database, {HOST: 10}, reported=["default"])
    assert first.payload["content"]["conclusion"] == "success"
    await preview(rows.database, status="failed")
    await plan_configuration(rows.database, there)
    assert await claim(rows.database, {HOST: 10}, reported=["default"]) == []
    assert await record(rows.database, first, Done())
    (second,) = await claim(rows.database, {HOST: 10}, reported=["default"])
    assert second.payload["content"]["conclusion"] == "failure"


async def test_two_planners_at_once_plan_everything_once(
    rows: Rows, settings: Settings, database_url: str
) -> None:
    for number in range(40):
        await preview(rows.database, number, head_hash=f"{number:040x}")
        await revision(rows.database, commit_hash=f"{number:040x}")
    there = reported(settings, REPORT)
    pools = [await Database.connect(database_url, size=2) for _ in range(3)]

    async def plan(database: Database) -> None:
        async with asyncio.timeout(60):
            while await flags(rows.database):
                await plan_configuration(database, there, 5)

    try:
        await asyncio.gather(*(plan(pool) for pool in pools))
    finally:
        for pool in pools:
            await pool.close()
    tasks = await rows.tasks()
    assert len(tasks) == len({task["subject"] for task in tasks}) == 80


async def test_it_waits_for_whoever_plans_builds(rows: Rows, settings: Settings) -> None:
    await preview(rows.database)
    async with rows.database.transaction() as connection:
        await connection.execute("SELECT pg_advisory_xact_lock($1)", planner.LOCK)
        assert await plan_configuration(rows.database, reported(settings, REPORT)) == 0
    assert await plan_configuration(rows.database, reported(settings, REPORT)) == 1


async def test_a_row_that_cannot_be_read_keeps_nobody_else_from_being_reported(
    rows: Rows, settings: Settings
) -> None:
    await preview(rows.database, 1, "planned", plan={"changes": "all", "summary": [1]}, head_hash="a" * 40)
    await preview(rows.database, 2, "failed", errors={"file": 5}, head_hash="b" * 40)
    await revision(rows.database, plan=[1])
    await preview(rows.database, 3)
    assert await plan_configuration(rows.database, reported(settings, WITH_APP)) == 4
    (task,) = await rows.tasks()
    assert task["subject"] == f"{HEAD}:fc/plan"
    assert await flags(rows.database) == 0
