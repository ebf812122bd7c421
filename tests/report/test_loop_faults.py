"""Sending when forges, senders and the database fail."""

import asyncio
import time

import asyncpg
import pytest

from fc.base.looping import Services
from fc.report import queue
from fc.report.loop import Sending
from tests.report.rows import TOKEN, Rows
from tests.report.sending import (
    SECRET,
    at_least,
    queue_status,
    running,
    shows,
    statuses,
    turn_until_idle,
    turns,
    until,
)
from tests.support.forge import LIMITED, Fault, FaultyForge


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

    async def sent() -> bool:
        # Each statement may meet another connection that has just been ended; the loop's runner would try again.
        try:
            await turn_until_idle(sending)
            return statuses(await rows.tasks()) == ["completed"]
        except (asyncpg.PostgresError, asyncpg.InterfaceError):
            return False

    await until(sent, "the task is completed on living connections")
    assert len(forge.posted) == 1
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
