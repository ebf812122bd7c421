"""Claims: who builds, for how long, and what becomes of claims nobody renews."""

import asyncio
import uuid
from typing import Any

import msgspec

from fc.base.database import Database
from fc.build.claims import Claim, claim, hand_back, renew, retry_later, take_over_expired
from fc.build.schedule import Slots
from fc.build.worker_identity import this_worker
from fc.tables.build_queries import build_steps
from tests.build.rows import LOCAL_SLOTS, build_statuses, derivation_statuses, insert_graph
from tests.support.farm import add_builder

WORKER = this_worker("host:1")


async def claimed(database: Database, derivation_id: uuid.UUID, builder: Slots = LOCAL_SLOTS) -> Claim:
    found = await claim(database, derivation_id, builder, WORKER)
    assert found is not None
    return found


async def remote(database: Database, name: str = "big-1", **columns: Any) -> Slots:
    builder_id = await add_builder(database, name, ssh_uri="ssh://big-1", **columns)
    return Slots(name=name, id=builder_id, systems=frozenset({"x86_64-linux"}), max_jobs=8)


async def test_a_claim_makes_the_derivation_and_its_builds_run_and_opens_a_step(database: Database) -> None:
    rows = await insert_graph(database, {"low": [], "high": ["low"]}, ["low", "high"])
    right = await claimed(database, rows.derivations["low"])
    assert (right.name, right.attempts) == ("low", 0)
    assert await derivation_statuses(database) == {"low": "running", "high": "pending"}
    assert await build_statuses(database) == {"low": "running", "high": "pending"}
    (step,) = await build_steps(database, rows.builds["low"])
    assert (step.status, step.builder, step.log_path) == ("running", "local", right.log_path)


async def test_only_what_is_ready_and_whose_time_has_come_can_be_claimed(database: Database) -> None:
    rows = await insert_graph(database, {"low": [], "high": ["low"]}, ["high"])
    assert await claim(database, rows.derivations["high"], LOCAL_SLOTS, WORKER) is None
    assert await claim(database, uuid.uuid4(), LOCAL_SLOTS, WORKER) is None
    await database.execute(
        "UPDATE derivations SET next_attempt_at = now() + interval '1 hour' WHERE name = 'low'"
    )
    assert await claim(database, rows.derivations["low"], LOCAL_SLOTS, WORKER) is None


async def test_of_many_who_claim_at_once_one_gets_it(database: Database) -> None:
    rows = await insert_graph(database, {"low": []}, ["low"])
    found = await asyncio.gather(
        *(claim(database, rows.derivations["low"], LOCAL_SLOTS, WORKER) for _ in range(20))
    )
    assert sum(one is not None for one in found) == 1
    assert len(await build_steps(database, rows.builds["low"])) == 1


async def test_max_jobs_holds_however_many_claim_at_once(database: Database) -> None:
    names = [f"d{number}" for number in range(12)]
    rows = await insert_graph(database, {name: [] for name in names}, names)
    builder = await remote(database, max_jobs=3)
    found = await asyncio.gather(
        *(claim(database, one, builder, WORKER) for one in rows.derivations.values())
    )
    assert sum(one is not None for one in found) == 3


async def test_a_builder_that_is_disabled_backing_off_or_gone_gets_nothing(database: Database) -> None:
    rows = await insert_graph(database, {"low": []}, ["low"])
    builder = await remote(database)
    for change in ("enabled = false", "enabled = true, disabled_until = now() + interval '1 minute'"):
        await database.execute(f"UPDATE remote_builders SET {change}")
        assert await claim(database, rows.derivations["low"], builder, WORKER) is None
    gone = msgspec.structs.replace(builder, id=uuid.uuid4())
    assert await claim(database, rows.derivations["low"], gone, WORKER) is None


async def test_a_builder_that_has_failed_is_tried_with_one_build(database: Database) -> None:
    rows = await insert_graph(database, {"a": [], "b": []}, ["a", "b"])
    builder = await remote(database, max_jobs=8, consecutive_failures=1)
    assert await claim(database, rows.derivations["a"], builder, WORKER) is not None
    assert await claim(database, rows.derivations["b"], builder, WORKER) is None


async def test_steps_of_dependencies_go_to_the_oldest_unfinished_build_in_order(database: Database) -> None:
    rows = await insert_graph(
        database, {"x": [], "y": [], "top": ["x", "y"], "other": ["x"]}, ["top", "other"]
    )
    await database.execute(
        "UPDATE builds SET created_at = now() - interval '1 hour' WHERE job_name = 'other'"
    )
    await asyncio.gather(*(claimed(database, rows.derivations[name]) for name in ("x", "y")))
    assert [step.step_number for step in await build_steps(database, rows.builds["other"])] == [1]
    assert [step.step_number for step in await build_steps(database, rows.builds["top"])] == [1]
    await database.execute("UPDATE builds SET status = 'cancelled' WHERE job_name = 'other'")


async def test_what_nobody_needs_any_more_is_not_claimed_and_is_forgotten(database: Database) -> None:
    rows = await insert_graph(database, {"low": [], "high": ["low"]}, ["high"])
    await database.execute("UPDATE builds SET status = 'cancelled'")
    await database.execute("UPDATE derivations SET status = 'cancelled' WHERE name = 'high'")
    assert await claim(database, rows.derivations["low"], LOCAL_SLOTS, WORKER) is None
    assert (await derivation_statuses(database))["low"] == "ready"
    left = await database.fetch("SELECT derivation_id FROM derivation_demands")
    assert [row["derivation_id"] for row in left] == [rows.derivations["high"]]


async def test_a_derivation_whose_first_build_has_ended_is_shown_at_another_that_needs_it(
    database: Database,
) -> None:
    rows = await insert_graph(database, {"low": [], "a": ["low"], "b": ["low"]}, ["a", "b"])
    await database.execute("UPDATE derivation_demands SET build_id = $1", rows.builds["a"])
    await database.execute("UPDATE builds SET status = 'dependency_failed' WHERE job_name = 'a'")
    await claimed(database, rows.derivations["low"])
    assert len(await build_steps(database, rows.builds["b"])) == 1
    assert await build_steps(database, rows.builds["a"]) == []


async def test_a_claim_handed_back_counts_no_attempt(database: Database) -> None:
    rows = await insert_graph(database, {"low": []}, ["low"])
    right = await claimed(database, rows.derivations["low"])
    assert await hand_back(database, [right.token], "stopped") == 1
    assert await derivation_statuses(database) == {"low": "ready"}
    row = await database.fetchrow("SELECT status, started_at, retry_count FROM builds")
    assert row is not None
    assert tuple(row) == ("pending", None, 0)
    (step,) = await build_steps(database, rows.builds["low"])
    assert (step.status, step.error_output) == ("aborted", "stopped")
    assert await hand_back(database, [right.token], "again") == 0
    assert (await claimed(database, rows.derivations["low"])).attempts == 0


async def test_a_lost_attempt_counts_and_is_tried_later(database: Database) -> None:
    rows = await insert_graph(database, {"low": []}, ["low"])
    right = await claimed(database, rows.derivations["low"])
    assert await retry_later(database, right.token, "big-1 went away", 3600)
    assert await claim(database, rows.derivations["low"], LOCAL_SLOTS, WORKER) is None
    row = await database.fetchrow("SELECT status, attempts, error_message FROM derivations")
    assert row is not None
    assert tuple(row) == ("ready", 1, "big-1 went away")
    assert await database.fetchval("SELECT retry_count FROM builds") == 1
    assert not await retry_later(database, right.token, "late", 0)


async def test_a_heartbeat_keeps_claims_and_says_which_are_lost(database: Database) -> None:
    rows = await insert_graph(database, {"a": [], "b": []}, ["a", "b"])
    first, second = [await claimed(database, rows.derivations[name]) for name in ("a", "b")]
    await database.execute("UPDATE derivations SET lease_until = now() + interval '1 millisecond'")
    await hand_back(database, [second.token], "taken over")
    assert await renew(database, [first.token, second.token]) == {first.token}
    assert await database.fetchval(
        "SELECT min(lease_until) > now() + interval '10 seconds' FROM derivations WHERE status = 'running'"
    )


async def test_claims_are_taken_over_when_their_lease_is_over_or_their_process_dead(
    database: Database,
) -> None:
    names = ["alive", "expired", "dead", "elsewhere"]
    rows = await insert_graph(database, {name: [] for name in names}, names)
    for name in names:
        await claimed(database, rows.derivations[name])
    machine = WORKER.rpartition(" ")[2].partition("/")[0]
    await database.execute(
        "UPDATE derivations SET lease_until = now() - interval '1 second' WHERE name = 'expired'"
    )
    await database.execute("UPDATE derivations SET worker = $1 WHERE name = 'dead'", f"host:1 {machine}/1/0")
    await database.execute("UPDATE derivations SET worker = 'other:1 other/1/0' WHERE name = 'elsewhere'")
    assert await take_over_expired(database) == 2
    assert await derivation_statuses(database) == {
        "alive": "running",
        "expired": "ready",
        "dead": "ready",
        "elsewhere": "running",
    }
    assert await take_over_expired(database) == 0
    assert await database.fetchval("SELECT max(attempts) FROM derivations") == 0
