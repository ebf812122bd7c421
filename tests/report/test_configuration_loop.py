"""Statuses and check runs of configuration, from flags to a GitHub, by the loops of a process."""

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import structlog

from fc.base.looping import Services
from fc.base.settings import ForgeSettings, ForgesSettings
from fc.base.source_settings import ReportSettings
from fc.report import queue
from fc.report.loop import Planning, Sending
from tests.report.configuration_rows import (
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
from tests.report.sending import running, statuses, turn_until_idle, turns, until
from tests.support.forge import LIMITED, Fault
from tests.support.github import KEY_PEM, FakeGitHub


@pytest.fixture
async def github() -> AsyncIterator[FakeGitHub]:
    async with FakeGitHub() as started:
        yield started


@pytest.fixture
def process(services: Services, github: FakeGitHub, tmp_path: Path) -> Services:
    """A process whose settings report the default source with an App."""
    (tmp_path / "secrets" / "app-key").write_text(KEY_PEM)
    forges = ForgesSettings(github=ForgeSettings(url=github.url))
    settings = msgspec.structs.replace(services.settings, forges=forges)
    return dataclasses.replace(services, settings=reported(settings, WITH_APP, "conf"))


def reporting(process: Services, report: ReportSettings | None) -> Services:
    return dataclasses.replace(process, settings=reported(process.settings, report))


async def test_a_pull_request_is_checked_from_its_first_moment_to_its_plan(
    process: Services, rows: Rows, github: FakeGitHub
) -> None:
    async def shows(status: str, count: int) -> bool:
        return any(run["status"] == status and len(run["annotations"]) == count for run in github.runs)

    with structlog.testing.capture_logs() as logs:
        async with running(process):
            await preview(rows.database)
            await until(lambda: shows("in_progress", 0), "it is being planned")
            plan = planned(*(change(number) for number in range(1, 61)), change(99, "delete"))
            await preview(rows.database, status="planned", plan=plan)
            await until(lambda: shows("completed", 60), "it is planned")
            await revision(rows.database, "failed", errors=[problem(1)])

            async def stands() -> bool:
                return github.latest("ops/fc", COMMIT, "fc/configuration") is not None

            await until(stands, "the commit has a status")
    run = github.run("fc/plan")
    assert (run["head_sha"], run["conclusion"]) == (HEAD, "success")
    assert run["output"]["title"] == "Plan: 60 to create, 0 to update, 1 to delete"
    assert run["output"]["summary"].startswith(
        "- `delete jobset` `hello/j99` (was at `conf/projects.yaml:99`)"
    )
    assert run["annotations"][0]["path"] == "conf/projects.yaml"
    assert run["details_url"].endswith("/configuration/previews/default/7")
    status = github.latest("ops/fc", COMMIT, "fc/configuration")
    assert status is not None
    assert (status.state, status.description) == ("failure", "projects.yaml:1:3: unknown key")
    assert set(statuses(await rows.tasks())) == {"completed"}
    assert await flags(rows.database) == 0
    stored = await rows.database.fetchval("SELECT string_agg(t::text, ' ') FROM notification_tasks t")
    assert not any(secret in f"{stored} {logs}" for secret in (*github.tokens, KEY_PEM[40:80], "eyJ"))


async def test_a_check_that_is_wanted_again_is_answered_in_the_same_words(
    process: Services, rows: Rows, github: FakeGitHub
) -> None:
    plan = planned(change(1))
    sending = Sending(process)
    for reruns in (0, 0, 1, 1, 2):
        await preview(rows.database, status="planned", plan=plan)
        await rows.database.execute("UPDATE config_previews SET reruns = $1", reruns)
        await turns(Planning(process))
        await turn_until_idle(sending)
    await preview(rows.database)
    await rows.database.execute("UPDATE config_previews SET reruns = 3")
    await turns(Planning(process))
    await turn_until_idle(sending)
    assert [run["status"] for run in github.runs] == ["completed"] * 3 + ["in_progress"]
    await preview(rows.database, status="planned", plan=plan)
    await turns(Planning(process))
    await turn_until_idle(sending)
    assert [run["conclusion"] for run in github.runs] == ["success"] * 4
    await sending.drain()


async def test_a_sender_killed_before_it_recorded_leaves_one_run(
    process: Services, rows: Rows, github: FakeGitHub
) -> None:
    await preview(rows.database, status="failed", errors=[problem(number) for number in range(1, 71)])
    await turns(Planning(process))
    killed = Sending(process)
    (task,) = await queue.claim(rows.database, {github.url.removeprefix("http://"): 1}, reported=["default"])
    # What kill -9 leaves behind: the claim, and half of the annotations.
    github.answered = lambda request: setattr(
        github,
        "fault",
        Fault(kind="close") if request.method == "POST" and "check-runs" in request.path else None,
    )
    await killed._deliver(task)
    github.answered, github.fault = lambda _: None, None
    assert len(github.run("fc/plan")["annotations"]) == 50
    survivor = Sending(process)
    await turn_until_idle(survivor)
    assert len(github.run("fc/plan")["annotations"]) == 50, "the lease stands"
    await rows.database.execute("UPDATE notification_tasks SET lease_until = now() - interval '1 second'")
    survivor._swept = 0.0
    await turn_until_idle(survivor)
    assert len(github.runs) == 1
    assert len(github.run("fc/plan")["annotations"]) == 70
    assert statuses(await rows.tasks()) == ["completed"]
    await killed.drain()
    await survivor.drain()


async def test_a_source_that_leaves_the_settings_is_not_spoken_of_any_more(
    process: Services, rows: Rows, github: FakeGitHub
) -> None:
    await preview(rows.database)
    await turns(Planning(process))
    after = Sending(reporting(process, None))
    await turn_until_idle(after)
    (task,) = await rows.tasks()
    assert (task["status"], task["last_error"]) == (
        "failed",
        "this notification is not in the settings any more, or is switched off there",
    )
    assert github.requests == []
    await after.drain()
    # When it is back, so is what was not said.
    await preview(rows.database)
    await turns(Planning(process))
    sending = Sending(process)
    await turn_until_idle(sending)
    assert github.run("fc/plan")["status"] == "in_progress"
    await sending.drain()


async def test_a_rate_limit_holds_up_its_source_and_no_other(
    process: Services, rows: Rows, github: FakeGitHub
) -> None:
    both = dataclasses.replace(process, settings=reported(process.settings, REPORT, others={"other": REPORT}))
    for number in range(5):
        await preview(rows.database, number, head_hash=f"{number:040x}")
    await turns(Planning(both))
    github.next_faults.append(LIMITED)
    sending = Sending(both)
    await sending.turn()

    async def limited() -> bool:
        return bool(sending._pauses.targets(0.0))

    await until(limited, "the limit is known")
    assert sending._pauses.targets(0.0) == {"default"}
    await turn_until_idle(sending)
    sent = len(github.requests)
    await preview(rows.database, 100, source="other", head_hash="e" * 40)
    await preview(rows.database, 101, head_hash="f" * 40)
    await turns(Planning(both))
    await turn_until_idle(sending)
    assert len(github.requests) == sent + 1
    assert github.posted[-1].context == "fc/plan/other"
    await sending.drain()


async def test_two_processes_at_once_say_everything_once(
    process: Services, rows: Rows, github: FakeGitHub
) -> None:
    for number in range(12):
        await preview(rows.database, number, head_hash=f"{number:040x}")
    async with running(process), running(process):

        async def sent() -> bool:
            return statuses(await rows.tasks()) == ["completed"] * 12

        await until(sent, "everything is said")
    assert len(github.runs) == len({run["head_sha"] for run in github.runs}) == 12
