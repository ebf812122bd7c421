"""Planning and sending as the process runs them: real database, real HTTP, and everything that goes wrong."""

import asyncio
import time
import tracemalloc
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from fc.base.database import Database
from fc.base.looping import Services, run_loop
from fc.base.nix_cli import Nix
from fc.base.notify import Listener
from fc.base.secrets import Secrets
from fc.base.settings import ForgeSettings, ForgesSettings, Settings
from fc.report import queue
from fc.report.loop import Planning, Sending, allot, make_loops
from tests.report.rows import COMMIT, TOKEN, Rows
from tests.support.forge import LIMITED, Fault, FaultyForge, WebhookReceiver

SECRET = "forge-t0ken"


@pytest.fixture
def rows(database: Database) -> Rows:
    return Rows(database)


@pytest.fixture
async def forge() -> AsyncIterator[FaultyForge]:
    async with FaultyForge(SECRET) as started:
        yield started


@pytest.fixture
def services(
    database: Database, settings: Settings, nix: Nix, tmp_path: Path, forge: FaultyForge
) -> Services:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "forge-token").write_text(SECRET)
    (tmp_path / "secrets" / "hook").write_text("hook secret")
    forges = ForgesSettings(github=ForgeSettings(url=forge.url), gitea=ForgeSettings(url=forge.url))
    return Services(
        settings=msgspec.structs.replace(settings, forges=forges),
        database=database,
        secrets=Secrets(tmp_path / "secrets"),
        nix=nix,
        worker="test:1",
    )


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    end = time.monotonic() + 60
    while not await condition():
        assert time.monotonic() < end, f"never came true: {what}"
        await asyncio.sleep(0.01)


async def turns(loop: Planning | Sending) -> None:
    """Turns until there is nothing to do and nothing under way, as the process would make them."""
    while True:
        loop.wake.clear()
        if await loop.turn():
            continue
        if not isinstance(loop, Sending) or not loop._under_way:
            return
        await loop.wake.wait()


async def turn_until_idle(loop: Sending) -> None:
    await asyncio.wait_for(turns(loop), 60)


def statuses(tasks: list[dict[str, Any]]) -> list[str]:
    return [task["status"] for task in tasks]


async def queue_status(
    rows: Rows, forge_url: str, number: int = 1, config: uuid.UUID | None = None
) -> uuid.UUID:
    """A task as the planner makes it, for a forge at ``forge_url``."""
    if config is None:
        if not await rows.database.fetchval("SELECT count(*) FROM projects"):
            await rows.jobset()
        config = await rows.notification("github_status", {}, name=f"n{uuid.uuid4()}")
    context = f"fc/hello/main/job-{number}"
    content = {
        "state": "success",
        "context": context,
        "description": "Built",
        "target_url": "https://x",
        "sha": COMMIT,
    }
    return await rows.task(
        config,
        f"{COMMIT} {context}",
        destination=forge_url.removeprefix("http://"),
        payload={
            "content": content,
            "target": {"url": forge_url, "repository": "tools/hello", "token": TOKEN},
        },
        max_attempts=12,
    )


async def test_a_build_s_result_arrives_at_the_forge_and_the_webhook(
    services: Services, rows: Rows, forge: FaultyForge
) -> None:
    jobset = await rows.jobset()
    async with WebhookReceiver() as receiver:
        await rows.notification("github_status", {"repository": "tools/hello", "token": TOKEN})
        await rows.notification("webhook", {"url": receiver.url, "secret": {"secret": "hook"}})
        evaluation = await rows.evaluation(jobset)
        await rows.builds(evaluation, 2)
        listener = Listener(services.database.url)
        await listener.start()
        stop = asyncio.Event()
        running = [asyncio.create_task(run_loop(loop, listener, stop)) for loop in make_loops(services)]
        try:
            await until(lambda: shows(forge, "fc/hello/main/job-1", "pending"), "pending")
            build = await rows.settle(evaluation, "job-1", "succeeded")
            await rows.settle(evaluation, "job-2", "dependency_failed")
            await until(lambda: shows(forge, "fc/hello/main/job-1", "success"), "job-1 succeeded")
            await until(lambda: shows(forge, "fc/hello/main/job-2", "failure"), "job-2 failed")
            await until(lambda: shows(forge, "fc/hello/main", "failure"), "the summary")
            await until(lambda: arrived(receiver, 3), "three events")
        finally:
            stop.set()
            await asyncio.gather(*running)
            await listener.close()
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


async def shows(forge: FaultyForge, context: str, state: str) -> bool:
    status = forge.latest("tools/hello", COMMIT, context)
    return status is not None and status.state == state


async def arrived(receiver: WebhookReceiver, count: int) -> bool:
    return len(receiver.requests) >= count


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


async def at_least(forge: FaultyForge, count: int) -> bool:
    return len(forge.requests) >= count


async def test_a_sender_killed_before_it_recorded_is_taken_over_and_sends_once_more_at_most(
    services: Services, rows: Rows, forge: FaultyForge
) -> None:
    await queue_status(rows, forge.url)
    # What kill -9 leaves behind: the claim, and the status at the forge.
    killed = Sending(services)
    (task,) = await queue.claim(rows.database, {forge.url.removeprefix("http://"): 1})
    await killed._deliver(task)
    assert len(forge.posted) == 1
    survivor = Sending(services)
    await turn_until_idle(survivor)
    assert len(forge.posted) == 1, "the lease stands"
    await rows.database.execute("UPDATE notification_tasks SET lease_until = now() - interval '1 second'")
    survivor._swept = 0.0
    await turn_until_idle(survivor)
    assert len(forge.posted) == 2
    assert statuses(await rows.tasks()) == ["completed"]
    await killed.drain()
    await survivor.drain()


async def test_two_senders_at_once_deliver_each_task_once(
    services: Services, rows: Rows, forge: FaultyForge
) -> None:
    await rows.jobset()
    config = await rows.notification("github_status", {})
    for number in range(100):
        await queue_status(rows, forge.url, number, config)
    senders = [Sending(services) for _ in range(3)]
    await asyncio.gather(*(turn_until_idle(sender) for sender in senders))
    assert len(forge.posted) == 100
    assert len({posted.context for posted in forge.posted}) == 100
    assert set(statuses(await rows.tasks())) == {"completed"}
    for sender in senders:
        await sender.drain()


async def test_a_forge_that_hangs_holds_up_nobody_else(
    services: Services, rows: Rows, forge: FaultyForge
) -> None:
    async with FaultyForge(SECRET) as slow:
        slow.fault = Fault(kind="hang")
        await rows.jobset()
        config = await rows.notification("github_status", {})
        other = await rows.notification("gitea_status", {})
        for number in range(20):
            await queue_status(rows, slow.url, number, config)
        for number in range(20):
            await queue_status(rows, forge.url, number, other)
        sending = Sending(services)
        while await sending.turn() or len(forge.posted) < 20:
            sending.wake.clear()
            await asyncio.wait_for(sending.wake.wait(), 60)
        assert slow.at_once == 4, "few at once to one host"
        assert len(slow.requests) == 4
        slow.released.set()
        await turn_until_idle(sending)
        assert (len(slow.posted), len(forge.posted)) == (20, 20)
        await sending.drain()


async def test_a_forge_that_hangs_too_long_is_left_and_then_left_alone(
    services: Services, rows: Rows, forge: FaultyForge
) -> None:
    forge.fault = Fault(kind="hang")
    await rows.jobset()
    config = await rows.notification("github_status", {})
    for number in range(10):
        await queue_status(rows, forge.url, number, config)
    sending = Sending(services, longest_post=0.3)
    await turn_until_idle(sending)
    assert len(forge.requests) == 4, "the others are not tried while the host is paused"
    tasks = await rows.tasks()
    assert statuses(tasks) == ["pending"] * 10
    assert sum(task["attempts"] for task in tasks) == 4
    assert sum("no " in (task["last_error"] or "") for task in tasks) == 4
    assert sending._alarm is not None
    await sending.drain()


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="garbage"),
        Fault(kind="close"),
        Fault(kind="endless"),
        Fault(code=200, body=b"<html>sign in</html>"),
        Fault(code=500, body=b"\xff\x00" * 1000),
    ],
)
async def test_a_forge_that_answers_garbage_is_tried_again_and_the_reason_holds_no_token(
    services: Services, rows: Rows, forge: FaultyForge, fault: Fault
) -> None:
    forge.fault = fault
    await queue_status(rows, forge.url)
    sending = Sending(services)
    await turn_until_idle(sending)
    (task,) = await rows.tasks()
    assert (task["status"], task["attempts"]) == ("pending", 1)
    assert SECRET not in task["last_error"]
    assert SECRET not in str(task["payload"])
    await sending.drain()


async def test_a_refusal_fails_at_once_and_says_what_to_do(
    services: Services, rows: Rows, forge: FaultyForge
) -> None:
    forge.fault = Fault(code=401, body=b'{"message": "Bad credentials forge-t0ken"}')
    await queue_status(rows, forge.url)
    sending = Sending(services)
    await turn_until_idle(sending)
    (task,) = await rows.tasks()
    assert (task["status"], task["attempts"]) == ("failed", 1)
    assert "put a valid one into the secret" in task["last_error"]
    assert SECRET not in task["last_error"]
    await sending.drain()


async def test_a_rate_limit_pauses_the_target_and_counts_for_nothing(
    services: Services, rows: Rows, forge: FaultyForge
) -> None:
    await rows.jobset()
    limited = await rows.notification("github_status", {})
    other = await rows.notification("gitea_status", {})
    forge.fault = LIMITED
    for number in range(10):
        await queue_status(rows, forge.url, number, limited)
    sending = Sending(services)
    await turn_until_idle(sending)
    assert len(forge.requests) == 4
    assert [task["attempts"] for task in await rows.tasks()] == [0] * 10
    assert sending._pauses.hosts(time.monotonic()) == frozenset()
    forge.fault = None
    await queue_status(rows, forge.url, 11, other)
    await turn_until_idle(sending)
    assert [posted.context for posted in forge.posted] == ["fc/hello/main/job-11"], (
        "another token is not limited"
    )
    (waiting,) = {task["status"] for task in await rows.tasks() if task["notification_config_id"] == limited}
    assert waiting == "pending"
    await sending.drain()


async def test_the_database_lost_after_sending_is_waited_for(
    services: Services, rows: Rows, forge: FaultyForge
) -> None:
    await queue_status(rows, forge.url)
    forge.fault = Fault(kind="hang")
    sending = Sending(services)
    await sending.turn()
    await until(lambda: at_least(forge, 1), "the request")
    # The server ends every connection of the pool while the forge still thinks.
    connection = await asyncpg.connect(services.database.url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await connection.close()
    forge.released.set()
    await turn_until_idle(sending)
    assert (len(forge.posted), statuses(await rows.tasks())) == (1, ["completed"])
    await sending.drain()


async def test_a_result_that_cannot_be_recorded_within_the_lease_is_sent_again_by_the_next(
    services: Services, rows: Rows, forge: FaultyForge
) -> None:
    await queue_status(rows, forge.url)
    sending = Sending(services, longest_post=0.2, lease=1.0)
    await rows.database.execute(
        "ALTER TABLE notification_tasks ADD CONSTRAINT no CHECK (status <> 'completed') NOT VALID"
    )
    await sending.turn()

    async def gave_up() -> bool:
        return not sending._under_way

    await until(gave_up, "the end of the lease")
    assert (len(forge.posted), statuses(await rows.tasks())) == (1, ["running"])
    await rows.database.execute("ALTER TABLE notification_tasks DROP CONSTRAINT no")

    async def finished() -> bool:
        await turns(sending)
        return statuses(await rows.tasks()) == ["completed"]

    await until(finished, "the lease ran out and it was sent again")
    assert len(forge.posted) == 2
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


async def test_stopping_waits_for_what_is_nearly_done_and_hands_back_the_rest(
    services: Services, rows: Rows, forge: FaultyForge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fc.report.loop._DRAIN_SECONDS", 0.05)
    forge.fault = Fault(kind="hang")
    await queue_status(rows, forge.url)
    sending = Sending(services)
    await sending.turn()
    await until(lambda: at_least(forge, 1), "the request")
    await sending.drain()
    (task,) = await rows.tasks()
    assert (task["status"], task["attempts"], task["claim_token"]) == ("pending", 0, None)


async def test_a_claim_that_waited_too_long_for_this_process_is_handed_back_unsent(
    services: Services, rows: Rows, forge: FaultyForge
) -> None:
    await queue_status(rows, forge.url)
    sending = Sending(services)
    (task,) = await queue.claim(rows.database, {forge.url.removeprefix("http://"): 1})
    await sending._send(task, time.monotonic() - 100)
    assert forge.requests == []
    (row,) = await rows.tasks()
    assert (row["status"], row["attempts"]) == ("pending", 0)
    await sending.drain()


async def test_a_claim_lost_while_sending_changes_nothing(
    services: Services, rows: Rows, forge: FaultyForge
) -> None:
    await queue_status(rows, forge.url)
    sending = Sending(services)
    (task,) = await queue.claim(rows.database, {forge.url.removeprefix("http://"): 1})
    await rows.database.execute("UPDATE notification_tasks SET claim_token = gen_random_uuid()")
    await sending._send(task, time.monotonic())
    assert statuses(await rows.tasks()) == ["running"]
    await sending.drain()


async def test_a_fault_of_our_own_is_tried_again_and_told_without_detail(
    services: Services, rows: Rows
) -> None:
    await rows.jobset()
    config = await rows.notification("github_status", {})
    await rows.task(config, payload={"content": {}, "target": {"url": 5}})
    sending = Sending(services)
    await turn_until_idle(sending)
    (task,) = await rows.tasks()
    assert (task["status"], task["last_error"]) == (
        "pending",
        "FC itself failed (ValidationError); its log says more",
    )
    await sending.drain()


async def test_a_task_due_soon_wakes_the_sender(services: Services, rows: Rows, forge: FaultyForge) -> None:
    task_id = await queue_status(rows, forge.url)
    await rows.database.execute(
        "UPDATE notification_tasks SET next_retry_at = clock_timestamp() + interval '0.3 seconds' WHERE id = $1",
        task_id,
    )
    sending = Sending(services)
    assert not await sending.turn()
    await asyncio.wait_for(sending.wake.wait(), 20)
    await turn_until_idle(sending)
    assert len(forge.posted) == 1
    await sending.drain()


@asynccontextmanager
async def running(services: Services) -> AsyncIterator[None]:
    """Both loops, as the process runs them."""
    listener = Listener(services.database.url)
    await listener.start()
    stop = asyncio.Event()
    loops = [asyncio.create_task(run_loop(loop, listener, stop)) for loop in make_loops(services)]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*loops)
        await listener.close()


async def test_a_forge_that_comes_back_gets_what_it_missed(
    services: Services, rows: Rows, forge: FaultyForge
) -> None:
    jobset = await rows.jobset()
    await rows.notification("github_status", {"repository": "tools/hello", "token": TOKEN})
    forge.fault = Fault(code=503, body=b"")
    evaluation = await rows.evaluation(jobset)
    async with running(services):
        await until(lambda: at_least(forge, 1), "the first try")
        await rows.builds(evaluation, 1, "succeeded")
        forge.fault = None
        await rows.database.execute("UPDATE notification_tasks SET next_retry_at = now()")
        await until(lambda: shows(forge, "fc/hello/main", "success"), "the summary")


def test_places_are_shared_out_fairly() -> None:
    assert allot(["a", "b"], {}, most=32, most_to_one=4) == {"a": 4, "b": 4}
    assert allot(["a", "b"], {"a": 4, "b": 1}, most=32, most_to_one=4) == {"b": 3}
    assert allot(["a", "b", "c"], {"a": 3}, most=6, most_to_one=4) == {"b": 2, "c": 1}
    assert allot(["a", "b"], {"x": 32}, most=32, most_to_one=4) == {}
    assert allot([], {}) == {}
