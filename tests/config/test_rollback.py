"""Rolling back, pausing and resuming, with a service that follows git all the while."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from fc.base.database import Database
from fc.base.errors import ConflictError, InvalidInputError, NotFoundError
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.config import sources
from fc.config.apply import Applied, make_plan
from fc.config.errors import ConfigurationError, PlanChangedError
from fc.config.history import find_revision, resource_history, state_at
from fc.config.pauses import pause, resume
from fc.config.rollback import recompile, roll_back
from fc.config.sources import SOURCE
from fc.config.sync import Synchronizer
from fc.tables.pause_queries import config_pauses
from tests.config.test_apply import put, state
from tests.config.test_sync import following
from tests.support.configuration import WHOLE, project, value_of
from tests.support.repository import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "configuration")


@pytest.fixture
async def synchronizer(
    settings: Settings, database: Database, repository: Repository, tmp_path: Path
) -> Synchronizer:
    directory = tmp_path / "secrets"
    directory.mkdir()
    for name in ("hello-webhook", "github-token", "deploy-key"):
        (directory / name).write_text(value_of(name), encoding="utf-8")
    made = Synchronizer(following(settings, repository), database, Secrets(directory))
    await made.register()
    return made


def revealed(reference: dict[str, Any]) -> str:
    return value_of(reference["secret"])


async def synchronized(database: Database, synchronizer: Synchronizer) -> bool:
    await sources.request_sync(database)
    return await synchronizer.synchronize()


async def back_to(database: Database, named: str) -> Applied:
    async with database.transaction() as connection:
        rebuilt = await state_at(connection, await find_revision(connection, named))
    compiled = recompile(rebuilt, revealed)
    plan = await make_plan(database, SOURCE, compiled.resources)
    applied, _ = await roll_back(
        database, rebuilt, compiled, digest=plan.digest, reason="it broke", by="cli:ada", confirmed=[plan.digest]
    )  # fmt: skip
    return applied


async def rows(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Rows without the inventory, whose lines may be others."""
    return {name: table for name, table in (await state(database)).items() if name != "config_resources"}


async def test_a_rollback_puts_everything_back_and_git_waits_until_it_is_resumed(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    first = repository.commit({"fc.yaml": WHOLE}, "Say hello")
    assert await synchronizer.synchronize()
    before = await rows(database)
    repository.commit(
        {"fc.yaml": WHOLE.replace("branch: main", "branch: next").replace("max_jobs: 8", "max_jobs: 9")}
    )
    assert await synchronized(database, synchronizer)
    after = await rows(database)
    assert after != before

    applied = await back_to(database, first)
    assert applied.plan.summary == {"create": 0, "update": 2, "delete": 0}
    assert await rows(database) == before
    (standing,) = await config_pauses(database)
    assert (standing.reason, standing.paused_by, standing.paused_until) == ("it broke", "cli:ada", None)
    assert standing.pinned_revision_id is not None

    repository.commit({"other.yaml": project("another")})
    assert not await synchronized(database, synchronizer)
    assert await rows(database) == before

    async with database.transaction() as connection:
        assert await resume(connection, SOURCE)
    assert await synchronizer.synchronize()
    assert await config_pauses(database) == []
    now = await rows(database)
    assert now["jobsets"] == after["jobsets"]
    assert len(now["projects"]) == 2


async def test_a_rollback_to_before_a_resource_removes_it_and_brings_back_what_was_removed(
    database: Database,
) -> None:
    await put(database, "roles: {a: {description: first}, b: {description: second}}")
    first = str(await sources.latest_revision(database))
    await put(database, "roles: {b: {description: changed}, c: {description: third}}")
    applied = await back_to(database, first)
    assert applied.plan.summary == {"create": 1, "update": 1, "delete": 1}
    found = await database.fetch("SELECT role_id, description FROM roles ORDER BY role_id")
    assert [tuple(row) for row in found] == [("a", "first"), ("b", "second")]
    assert await config_pauses(database) == []  # Nothing is followed, so nothing is pinned.
    again = await back_to(database, first)
    assert (again.plan.changes, again.revision) == ((), None)


async def test_a_rollback_takes_the_claim_of_a_synchronisation_that_runs(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    commit = repository.commit({"fc.yaml": project("p", main="x")})
    assert await synchronizer.synchronize()
    await sources.request_sync(database)
    held = await sources.claim(database)
    assert held is not None
    await back_to(database, commit)
    with pytest.raises(sources.ClaimLostError):
        async with database.transaction() as connection:
            await sources.hold(connection, held)


async def test_a_plan_that_moved_is_not_rolled_back_to_and_pins_nothing(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    repository.commit({"fc.yaml": project("p", main="x")})
    assert await synchronizer.synchronize()
    async with database.transaction() as connection:
        latest = await sources.latest_revision(connection)
        assert latest is not None
        rebuilt = await state_at(connection, latest)
    compiled = recompile(rebuilt, revealed)
    with pytest.raises(PlanChangedError):
        await roll_back(database, rebuilt, compiled, digest="0" * 64, reason="r", by="cli:ada")
    assert await config_pauses(database) == []


async def test_a_secret_that_is_gone_is_named_before_anything_is_done(database: Database) -> None:
    applied = await put(database, WHOLE)
    assert applied.revision is not None
    async with database.transaction() as connection:
        rebuilt = await state_at(connection, applied.revision)
    with pytest.raises(ConfigurationError, match="deploy-key"):
        recompile(rebuilt, Secrets(Path("/nonexistent")).reveal)


async def test_a_pause_ends_by_itself_or_by_hand(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    repository.commit({"fc.yaml": project("p", main="x")})
    async with database.transaction() as connection:
        await pause(
            connection, SOURCE, reason="move", by="cli:ada", until=datetime.now(UTC) + timedelta(hours=1)
        )
    assert not await synchronized(database, synchronizer)
    await database.execute("UPDATE config_pauses SET paused_until = now()")
    assert await config_pauses(database) == []
    assert await synchronized(database, synchronizer)
    async with database.transaction() as connection:
        assert not await resume(connection, SOURCE)
        await pause(connection, SOURCE, reason="one", by="cli:ada")
        await pause(connection, SOURCE, reason="two", by="cli:bob")
    assert [one.reason for one in await config_pauses(database)] == ["two"]
    assert not await synchronized(database, synchronizer)
    async with database.transaction() as connection:
        assert await resume(connection, SOURCE)
    assert await synchronizer.synchronize()


async def test_a_pin_is_not_turned_into_a_pause_that_ends(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    commit = repository.commit({"fc.yaml": project("p", main="x")})
    assert await synchronizer.synchronize()
    await back_to(database, commit)
    with pytest.raises(ConflictError, match="pinned"):
        async with database.transaction() as connection:
            await pause(connection, SOURCE, reason="r", by="cli:ada")
    assert len(await config_pauses(database)) == 1


async def test_nothing_can_be_paused_where_nothing_is_followed(database: Database) -> None:
    with pytest.raises(ConflictError, match="no configuration repository is followed"):
        async with database.transaction() as connection:
            await pause(connection, SOURCE, reason="r", by="cli:ada")


async def test_revisions_are_found_by_the_beginning_of_their_id_or_commit(database: Database) -> None:
    applied = await put(database, "roles: {a: {description: x}}")
    async with database.transaction() as connection:
        assert await find_revision(connection, str(applied.revision)[:8]) == applied.revision
        assert await find_revision(connection, "cccccc") == applied.revision
        for wrong in ("abc", "ffff0000", "%"):
            with pytest.raises(NotFoundError):
                await find_revision(connection, wrong)


async def test_a_state_after_a_rename_is_rebuilt_under_its_names(database: Database) -> None:
    first = await put(database, project("p", main="x"))
    renamed = project("q", main="x").replace("  q:\n", "  q:\n    renamed_from: p\n")
    second = await put(database, renamed)
    assert first.revision is not None
    assert second.revision is not None
    async with database.transaction() as connection:
        before = await state_at(connection, first.revision)
        after = await state_at(connection, second.revision)
    assert [one.key for one in before.resources] == ["p/main", "p"]
    assert [one.key for one in after.resources] == ["q/main", "q"]
    await back_to(database, str(first.revision))
    assert [row["name"] for row in await database.fetch("SELECT name FROM projects WHERE enabled")] == ["p"]


async def test_a_revision_that_failed_has_no_state(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    commit = repository.commit({"fc.yaml": "nope: 1"})
    assert await synchronizer.synchronize()
    async with database.transaction() as connection:
        revision = await find_revision(connection, commit)
        with pytest.raises(ConflictError, match="was not applied"):
            await state_at(connection, revision)


async def test_the_history_of_a_resource_is_every_change_of_it(database: Database) -> None:
    await put(database, project("p", main="x"))
    await put(database, project("p", main="y"))
    await put(database, project("p"))
    past = await resource_history(database, "jobset", "p/main", limit=10)
    assert [one.action for one in past] == ["delete", "update", "create"]
    assert past[1].before is not None
    assert past[1].after is not None
    assert (past[1].before["branch"], past[1].after["branch"]) == ("x", "y")
    with pytest.raises(InvalidInputError, match="did you mean 'jobset'"):
        await resource_history(database, "jobsets", "p/main", limit=1)
    with pytest.raises(NotFoundError):
        await resource_history(database, "remote-builder", "p", limit=1)
