"""Retention: what git removed long ago is deleted with its history, and nothing else."""

import asyncio

import pytest

from fc.base.database import Database
from fc.config.errors import ConfigurationError
from fc.config.hand_declarations import node_of
from fc.config.hand_writes import remove_resource, set_resource
from fc.config.kind_names import kind_named
from fc.config.retention import Retired, retire
from fc.tables.project_queries import find_project, list_jobsets, list_projects, project_removal
from tests.config.test_apply import confirm_and_put, put, state
from tests.support.configuration import WHOLE, project, value_of

DAY = 86400.0
KEPT = "roles: {kept: {description: kept}}"


async def removed(database: Database, text: str, *, days: int) -> None:
    """Apply a text, then take all of it out, as if that had been ``days`` ago."""
    await put(database, text)
    await confirm_and_put(database, KEPT)
    await database.execute(
        "UPDATE config_changes SET created_at = created_at - make_interval(days => $1)", days
    )


async def retired(database: Database, *, retention: float = 90 * DAY) -> list[tuple[str, str]]:
    await database.execute("UPDATE config_turns SET done_at = NULL")
    return [(one.kind, one.key) for one in await retire(database, retention)]


async def test_what_was_removed_long_ago_is_deleted_with_what_hangs_on_it(database: Database) -> None:
    await removed(database, WHOLE, days=91)
    await database.execute(
        "INSERT INTO evaluations (jobset_id, commit_hash, status) SELECT id, 'c', 'completed' FROM jobsets"
    )
    assert await retired(database) == [
        ("jobset", "hello/main"),
        ("project", "hello"),
        ("remote_builder", "big-1"),
        ("user", "alice"),
    ]
    left = await state(database)
    assert {name for name, rows in left.items() if rows} == {"roles", "config_resources"}
    assert await database.fetchval("SELECT count(*) FROM evaluations") == 0
    events = await database.fetch("SELECT DISTINCT actor, action FROM audit_events")
    assert [tuple(event) for event in events] == [("fc:retention", "retire")]
    assert await retired(database) == []


@pytest.mark.parametrize(("days", "retention"), [(89, 90 * DAY), (900, 0)])
async def test_what_is_not_over_stays(database: Database, days: int, retention: float) -> None:
    await removed(database, WHOLE, days=days)
    before = await state(database)
    assert await retired(database, retention=retention) == []
    assert await state(database) == before


async def test_it_is_done_once_a_day(database: Database) -> None:
    assert await retired(database) == []
    await removed(database, project("p", main="x"), days=91)
    assert await retire(database, 90 * DAY) == []
    await database.execute("UPDATE config_turns SET done_at = now() - interval '25 hours'")
    assert await retire(database, 90 * DAY) == [Retired("jobset", "p/main"), Retired("project", "p")]


async def test_a_large_removal_takes_several_turns(database: Database) -> None:
    text = "users:\n" + "".join(f"  u{number}: {{email: u{number}@example.org}}\n" for number in range(45))
    await removed(database, text, days=91)
    turns = [len(await retire(database, 90 * DAY)) for _ in range(4)]
    assert turns == [20, 20, 5, 0]


async def test_what_is_wanted_again_stays(database: Database) -> None:
    text = "users:\n" + "".join(
        f"  {name}: {{email: {name}@example.org}}\n" for name in ("git", "hand", "sql", "key")
    )
    await removed(database, text, days=91)
    await put(database, f"{KEPT}\nusers: {{git: {{email: git@example.org}}}}")
    user = kind_named("user")
    body = node_of({"email": "hand@example.org"})
    await set_resource(database, user, "hand", body, lambda one: value_of(one["secret"]), actor="a")
    await remove_resource(database, user, "hand", actor="a")
    await database.execute("UPDATE users SET enabled = true WHERE username = 'sql'")
    await database.execute(
        "INSERT INTO api_keys (name, key_hash, user_id) SELECT 'k', 'h', id FROM users WHERE username = 'key'"
    )
    assert await retired(database) == []


async def test_a_project_with_a_jobset_made_by_hand_stays(database: Database) -> None:
    await removed(database, project("p"), days=91)
    await database.execute(
        "INSERT INTO jobsets (project_id, name, nix_expression) SELECT id, 'mine', 'x' FROM projects"
    )
    assert await retired(database) == []


async def test_git_takes_it_back_or_it_is_gone_and_made_anew(database: Database) -> None:
    for _ in range(6):
        await removed(database, project("p", main="x"), days=91)
        await database.execute("UPDATE config_turns SET done_at = NULL")
        try:
            await asyncio.gather(
                retire(database, 90 * DAY), put(database, f"{KEPT}\n{project('p', main='x')}")
            )
        except ConfigurationError:
            await put(database, f"{KEPT}\n{project('p', main='x')}")
        assert await database.fetchval("SELECT enabled FROM projects") is True
        assert await database.fetchval("SELECT state FROM jobsets") == "enabled"
        await confirm_and_put(database, KEPT)
        await database.execute("DELETE FROM projects")


async def test_archived_projects_are_not_listed_but_still_open(database: Database) -> None:
    text = project("gone", main="x") + project("off", main="x").removeprefix("projects:\n").replace(
        "repository_url", "enabled: false\n    repository_url"
    )
    await put(database, text)
    applied = await confirm_and_put(
        database, project("off", main="x").replace("repository_url", "enabled: false\n    repository_url")
    )
    await database.execute(
        "INSERT INTO projects (name, repository_url, enabled) VALUES ('hand', 'https://example.org/x.git', false)"
    )
    assert [one.name for one in await list_projects(database)] == ["hand", "off"]
    assert {one.project for one in await list_jobsets(database)} == {"off"}
    gone = await find_project(database, "gone")
    assert gone is not None
    assert [one.name for one in await list_jobsets(database, gone.id)] == ["main"]
    removal = await project_removal(database, gone.id)
    assert removal is not None
    assert removal.revision_id == applied.revision
    for one in await list_projects(database):
        assert await project_removal(database, one.id) is None
