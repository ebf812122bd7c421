"""The queue of tasks, attacked by senders that race, die and come late."""

import asyncio
import uuid

import pytest

from fc.base.database import Database
from fc.report.queue import (
    Task,
    claim,
    hand_back,
    next_due,
    record,
    take_back_expired,
    waiting_destinations,
)
from fc.report.retry import Again, Done, GivenUp
from tests.report.rows import Rows

HOST = "h:443"


@pytest.fixture
async def config(rows: Rows) -> uuid.UUID:
    await rows.jobset()
    return await rows.notification("github_status", {})


async def one(rows: Rows) -> Task:
    (task,) = await claim(rows.database, {HOST: 10})
    return task


async def expire(rows: Rows) -> None:
    await rows.database.execute(
        "UPDATE notification_tasks SET lease_until = now() - interval '1 second' WHERE status = 'running'"
    )


async def test_a_claimed_task_has_all_that_sending_needs(rows: Rows, config: uuid.UUID) -> None:
    task_id = await rows.task(config, payload={"content": {}}, max_attempts=3)
    task = await one(rows)
    assert (task.id, task.kind, task.config_id, task.destination) == (task_id, "github_status", config, HOST)
    assert (task.payload, task.attempts, task.max_attempts, task.wanted) == ({"content": {}}, 1, 3, True)
    assert task.age >= 0
    (row,) = await rows.tasks()
    assert (row["status"], row["claim_token"]) == ("running", task.token)
    assert await claim(rows.database, {HOST: 10}) == []


async def test_a_task_whose_target_is_gone_or_switched_off_is_not_wanted(
    rows: Rows, config: uuid.UUID
) -> None:
    await rows.task(None)
    assert not (await one(rows)).wanted
    await rows.task(config)
    await rows.database.execute("UPDATE notification_configs SET enabled = false")
    assert not (await one(rows)).wanted


async def test_a_task_of_a_configuration_repository_is_wanted_while_the_settings_report_it(
    rows: Rows,
) -> None:
    await rows.task(config_source="team-a")
    task = (await claim(rows.database, {HOST: 10}, reported=["team-a"]))[0]
    assert (task.config_id, task.config_source, task.target, task.wanted) == (None, "team-a", "team-a", True)
    assert await hand_back(rows.database, task)
    assert not (await one(rows)).wanted


async def test_a_paused_configuration_repository_is_left(rows: Rows) -> None:
    await rows.task(config_source="team-a")
    await rows.task(config_source="team-b")
    (task,) = await claim(rows.database, {HOST: 10}, ["team-a", uuid.uuid4()], reported=["team-b"])
    assert task.config_source == "team-b"


async def test_one_subject_of_a_configuration_repository_is_sent_about_one_after_another(rows: Rows) -> None:
    await rows.task(None, "s", config_source="team-a", payload={"n": 1})
    first = await one(rows)
    await rows.task(None, "s", config_source="team-a", payload={"n": 2})
    await rows.task(None, "s", config_source="team-b", payload={"n": 3})
    assert (await one(rows)).payload == {"n": 3}, "another repository is another matter"
    assert await claim(rows.database, {HOST: 10}) == []
    assert await record(rows.database, first, Again("busy", 0.0, counts=True))
    assert (await one(rows)).payload == {"n": 2}, "the older one gave way"
    assert len(await rows.tasks()) == 2


async def test_places_are_kept_for_each_destination_and_the_oldest_come_first(
    rows: Rows, config: uuid.UUID
) -> None:
    ids = [await rows.task(config, destination=host) for host in ["a:1"] * 5 + ["b:1"] * 5 + ["c:1"] * 5]
    claimed = await claim(rows.database, {"a:1": 2, "b:1": 1, "d:1": 4})
    assert {task.id for task in claimed} == {ids[0], ids[1], ids[5]}
    assert await waiting_destinations(rows.database) == ["a:1", "b:1", "c:1"]


async def test_paused_targets_and_tasks_that_are_not_due_are_left(rows: Rows, config: uuid.UUID) -> None:
    await rows.task(config)
    assert await claim(rows.database, {HOST: 10}, [config]) == []
    await rows.database.execute("UPDATE notification_tasks SET next_retry_at = now() + interval '1 minute'")
    assert await claim(rows.database, {HOST: 10}) == []
    due = await next_due(rows.database)
    assert due is not None
    assert 0 < due <= 60


async def test_an_empty_queue_has_no_destination_and_no_next_task(rows: Rows) -> None:
    assert await waiting_destinations(rows.database) == []
    assert await next_due(rows.database) is None


async def test_one_subject_is_sent_about_one_after_another(rows: Rows, config: uuid.UUID) -> None:
    await rows.task(config, "s", payload={"n": 1})
    first = await one(rows)
    await rows.task(config, "s", payload={"n": 2})
    assert await claim(rows.database, {HOST: 10}) == [], "not while the older one is under way"
    assert await record(rows.database, first, Done())
    assert (await one(rows)).payload == {"n": 2}


async def test_the_same_subject_at_another_target_is_another_matter(rows: Rows, config: uuid.UUID) -> None:
    other = await rows.notification("gitea_status", {})
    await rows.task(config, "s")
    await rows.task(other, "s")
    assert len(await claim(rows.database, {HOST: 10})) == 2


async def test_a_task_that_failed_for_now_gives_way_to_a_newer_one(rows: Rows, config: uuid.UUID) -> None:
    await rows.task(config, "s", payload={"state": "pending"})
    old = await one(rows)
    await rows.task(config, "s", payload={"state": "success"})
    assert await record(rows.database, old, Again("busy", 10.0, counts=True))
    assert [(task["status"], task["payload"]) for task in await rows.tasks()] == [
        ("pending", {"state": "success"})
    ]


async def test_a_task_that_failed_for_good_leaves_the_newer_one_in_place(
    rows: Rows, config: uuid.UUID
) -> None:
    await rows.task(config, "s")
    old = await one(rows)
    await rows.task(config, "s")
    assert await record(rows.database, old, GivenUp("no such repository"))
    assert [task["status"] for task in await rows.tasks()] == ["failed", "pending"]


async def test_done_is_completed_and_forgets_its_trouble(rows: Rows, config: uuid.UUID) -> None:
    await rows.task(config, last_error="busy")
    assert await record(rows.database, await one(rows), Done())
    (row,) = await rows.tasks()
    assert (row["status"], row["last_error"], row["claim_token"]) == ("completed", None, None)
    assert row["completed_at"] is not None


async def test_given_up_is_failed_and_says_why(rows: Rows, config: uuid.UUID) -> None:
    await rows.task(config)
    assert await record(rows.database, await one(rows), GivenUp("no such repository"))
    (row,) = await rows.tasks()
    assert (row["status"], row["last_error"]) == ("failed", "no such repository")
    assert row["completed_at"] is not None


async def test_again_waits_and_counts_its_try(rows: Rows, config: uuid.UUID) -> None:
    await rows.task(config)
    assert await record(rows.database, await one(rows), Again("busy", 30.0, counts=True))
    (row,) = await rows.tasks()
    assert (row["status"], row["last_error"], row["attempts"], row["lease_until"]) == (
        "pending",
        "busy",
        1,
        None,
    )
    due = await next_due(rows.database)
    assert due is not None
    assert 0 < due <= 30


async def test_a_rate_limited_try_does_not_count(rows: Rows, config: uuid.UUID) -> None:
    await rows.task(config)
    assert await record(rows.database, await one(rows), Again("rate limit", 0.0, counts=False))
    assert (await one(rows)).attempts == 1


async def test_a_task_handed_back_is_as_it_was(rows: Rows, config: uuid.UUID) -> None:
    await rows.task(config, last_error="busy", attempts=2)
    assert await hand_back(rows.database, await one(rows))
    (row,) = await rows.tasks()
    assert (row["status"], row["last_error"], row["attempts"]) == ("pending", "busy", 2)
    assert (await one(rows)).attempts == 3


@pytest.mark.parametrize("decision", [Done(), GivenUp("x"), Again("x", 0.0, counts=True)])
async def test_a_late_result_changes_nothing(
    rows: Rows, config: uuid.UUID, decision: Done | GivenUp | Again
) -> None:
    await rows.task(config)
    late = await one(rows)
    await expire(rows)
    assert await take_back_expired(rows.database) == 1
    new = await one(rows)
    assert not await record(rows.database, late, decision)
    assert not await hand_back(rows.database, late)
    (row,) = await rows.tasks()
    assert (row["status"], row["claim_token"]) == ("running", new.token)
    assert await record(rows.database, new, Done())
    assert not await record(rows.database, late, decision)
    (row,) = await rows.tasks()
    assert row["status"] == "completed"


async def test_a_late_result_does_not_bring_back_what_was_replaced(rows: Rows, config: uuid.UUID) -> None:
    await rows.task(config, "s", payload={"n": 1})
    late = await one(rows)
    await rows.task(config, "s", payload={"n": 2})
    await expire(rows)
    assert await take_back_expired(rows.database) == 1
    assert not await record(rows.database, late, Again("busy", 0.0, counts=True))
    assert [(task["status"], task["payload"]) for task in await rows.tasks()] == [("pending", {"n": 2})]


async def test_a_lease_that_stands_is_not_taken(rows: Rows, config: uuid.UUID) -> None:
    await rows.task(config)
    task = await one(rows)
    assert await take_back_expired(rows.database) == 0
    assert await record(rows.database, task, Done())


async def test_a_task_that_kills_every_sender_is_given_up(rows: Rows, config: uuid.UUID) -> None:
    await rows.task(config, max_attempts=3)
    for _ in range(3):
        await one(rows)
        await expire(rows)
        assert await take_back_expired(rows.database) == 1
    (row,) = await rows.tasks()
    assert (row["status"], row["attempts"]) == ("failed", 3)
    assert "died" in row["last_error"]


async def test_many_senders_at_once_never_get_the_same_task_nor_one_subject_twice(
    rows: Rows, config: uuid.UUID, database_url: str
) -> None:
    for number in range(200):
        await rows.task(config, f"s-{number}", destination=f"{number % 3}:1")
    pools = [await Database.connect(database_url, size=3) for _ in range(3)]
    claimed: list[Task] = []

    async def send(database: Database) -> None:
        while tasks := await claim(database, {"0:1": 4, "1:1": 4, "2:1": 4}):
            claimed.extend(tasks)

    try:
        await asyncio.gather(*(send(pool) for pool in pools * 3))
    finally:
        for pool in pools:
            await pool.close()
    left = [task["status"] for task in await rows.tasks("pending")]
    assert len(claimed) + len(left) == 200
    assert len({task.id for task in claimed}) == len(claimed)
    again = await claim(rows.database, {"0:1": 100, "1:1": 100, "2:1": 100})
    assert len(again) == len(left)


async def test_planning_and_sending_one_subject_at_the_same_time_keeps_one_under_way_and_one_waiting(
    rows: Rows, config: uuid.UUID
) -> None:
    sent: list[int] = []

    async def plan() -> None:
        for number in range(100):
            await rows.database.execute(
                """INSERT INTO notification_tasks (notification_type, notification_config_id, subject, destination, payload)
                VALUES ('github_status', $1, 's', $2, $3)
                ON CONFLICT (notification_config_id, subject) WHERE status = 'pending'
                DO UPDATE SET payload = EXCLUDED.payload""",
                config,
                HOST,
                {"n": number},
            )

    async def send() -> None:
        while not sent or sent[-1] != 99:
            tasks = await claim(rows.database, {HOST: 10})
            assert len(tasks) <= 1
            for task in tasks:
                under_way = await rows.database.fetchval(
                    "SELECT count(*) FROM notification_tasks WHERE status = 'running'"
                )
                assert under_way == 1
                sent.append(task.payload["n"])
                await record(
                    rows.database, task, Done() if task.payload["n"] % 2 else Again("x", 0.0, counts=False)
                )
            if not tasks:
                await asyncio.sleep(0.001)

    async with asyncio.timeout(120):
        await asyncio.gather(plan(), send(), send())
    assert sent == sorted(sent), "in the order in which they were planned"
