"""Who owns what when both the central configuration and a project's own file speak of it, and when projects change."""

from pathlib import Path
from typing import Any

import pytest

from fc.base.database import Database
from fc.base.settings import Settings
from fc.config.apply import make_plan
from fc.config.drift import find_drift
from fc.config.export import export_text
from fc.config.history import find_revision, live_state, state_at
from fc.config.rollback import recompile, roll_back
from fc.tables.configuration_queries import config_revisions
from tests.support.configuration import compiled, shown
from tests.support.delegating import ADMIN, JOBSETS, Delegating, delegating

INPUTS = "jobsets:\n  main:\n    nix_expression: hydraJobs\n    inputs: {a: {type: string, value: x}, b: {type: string, value: y}}\n"
CENTRAL = "    jobsets:\n      main: {nix_expression: central, inputs: {a: {type: string, value: z}}}\n"


@pytest.fixture
def both(settings: Settings, database: Database, tmp_path: Path) -> Delegating:
    return Delegating(settings, database, tmp_path)


async def actions(both: Delegating, key: str) -> list[str]:
    """What happened to a jobset, in order."""
    rows = await both.database.fetch(
        "SELECT action FROM config_changes WHERE kind = 'jobset' AND key = $1 ORDER BY created_at", key
    )
    return [row["action"] for row in rows]


async def drift(both: Delegating) -> list[Any]:
    async with both.database.transaction() as connection:
        return list(await find_drift(connection))


async def test_what_a_project_delegates_is_stored_compared_and_exported_as_it_was_declared(
    both: Delegating,
) -> None:
    text = delegating(both.hello.url, delegate="{channels: true, limits: {max_jobsets: 3, ssh_inputs: true}}")
    assert (await both.declare(text)).status == "synced"
    assert await drift(both) == []
    async with both.database.transaction() as connection:
        exported = export_text(await live_state(connection, "default"))
    assert (
        compiled(exported).resources["project", "hello"].fields
        == compiled(text).resources["project", "hello"].fields
    )
    await both.database.execute("""UPDATE projects SET delegate = '{"jobsets": true}'""")
    assert [[field.field for field in one.fields] for one in await drift(both)] == [["delegate"]]


async def test_what_the_central_configuration_declares_the_file_cannot(both: Delegating) -> None:
    await both.declare(delegating(both.hello.url) + CENTRAL)
    found = await both.push(JOBSETS)
    assert shown(found.errors) == [
        ".fc.yaml:2:3: jobset 'hello/main' belongs to another configuration source (default: fc.yaml:7)"
    ]
    assert (await both.owners())["jobset hello/main"] == "default"


async def test_the_central_configuration_takes_over_what_the_file_owned(both: Delegating) -> None:
    await both.declare()
    await both.push(INPUTS)
    before = await both.database.fetchval("SELECT id FROM jobsets")
    assert (await both.declare(delegating(both.hello.url) + CENTRAL)).status == "synced"
    assert await both.owners() == {"input hello/main/a": "default", "jobset hello/main": "default"}
    rows = await both.database.fetch("SELECT id, nix_expression FROM jobsets")
    assert [(row["id"], row["nix_expression"]) for row in rows] == [(before, "central")]
    assert await both.database.fetchval("SELECT array_agg(value) FROM jobset_inputs") == ["z"]
    assert await actions(both, "hello/main") == ["create", "delete", "adopt"]
    assert await drift(both) == []
    assert await both.synchronize()
    found = await both.state()
    assert found.status == "failed"
    assert "belongs to another configuration source (default: fc.yaml:7)" in found.errors[0].message
    assert found.applied_commit == both.hello.head()
    assert (await both.declare(delegating(both.hello.url))).status == "synced"
    assert (await both.look()).status == "synced"
    assert await both.jobsets() == {"hello/main": True}


async def test_the_central_configuration_does_not_rest_on_what_a_file_owns(both: Delegating) -> None:
    await both.declare()
    await both.push(JOBSETS)
    found = await both.declare(delegating(both.hello.url) + "    channels: {stable: {jobset: main}}\n")
    assert "there is no jobset 'main'" in found.errors[0].message


async def test_a_channel_of_the_file_may_follow_a_central_jobset(both: Delegating) -> None:
    await both.declare(delegating(both.hello.url) + CENTRAL)
    assert (await both.push("channels: {stable: {jobset: main}}\n")).status == "synced"
    assert (await both.declare(delegating(both.hello.url))).status == "synced"
    assert await both.synchronize()
    assert "there is no jobset 'main'" in (await both.state()).errors[0].message


@pytest.mark.parametrize("said", ["", "{jobsets: false}"])
async def test_what_is_delegated_no_more_is_archived_and_its_source_goes(both: Delegating, said: str) -> None:
    limits = "{jobsets: true, channels: true, limits: {on_remove_delete: true}}"
    await both.declare(delegating(both.hello.url, delegate=limits))
    await both.push(INPUTS + "    on_remove: delete\nchannels: {stable: {jobset: main}}\n")
    assert (await both.declare(delegating(both.hello.url, delegate=said))).status == "synced"
    assert await both.jobsets() == {"hello/main": False}
    assert await both.owners() == {}
    assert await both.names() == ["default"]
    assert await both.database.fetchval("SELECT count(*) FROM channels") == 0
    assert await actions(both, "hello/main") == ["create", "delete"]
    await both.declare(delegating(both.hello.url))
    assert (await both.look()).status == "failed"
    assert (await both.push(INPUTS)).status == "synced"
    assert await both.jobsets() == {"hello/main": True}


async def test_a_project_that_is_removed_and_put_back(both: Delegating) -> None:
    await both.declare()
    await both.push(JOBSETS)
    assert (await both.declare(ADMIN)).status == "synced"
    assert await both.names() == ["default"]
    assert await both.jobsets() == {"hello/main": False}
    assert await drift(both) == []
    await both.declare()
    assert (await both.look()).status == "synced"
    assert await both.jobsets() == {"hello/main": True}


async def test_a_project_that_is_deleted_for_good_leaves_no_owner_behind(both: Delegating) -> None:
    await both.declare(delegating(both.hello.url) + "    on_remove: delete\n")
    await both.push(JOBSETS)
    await both.declare(ADMIN)
    assert await both.names() == ["default"]
    assert await both.jobsets() == {}
    assert await both.owners() == {}
    await both.declare()
    assert (await both.look()).status == "synced"
    assert await both.jobsets() == {"hello/main": True}


async def test_a_project_that_is_renamed_takes_its_file_along(both: Delegating) -> None:
    await both.declare()
    await both.push(INPUTS)
    revision = await both.database.fetchval("SELECT id FROM config_revisions WHERE source = 'project/hello'")
    await both.declare(delegating(both.hello.url, "greeting") + "    renamed_from: hello\n")
    assert await both.names() == ["default", "project/greeting"]
    assert await both.owners() == {
        "input greeting/main/a": "project/greeting",
        "input greeting/main/b": "project/greeting",
        "jobset greeting/main": "project/greeting",
    }
    assert await drift(both) == []
    assert await both.synchronize()
    assert (await both.state("project/greeting")).status == "synced"
    assert await both.jobsets() == {"greeting/main": True}
    async with both.database.transaction() as connection:
        assert {one.key for one in (await state_at(connection, revision)).resources} >= {"hello/main"}
        latest = await both.database.fetchval(
            "SELECT id FROM config_revisions WHERE source = 'project/greeting' ORDER BY created_at DESC LIMIT 1"
        )
        assert {one.key for one in (await state_at(connection, latest)).resources} == {
            "greeting/main",
            "greeting/main/a",
            "greeting/main/b",
        }


async def test_another_repository_is_looked_at_at_once(both: Delegating, tmp_path: Path) -> None:
    await both.declare()
    await both.push(JOBSETS)
    both.hello.path.rename(tmp_path / "moved")
    await both.declare(delegating(f"file://{tmp_path}/moved"))
    assert await both.synchronize()
    found = await both.state()
    assert (found.status, found.url) == ("synced", f"file://{tmp_path}/moved")


async def test_a_disabled_project_is_not_followed(both: Delegating) -> None:
    await both.declare()
    await both.push(JOBSETS)
    await both.declare(delegating(both.hello.url) + "    enabled: false\n")
    assert not await both.synchronize()
    assert (await both.owners())["jobset hello/main"] == "project/hello"


async def test_a_project_s_file_is_rolled_back_like_any_source(both: Delegating) -> None:
    await both.declare()
    await both.push(INPUTS)
    async with both.database.transaction() as connection:
        first = await find_revision(connection, both.hello.head())
        assert export_text(await live_state(connection, "project/hello")).startswith("jobsets:\n  main:\n")
    await both.push(JOBSETS)
    async with both.database.transaction() as connection:
        rebuilt = await state_at(connection, first)
    before = recompile(rebuilt, str)
    plan = await make_plan(both.database, rebuilt.source, before.resources)
    _, pinned = await roll_back(
        both.database, rebuilt, before, digest=plan.digest, reason="it broke", by="cli:ada"
    )
    assert pinned
    assert "input hello/main/a" in await both.owners()
    both.hello.commit({".fc.yaml": JOBSETS + "  more: {nix_expression: x}\n"})
    await both.database.execute("UPDATE config_sources SET next_sync_at = now(), sync_requested_at = now()")
    assert not await both.synchronize()
    assert len(await config_revisions(both.database)) == 4
