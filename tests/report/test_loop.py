"""Planning and sending as the process runs them: real database, real HTTP, and everything that goes wrong."""

import asyncio
import tracemalloc

import msgspec

from fc.base.looping import Services
from fc.report.loop import Planning, Sending, allot
from tests.report.rows import COMMIT, TOKEN, Rows
from tests.report.sending import (
    arrived,
    at_least,
    queue_status,
    running,
    shows,
    statuses,
    turn_until_idle,
    turns,
    until,
)
from tests.support.forge import Fault, FaultyForge, WebhookReceiver


async def test_a_build_s_result_arrives_at_the_forge_and_the_webhook(
    services: Services, rows: Rows, forge: FaultyForge
) -> None:
    jobset = await rows.jobset()
    async with WebhookReceiver() as receiver:
        await rows.notification("github_status", {"repository": "tools/hello", "token": TOKEN})
        await rows.notification("webhook", {"url": receiver.url, "secret": {"secret": "hook"}})
        evaluation = await rows.evaluation(jobset)
        await rows.builds(evaluation, 2)
        async with running(services):
            await until(lambda: shows(forge, "fc/hello/main/job-1", "pending"), "pending")
            build = await rows.settle(evaluation, "job-1", "succeeded")
            await rows.settle(evaluation, "job-2", "dependency_failed")
            await until(lambda: shows(forge, "fc/hello/main/job-1", "success"), "job-1 succeeded")
            await until(lambda: shows(forge, "fc/hello/main/job-2", "failure"), "job-2 failed")
            await until(lambda: shows(forge, "fc/hello/main", "failure"), "the summary")
            await until(lambda: arrived(receiver, 3), "three events")
        status = forge.latest("tools/hello", COMMIT, "fc/hello/main/job-1")
        assert status is not None
        assert status.target_url == f"https://fc.example.org/builds/{build}"
        events = [msgspec.json.decode(request.body) for request in receiver.requests]
        assert sorted(event["event"] for event in events) == [
            "build_finished",
            "build_finished",
            "evaluation_finished",
        ]
        assert set(statuses(await rows.tasks())) == {"completed"}


async def test_a_pending_status_never_lands_after_a_newer_one(
    services: Services, rows: Rows, forge: FaultyForge
) -> None:
    jobset = await rows.jobset()
    await rows.notification("github_status", {"repository": "tools/hello", "token": TOKEN})
    evaluation = await rows.evaluation(jobset)
    await rows.builds(evaluation, 20)
    planning, sending = Planning(services), Sending(services)
    await turns(planning)
    # Some of the pending ones are under way, some fail for now, some have not begun.
    forge.next_faults.extend([Fault(kind="hang"), Fault(code=502), Fault(kind="hang"), Fault(code=500)])
    await sending.turn()
    await until(lambda: at_least(forge, 4), "four under way")
    await rows.settle_all(evaluation, "succeeded")
    await turns(planning)
    forge.released.set()
    sending._pauses = type(sending._pauses)()
    await turn_until_idle(sending)
    await rows.database.execute(
        "UPDATE notification_tasks SET next_retry_at = now() WHERE status = 'pending'"
    )
    sending._pauses = type(sending._pauses)()
    await turn_until_idle(sending)
    by_context: dict[str, list[str]] = {}
    for posted in forge.posted:
        by_context.setdefault(posted.context, []).append(posted.state)
    assert len(by_context) == 21
    assert all(states[-1] == "success" for states in by_context.values())
    assert all(states.count("success") == 1 for states in by_context.values())
    assert set(statuses(await rows.tasks())) == {"completed"}
    await sending.drain()


async def test_ten_thousand_waiting_tasks_are_claimed_in_small_batches(
    services: Services, rows: Rows, forge: FaultyForge
) -> None:
    await rows.jobset()
    config = await rows.notification("github_status", {})
    host = forge.url.removeprefix("http://")
    content = {
        "state": "success",
        "context": "c",
        "description": "d" * 2000,
        "target_url": "https://x",
        "sha": COMMIT,
    }
    target = {"url": forge.url, "repository": "tools/hello", "token": TOKEN}
    await rows.database.execute(
        """INSERT INTO notification_tasks (notification_type, notification_config_id, subject, destination, payload)
        SELECT 'github_status', $1, 's' || n, $2, jsonb_set($3, '{content,context}', to_jsonb('c' || n))
        FROM generate_series(1, 10000) n""",
        config,
        host,
        {"content": content, "target": target},
    )
    forge.fault = Fault(kind="hang")
    sending = Sending(services)
    tracemalloc.start()
    try:
        while await sending.turn():
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(sending._under_way) == 4
    assert peak < 2_000_000, "ten thousand payloads would be twenty million bytes"
    assert (
        await rows.database.fetchval("SELECT count(*) FROM notification_tasks WHERE status = 'running'")
    ) == 4
    forge.fault = None
    forge.released.set()
    await sending.drain()


async def test_ten_thousand_flagged_builds_are_planned_in_batches(services: Services, rows: Rows) -> None:
    jobset = await rows.jobset()
    await rows.notification("webhook", {"url": "https://chat.example.org"})
    evaluation = await rows.evaluation(jobset)
    await rows.builds(evaluation, 10_000, "succeeded")
    planning = Planning(services)
    count = 1
    while await planning.turn():
        count += 1
    assert count == 10_000 // 500 + 1
    assert await rows.database.fetchval("SELECT count(*) FROM notification_tasks") == 10_001


async def test_a_task_due_soon_wakes_the_sender(services: Services, rows: Rows, forge: FaultyForge) -> None:
    task_id = await queue_status(rows, forge.url)
    sending = Sending(services)
    await rows.database.execute(
        "UPDATE notification_tasks SET next_retry_at = clock_timestamp() + interval '2 seconds' WHERE id = $1",
        task_id,
    )
    assert not await sending.turn()
    await asyncio.wait_for(sending.wake.wait(), 20)
    await turn_until_idle(sending)
    assert len(forge.posted) == 1
    await sending.drain()


def test_places_are_shared_out_fairly() -> None:
    assert allot(["a", "b"], {}, most=32, most_to_one=4) == {"a": 4, "b": 4}
    assert allot(["a", "b"], {"a": 4, "b": 1}, most=32, most_to_one=4) == {"b": 3}
    assert allot(["a", "b", "c"], {"a": 3}, most=6, most_to_one=4) == {"b": 2, "c": 1}
    assert allot(["a", "b"], {"x": 32}, most=32, most_to_one=4) == {}
    assert allot([], {}) == {}
