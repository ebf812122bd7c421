"""What the scheduler reads, and that nothing blocked or plentiful keeps others out of it."""

import uuid
from datetime import datetime
from typing import Any

from fc.base.database import Database
from fc.base.settings import BuildersSettings, NixSettings, Settings
from fc.build.queue import read_candidates, read_usage, slots_of
from fc.build.schedule import Slots, plan
from fc.build.waiting import waiting_reason
from fc.tables.builder_queries import list_builders
from tests.build.rows import insert_graph
from tests.support.farm import add_builder

LINUX = frozenset({"x86_64-linux"})


async def planned(database: Database, *builders: Slots) -> list[str]:
    """Names of what is assigned now, in order."""
    now: datetime = await database.fetchval("SELECT now()")
    candidates = await read_candidates(database, builders, [], now)
    assignments = plan(candidates, builders, await read_usage(database), now)
    ids = [one.candidate.derivation_id for one in assignments]
    rows = await database.fetch("SELECT id, name FROM derivations WHERE id = ANY ($1)", ids)
    names = {row["id"]: row["name"] for row in rows}
    return [names[one] for one in ids]


def slots(**fields: Any) -> Slots:
    given: dict[str, Any] = {"name": "local", "systems": LINUX, "max_jobs": 2}
    return Slots(**(given | fields))


async def test_a_crowd_that_nobody_can_build_keeps_nobody_waiting(database: Database) -> None:
    crowd: dict[str, list[str]] = {f"arm{number}": [] for number in range(300)}
    await insert_graph(database, crowd, list(crowd), jobset="arm", system="aarch64-linux")
    await database.execute("UPDATE derivations SET path_length = 1000")
    kvm: dict[str, list[str]] = {f"kvm{number}": [] for number in range(300)}
    await insert_graph(database, kvm, list(kvm), jobset="kvm", required_features=["kvm"])
    await insert_graph(database, {"mine": []}, ["mine"], jobset="mine")
    assert await planned(database, slots()) == ["mine"]


async def test_a_crowd_of_one_jobset_keeps_no_other_waiting(database: Database) -> None:
    crowd: dict[str, list[str]] = {f"crowd{number}": [] for number in range(300)}
    await insert_graph(database, crowd, list(crowd), jobset="crowd", path_length=1000)
    await insert_graph(database, {"mine": []}, ["mine"], jobset="mine")
    assert "mine" in await planned(database, slots())


async def test_the_best_of_each_kind_are_among_what_is_read(database: Database) -> None:
    many: dict[str, list[str]] = {f"d{number}": [] for number in range(50)}
    await insert_graph(database, many, list(many))
    await database.execute("UPDATE derivations SET path_length = 7 WHERE name = 'd33'")
    await database.execute(
        """UPDATE derivation_demands SET global_priority = 1
        WHERE derivation_id = (SELECT id FROM derivations WHERE name = 'd44')"""
    )
    assert await planned(database, slots()) == ["d44", "d33"]


async def test_what_is_not_demanded_not_due_or_about_to_be_claimed_is_not_read(database: Database) -> None:
    rows = await insert_graph(database, {"a": [], "b": [], "c": []}, ["a", "b", "c"])
    await database.execute("DELETE FROM derivation_demands WHERE derivation_id = $1", rows.derivations["a"])
    await database.execute(
        "UPDATE derivations SET next_attempt_at = now() + interval '1 hour' WHERE name = 'b'"
    )
    now: datetime = await database.fetchval("SELECT now()")
    assert await read_candidates(database, [slots()], [rows.derivations["c"]], now) == []
    assert await planned(database, slots()) == ["c"]


async def test_nothing_is_read_when_no_slot_is_free_or_nothing_could_begin(database: Database) -> None:
    await insert_graph(database, {"a": []}, ["a"])
    now: datetime = await database.fetchval("SELECT now()")
    assert await read_candidates(database, [slots(running=2)], [], now) == []
    assert await read_candidates(database, [slots(systems=frozenset({"aarch64-linux"}))], [], now) == []


async def test_a_lost_derivation_names_the_builder_to_avoid_and_all_who_need_it(database: Database) -> None:
    rows = await insert_graph(database, {"a": []}, ["a"])
    await database.execute("UPDATE derivations SET attempts = 1, builder_name = 'big-1'")
    other = await insert_graph(database, {}, [], jobset="other")
    await database.execute(
        "INSERT INTO derivation_demands (derivation_id, jobset_id, local_priority) VALUES ($1, $2, 7)",
        *(rows.derivations["a"], other.jobset_id),
    )
    now: datetime = await database.fetchval("SELECT now()")
    (found,) = await read_candidates(database, [slots()], [], now)
    assert found.avoid == "big-1"
    assert {(one.jobset_id, one.local_priority) for one in found.demands} == {
        (rows.jobset_id, 0),
        (other.jobset_id, 7),
    }


async def test_usage_is_counted_once_for_all_builds_that_share_a_step(database: Database) -> None:
    rows = await insert_graph(database, {"a": []}, ["a"])
    await database.execute(
        """INSERT INTO builds (evaluation_id, job_name, drv_path, status, derivation_id)
        SELECT evaluation_id, 'alias', drv_path, 'pending', derivation_id FROM builds"""
    )
    await database.execute(
        """INSERT INTO build_steps (build_id, step_number, command, started_at, completed_at, derivation_id)
        SELECT id, 1, 'build', now() - interval '2 hours', now() - interval '1 hour', derivation_id FROM builds"""
    )
    await database.execute(
        """INSERT INTO build_steps (build_id, step_number, command, started_at, completed_at, derivation_id)
        SELECT id, 2, 'build', now() - interval '26 hours', now() - interval '25 hours', derivation_id FROM builds"""
    )
    assert await read_usage(database) == {rows.jobset_id: 3600.0}


async def test_slots_count_what_runs_for_all_and_what_is_about_to(database: Database) -> None:
    builder_id = await add_builder(database, "big-1", ssh_uri="ssh://big-1", max_jobs=4)
    await insert_graph(database, {"a": [], "b": []}, ["a"])
    await database.execute(
        "UPDATE derivations SET status = 'running', builder_id = $1 WHERE name = 'a'", builder_id
    )
    (row,) = await list_builders(database)
    assert slots_of(row, starting=1).running == 2


async def test_a_builds_page_says_why_it_waits(database: Database) -> None:
    settings = Settings(nix=NixSettings(system="x86_64-linux"), builders=BuildersSettings(local_jobs=1))
    rows = await insert_graph(database, {"low": [], "high": ["low"]}, ["low", "high"], system="aarch64-linux")
    assert (
        await waiting_reason(database, settings, rows.builds["low"])
        == "No builder has the system aarch64-linux."
    )
    assert await waiting_reason(database, settings, rows.builds["high"]) == "It waits for one input: low."
    await database.execute(
        """UPDATE derivations SET system = 'x86_64-linux', attempts = 1, error_message = 'big-1: connection lost',
        next_attempt_at = now() + interval '1 hour' WHERE name = 'low'"""
    )
    reason = await waiting_reason(database, settings, rows.builds["low"])
    assert (reason or "").startswith("Attempt 1 was lost: big-1: connection lost. The next one is at ")
    await database.execute("UPDATE derivations SET next_attempt_at = now() WHERE name = 'low'")
    reason = await waiting_reason(database, settings, rows.builds["low"])
    assert reason == "A slot is free for it; it begins when its turn comes."
    await database.execute("UPDATE builds SET queued_at = NULL")
    assert "recorded just now" in (await waiting_reason(database, settings, rows.builds["low"]) or "")
    await database.execute("UPDATE builds SET status = 'running'")
    assert await waiting_reason(database, settings, rows.builds["low"]) is None
    assert await waiting_reason(database, settings, uuid.uuid4()) is None
