"""Jobsets that are renamed in a project's own file, or move between it and the central configuration."""

import uuid
from pathlib import Path
from typing import Any

import pytest

from fc.base.database import Database
from fc.base.settings import Settings
from fc.config.apply import make_plan
from fc.config.drift import find_drift
from fc.config.plan_view import view as plan_view
from fc.config.preview_loop import PreviewLoop
from fc.tables.configuration_queries import ConfigSource
from tests.support.configuration import compiled, shown
from tests.support.delegating import Delegating, delegating
from tests.support.pull_requests import heard, offer, previewing, seen

OWN = "project/hello"
FILE = """jobsets:
  main:
    nix_expression: release.nix
    inputs: {a: {type: string, value: x}}
"""
LEFT = "jobsets:\n  other: {nix_expression: other.nix}\n"
"""What the file says without it: an empty file would be held."""


@pytest.fixture
def both(settings: Settings, database: Database, tmp_path: Path) -> Delegating:
    return Delegating(settings, database, tmp_path)


def central(both: Delegating, jobset: str = "", more: str = "") -> str:
    """The central configuration, with ``jobset`` in the project."""
    kept = "      kept: {nix_expression: kept.nix}\n"
    return f"{delegating(both.hello.url)}    jobsets:\n{kept}{jobset}{more}"


MAIN = "      main: {nix_expression: release.nix, inputs: {a: {type: string, value: x}}}\n"
FOR_GOOD = MAIN.replace("{nix_expression", "{on_remove: delete, nix_expression")


async def built(both: Delegating, jobset: str = "main") -> tuple[uuid.UUID, uuid.UUID]:
    """Give a jobset something to lose: an evaluation with a build; the ids of the jobset and of the build."""
    row = await both.database.fetchrow(
        """WITH e AS (
            INSERT INTO evaluations (jobset_id, commit_hash, status)
            SELECT id, $2, 'completed' FROM jobsets WHERE name = $1 RETURNING id, jobset_id
        ), b AS (
            INSERT INTO builds (evaluation_id, job_name, drv_path, status)
            SELECT id, 'greeting', '/nix/store/x.drv', 'succeeded' FROM e RETURNING id
        ) SELECT e.jobset_id, b.id FROM e, b""",
        jobset,
        "a" * 40,
    )
    assert row is not None
    return row["jobset_id"], row["id"]


async def stands(both: Delegating, jobset: str = "main") -> list[tuple[Any, ...]]:
    """Every jobset of that name with its builds: id, id of the build, whether it is enabled, and its state."""
    rows = await both.database.fetch(
        """SELECT j.id, b.id AS build, j.enabled, j.state FROM jobsets j LEFT JOIN evaluations e ON e.jobset_id = j.id
        LEFT JOIN builds b ON b.evaluation_id = e.id WHERE j.name = $1""",
        jobset,
    )
    return [tuple(row) for row in rows]


async def history(both: Delegating, key: str = "hello/main") -> list[tuple[str, str]]:
    """Who did what to a jobset, in order."""
    rows = await both.database.fetch(
        """SELECT r.source, c.action FROM config_changes c JOIN config_revisions r ON r.id = c.revision_id
        WHERE c.kind = 'jobset' AND c.key = $1 ORDER BY c.created_at""",
        key,
    )
    return [(row["source"], row["action"]) for row in rows]


async def whole(both: Delegating, owner: str, jobset: str = "main") -> None:
    """One owner, one input, nothing that differs from what git says."""
    owners = await both.owners()
    assert owners[f"jobset hello/{jobset}"] == owners[f"input hello/{jobset}/a"] == owner
    rows = await both.database.fetch(
        "SELECT i.name, i.value FROM jobset_inputs i JOIN jobsets j ON j.id = i.jobset_id WHERE j.name = $1",
        jobset,
    )
    assert [tuple(row) for row in rows] == [("a", "x")]
    async with both.database.transaction() as connection:
        assert await find_drift(connection) == []


async def settled(both: Delegating) -> ConfigSource:
    """The file, looked at as often as it asks for."""
    while await both.synchronize():
        pass
    return await both.state()


async def test_a_rename_in_the_file_keeps_the_row_and_its_history(both: Delegating) -> None:
    await both.declare()
    await both.push(f"{FILE}channels: {{stable: {{jobset: main}}}}\n")
    jobset, build = await built(both)
    renamed = FILE.replace("  main:\n", "  trunk:\n    renamed_from: main\n")
    assert (await both.push(f"{renamed}channels: {{stable: {{jobset: trunk}}}}\n")).status == "synced"
    assert await stands(both, "trunk") == [(jobset, build, True, "enabled")]
    assert await both.jobsets() == {"hello/trunk": True}
    await whole(both, OWN, "trunk")
    assert await history(both) == [(OWN, "create"), (OWN, "rename")]
    assert await history(both, "hello/trunk") == [(OWN, "rename")]
    assert await both.database.fetchval("SELECT jobset_id FROM channels") == jobset
    # What is done is no rename any more, whether it is still written or not.
    for text in (f"# done\n{renamed}", FILE.replace("  main:", "  trunk:")):
        assert (await both.push(text)).status == "synced"
    assert await stands(both, "trunk") == [(jobset, build, True, "enabled")]


@pytest.mark.parametrize("taken", ["central", "file", "hand", "archived"])
async def test_a_rename_in_the_file_to_a_name_that_is_taken_is_refused_at_its_place(
    both: Delegating, taken: str
) -> None:
    there = "      trunk: {nix_expression: x}\n"
    await both.declare(central(both, there if taken in {"central", "archived"} else ""))
    if taken == "archived":
        await both.declare(central(both))
    if taken == "hand":
        await both.database.execute(
            "INSERT INTO jobsets (project_id, name, nix_expression) SELECT id, 'trunk', 'x' FROM projects"
        )
    await both.push(FILE + ("  trunk: {nix_expression: x}\n" if taken == "file" else ""))
    jobset, build = await built(both)
    found = await both.push(FILE.replace("  main:\n", "  trunk:\n    renamed_from: main\n"))
    assert found.status == "failed"
    said = {
        "central": "belongs to another configuration source (default: fc.yaml:8)",
        "file": "git owns both 'hello/trunk' and 'hello/main'",
        "hand": "is there already and was not made from git",
        "archived": "is there already",
    }[taken]
    (problem,) = found.errors
    assert (problem.file, problem.line) == (".fc.yaml", 3 if taken == "file" else 2)
    assert said in problem.message
    assert await stands(both) == [(jobset, build, True, "enabled")]
    await whole(both, OWN)


async def test_a_rename_does_not_reach_what_the_other_side_owns(both: Delegating) -> None:
    await both.declare(central(both, MAIN))
    jobset, build = await built(both)
    assert (
        await both.push("jobsets:\n  trunk: {renamed_from: main, nix_expression: x}\n")
    ).status == "synced"
    assert await stands(both) == [(jobset, build, True, "enabled")]
    assert (await both.owners())["jobset hello/main"] == "default"
    fresh, other = await built(both, "trunk")
    assert (
        await both.declare(central(both, MAIN, "      newest: {renamed_from: trunk, nix_expression: x}\n"))
    ).status == "synced"
    assert (await settled(both)).status == "synced"
    assert await stands(both, "trunk") == [(fresh, other, True, "enabled")]
    assert await both.jobsets() == dict.fromkeys(
        ("hello/kept", "hello/main", "hello/newest", "hello/trunk"), True
    )


async def test_to_the_file_removed_centrally_first(both: Delegating) -> None:
    await both.declare(central(both, MAIN))
    jobset, build = await built(both)
    assert (await both.declare(central(both))).status == "synced"
    assert await stands(both) == [(jobset, build, False, "disabled")]
    assert (await both.push(FILE)).status == "synced"
    assert await stands(both) == [(jobset, build, True, "enabled")]
    await whole(both, OWN)
    assert await history(both) == [("default", "create"), ("default", "delete"), (OWN, "create")]


@pytest.mark.parametrize("declared", [MAIN, FOR_GOOD], ids=["archived", "for good"])
async def test_to_the_file_added_there_first(both: Delegating, declared: str) -> None:
    await both.declare(central(both, declared))
    jobset, build = await built(both)
    for _ in range(2):
        found = await both.push(FILE)
        assert found.status == "failed"
        assert (
            ".fc.yaml:2:3: jobset 'hello/main' belongs to another configuration source (default: fc.yaml:8)"
            in (shown(found.errors))
        )
        assert await stands(both) == [(jobset, build, True, "enabled")]
        await whole(both, "default")
    assert (await both.state("default")).status == "synced"
    assert (await both.declare(central(both))).status == "synced"
    found = await settled(both)
    assert (found.status, found.errors) == ("synced", [])
    assert await stands(both) == [(jobset, build, True, "enabled")]
    await whole(both, OWN)
    assert await history(both) == [("default", "create"), ("default", "delete"), (OWN, "create")]


@pytest.mark.parametrize("text", [LEFT, "{}\n"], ids=["removed", "held"])
async def test_to_the_centre_removed_from_the_file_first(both: Delegating, text: str) -> None:
    await both.declare(central(both))
    await both.push(FILE + LEFT.removeprefix("jobsets:\n"))
    jobset, build = await built(both)
    found = await both.push(text)
    assert found.status == ("held" if text == "{}\n" else "synced")
    assert (await both.declare(central(both, MAIN))).status == "synced"
    found = await settled(both)
    assert await stands(both) == [(jobset, build, True, "enabled")]
    await whole(both, "default")
    assert (await both.owners()).get("jobset hello/other") == OWN or text == LEFT
    assert [source for source, _ in (await history(both))][-1] == "default"


@pytest.mark.parametrize("own", ["", "    on_remove: delete\n"], ids=["archived", "for good"])
async def test_to_the_centre_added_there_first(both: Delegating, own: str) -> None:
    limits = "{jobsets: true, limits: {on_remove_delete: true}}"
    text = central(both).replace("{jobsets: true, channels: true}", limits)
    await both.declare(text)
    assert (await both.push(FILE + own + LEFT.removeprefix("jobsets:\n"))).status == "synced"
    jobset, build = await built(both)
    assert (await both.declare(text + MAIN)).status == "synced"
    found = await settled(both)
    assert found.status == "failed"
    assert (
        ".fc.yaml:2:3: jobset 'hello/main' belongs to another configuration source (default: fc.yaml:8)"
        in (shown(found.errors))
    )
    await whole(both, "default")
    assert (await both.push(LEFT)).status == "synced"
    assert await stands(both) == [(jobset, build, True, "enabled")]
    await whole(both, "default")
    assert await history(both) == [(OWN, "create"), (OWN, "delete"), ("default", "adopt")]


async def test_what_the_file_does_not_declare_any_more_goes_for_good_if_it_says_so(both: Delegating) -> None:
    await both.declare(central(both, FOR_GOOD))
    assert (await both.push(FILE)).status == "failed"
    assert (await both.push(LEFT)).status == "synced"
    await built(both)
    assert (await both.declare(central(both))).status == "synced"
    assert await stands(both) == []


async def test_a_plan_says_what_becomes_of_what_is_handed_over(both: Delegating) -> None:
    await both.declare(central(both, FOR_GOOD))
    without = compiled(central(both)).resources
    for text, effect in ((LEFT, "deleted with its history"), (FILE, "disabled, its history is kept")):
        await both.push(text)
        seen = plan_view(await make_plan(both.database, "default", without))
        (shown_effect,) = [one.effect for one in seen.changes if one.kind == "jobset"]
        assert effect in shown_effect


async def test_a_preview_says_what_a_hand_over_does(both: Delegating) -> None:
    await both.declare(central(both, FOR_GOOD))
    await both.push(FILE)
    settings = previewing(both.settings, both.central)
    loop = PreviewLoop(settings, both.database)
    await heard(both.database, offer(both.central, {"fc.yaml": central(both)}))
    assert await loop.turn()
    found = await seen(both.database)
    assert (found.preview.status, [one.effect for one in found.changes if one.kind == "jobset"]) == (
        "planned",
        ["disabled, its history is kept"],
    )
    await both.declare(central(both))
    assert (await settled(both)).status == "synced"
    await heard(both.database, offer(both.central, {"fc.yaml": central(both, MAIN)}, 2), 2)
    while await loop.turn():
        pass
    found = await seen(both.database, 2)
    assert (found.preview.status, [one.action for one in found.changes]) == ("planned", ["adopt", "adopt"])
    assert found.preview.message == "2 to adopt"
    assert (await both.owners())["jobset hello/main"] == OWN


async def test_there_and_back_again_is_as_it_was(both: Delegating) -> None:
    await both.declare(central(both, MAIN))
    jobset, build = await built(both)
    for _ in range(2):
        await both.push(FILE)
        await both.declare(central(both))
        assert (await settled(both)).status == "synced"
        await both.declare(central(both, MAIN))
        assert (await settled(both)).status == "failed"
        await whole(both, "default")
    assert (await both.push(LEFT)).status == "synced"
    assert await stands(both) == [(jobset, build, True, "enabled")]
    assert await both.jobsets() == {"hello/kept": True, "hello/main": True, "hello/other": True}
