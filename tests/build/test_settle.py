"""Settling: ends reach builds and dependents, once."""

import asyncio
import uuid

import pytest

from fc.base.database import Database
from fc.build.claims import claim, hand_back
from fc.build.settle import Outcome, Output, Product, failing_status, settle
from fc.nix.build_result import BuildResult, BuildStatus
from fc.nix.products import Metric
from fc.tables.build_queries import build_metrics, build_products, build_steps
from tests.build.rows import LOCAL_SLOTS, Rows, build_statuses, derivation_statuses, insert_graph

OUT = "/nix/store/ljdzr8f3z97qi6zbxhngmavcbsh7pr30-low"
BUILT = Outcome(status="built", outputs=(Output("out", OUT, "sha256:x", 120),), exit_code=0)
FAILED = Outcome(status="failed", message="exit code 3", exit_code=1, cacheable=True)
DIAMOND = {"low": [], "left": ["low"], "right": ["low"], "top": ["left", "right"]}


async def run(database: Database, rows: Rows, name: str, outcome: Outcome) -> bool:
    right = await claim(database, rows.derivations[name], LOCAL_SLOTS, "host:1")
    assert right is not None
    return await settle(database, right.derivation_id, outcome, right.token)


async def test_success_reaches_builds_and_makes_dependents_ready(database: Database) -> None:
    rows = await insert_graph(database, DIAMOND, ["low", "top"])
    assert await run(database, rows, "low", BUILT)
    assert await derivation_statuses(database) == {
        "low": "built",
        "left": "ready",
        "right": "ready",
        "top": "pending",
    }
    build = await database.fetchrow("SELECT * FROM builds WHERE job_name = 'low'")
    assert build is not None
    assert (build["status"], build["outputs"], build["build_output_path"]) == ("succeeded", {"out": OUT}, OUT)
    assert build["notification_pending_since"] == build["completed_at"]
    (step,) = await build_steps(database, rows.builds["low"])
    assert (step.status, step.exit_code) == ("succeeded", 0)
    output = await database.fetchrow(
        "SELECT path, nar_hash, nar_size FROM derivation_outputs WHERE path IS NOT NULL"
    )
    assert output is not None
    assert tuple(output) == (OUT, "sha256:x", 120)
    await run(database, rows, "left", BUILT)
    assert (await derivation_statuses(database))["top"] == "pending"
    await run(database, rows, "right", BUILT)
    assert (await derivation_statuses(database))["top"] == "ready"


async def test_a_result_settles_every_build_of_the_derivation(database: Database) -> None:
    rows = await insert_graph(database, {"low": []}, ["low"])
    await database.execute(
        """INSERT INTO builds (evaluation_id, job_name, drv_path, status, derivation_id)
        SELECT evaluation_id, 'alias', drv_path, 'pending', derivation_id FROM builds"""
    )
    outcome = Outcome(
        status="built",
        outputs=BUILT.outputs,
        products=(Product(name="page", path=f"{OUT}/index.html", file_size=7),),
        metrics=(Metric("coverage", 81.5, "%"),),
    )
    await run(database, rows, "low", outcome)
    assert await build_statuses(database) == {"low": "succeeded", "alias": "succeeded"}
    for row in await database.fetch("SELECT id FROM builds"):
        assert [one.name for one in await build_products(database, row["id"])] == ["page"]
        assert [one.value for one in await build_metrics(database, row["id"])] == [81.5]


async def test_failure_fails_everything_above_and_nothing_else(database: Database) -> None:
    rows = await insert_graph(database, {**DIAMOND, "aside": []}, ["top", "left", "aside"])
    await run(database, rows, "low", FAILED)
    assert await derivation_statuses(database) == {
        "low": "failed",
        "left": "dependency_failed",
        "right": "dependency_failed",
        "top": "dependency_failed",
        "aside": "ready",
    }
    assert await build_statuses(database) == {
        "top": "dependency_failed",
        "left": "dependency_failed",
        "aside": "pending",
    }
    top = await database.fetchrow("SELECT * FROM builds WHERE job_name = 'top'")
    assert top is not None
    assert top["error_message"] == "low, which it needs, failed"
    assert top["notification_pending_since"] == top["completed_at"]
    assert await database.fetchval("SELECT count(*) FROM derivation_demands") == 1


@pytest.mark.parametrize(
    ("status", "cacheable", "remembered"),
    [("failed", True, 1), ("failed", False, 0), ("aborted", False, 0), ("timeout", False, 0)],
)
async def test_only_a_builds_own_failure_is_remembered(
    database: Database, status: str, cacheable: bool, remembered: int
) -> None:
    rows = await insert_graph(database, {"low": []}, ["low"])
    await run(database, rows, "low", Outcome(status=status, cacheable=cacheable))
    assert await build_statuses(database) == {"low": status}
    assert await database.fetchval("SELECT count(*) FROM failed_paths_cache") == remembered


async def test_a_late_result_changes_nothing(database: Database) -> None:
    rows = await insert_graph(database, DIAMOND, ["low", "top"])
    right = await claim(database, rows.derivations["low"], LOCAL_SLOTS, "host:1")
    assert right is not None
    await hand_back(database, [right.token], "its process seemed dead")
    assert not await settle(database, right.derivation_id, FAILED, right.token)
    again = await claim(database, rows.derivations["low"], LOCAL_SLOTS, "host:2")
    assert again is not None
    assert not await settle(database, right.derivation_id, FAILED, right.token)
    assert await settle(database, again.derivation_id, BUILT, again.token)
    assert not await settle(database, right.derivation_id, FAILED, right.token)
    assert not await settle(database, again.derivation_id, FAILED, again.token)
    assert await build_statuses(database) == {"low": "succeeded", "top": "pending"}
    assert await database.fetchval("SELECT count(*) FROM failed_paths_cache") == 0


async def test_a_build_that_was_cancelled_stays_so(database: Database) -> None:
    rows = await insert_graph(database, {"low": []}, ["low"])
    right = await claim(database, rows.derivations["low"], LOCAL_SLOTS, "host:1")
    assert right is not None
    await database.execute("UPDATE builds SET status = 'cancelled'")
    assert await settle(database, right.derivation_id, BUILT, right.token)
    assert await build_statuses(database) == {"low": "cancelled"}


async def test_a_short_cut_settles_what_waits_but_not_what_is_being_built(database: Database) -> None:
    rows = await insert_graph(database, DIAMOND, ["low", "left"])
    assert await settle(database, rows.derivations["low"], BUILT)
    assert (await derivation_statuses(database))["left"] == "ready"
    row = await database.fetchrow(
        "SELECT status, started_at, completed_at FROM builds WHERE job_name = 'low'"
    )
    assert row is not None
    assert (row["status"], row["started_at"]) == ("succeeded", None)
    right = await claim(database, rows.derivations["left"], LOCAL_SLOTS, "host:1")
    assert right is not None
    assert not await settle(database, rows.derivations["left"], BUILT)


async def test_settling_again_for_a_new_build_keeps_the_time_of_the_result(database: Database) -> None:
    rows = await insert_graph(database, {"low": []}, ["low"])
    await run(database, rows, "low", BUILT)
    before = await database.fetchval("SELECT completed_at FROM derivations")
    await database.execute("UPDATE builds SET status = 'pending', completed_at = NULL")
    assert await settle(database, rows.derivations["low"], BUILT)
    assert await build_statuses(database) == {"low": "succeeded"}
    assert await database.fetchval("SELECT completed_at FROM derivations") == before


async def test_many_ends_at_once_lose_no_count_and_do_not_block_each_other(database: Database) -> None:
    low = [f"low{number}" for number in range(12)]
    middle = {f"middle{number}": low for number in range(6)}
    lowest: dict[str, list[str]] = {name: [] for name in low}
    rows = await insert_graph(database, {**lowest, **middle, "top": list(middle)}, ["top"])
    await asyncio.gather(*(run(database, rows, name, BUILT) for name in low))
    statuses = await derivation_statuses(database)
    assert {statuses[name] for name in middle} == {"ready"}
    await asyncio.gather(*(run(database, rows, name, BUILT) for name in middle))
    assert (await derivation_statuses(database))["top"] == "ready"
    assert await database.fetchval("SELECT count(DISTINCT step_number) = count(*) FROM build_steps")


@pytest.mark.parametrize(
    ("status", "end"),
    [
        (BuildStatus.PERMANENT_FAILURE, "failed"),
        (BuildStatus.INPUT_REJECTED, "failed"),
        (BuildStatus.OUTPUT_REJECTED, "failed"),
        (BuildStatus.TRANSIENT_FAILURE, None),
        (BuildStatus.MISC_FAILURE, None),
        (BuildStatus.NO_SUBSTITUTERS, None),
        (BuildStatus.CACHED_FAILURE, "cached_failure"),
        (BuildStatus.TIMED_OUT, "timeout"),
        (BuildStatus.DEPENDENCY_FAILED, "dependency_failed"),
        (BuildStatus.LOG_LIMIT_EXCEEDED, "log_limit_exceeded"),
        (BuildStatus.NOT_DETERMINISTIC, "non_deterministic"),
    ],
)
def test_what_nix_says_maps_to_an_end_or_to_another_attempt(status: BuildStatus, end: str | None) -> None:
    assert failing_status(BuildResult(status=status)) == end


async def test_what_is_not_there_cannot_be_settled(database: Database) -> None:
    assert not await settle(database, uuid.uuid4(), BUILT)
