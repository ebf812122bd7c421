"""What is written by hand is noted by triggers: who, what, and nothing of what FC itself writes."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from fc.base.database import Database
from fc.base.notify import HAND_WRITES, Listener
from fc.config.rows import RULES
from tests.config.test_apply import confirm_and_put, put
from tests.support.by_hand import by_hand, psql
from tests.support.configuration import WHOLE, project
from tests.support.waiting import eventually


async def events(database: Database) -> list[tuple[Any, ...]]:
    rows = await database.fetch(
        "SELECT actor, kind, key, details FROM audit_events WHERE action = 'sql' ORDER BY kind, key, created_at"
    )
    return [
        (row["actor"].partition(" ")[2], row["kind"], row["key"], row["details"]["statement"]) for row in rows
    ]


async def test_a_change_of_a_declared_column_is_noted_with_who_did_it(
    database: Database, database_url: str
) -> None:
    await put(database, WHOLE)
    await by_hand(database_url, "UPDATE jobsets SET keep_nr = 9")
    await by_hand(database_url, "UPDATE users SET role = 'admin'", program="")
    user = await database.fetchval("SELECT session_user")
    rows = await database.fetch(
        "SELECT actor, action, kind, key, details FROM audit_events ORDER BY created_at"
    )
    assert [tuple(row) for row in rows] == [
        (f"sql:{user} (psql)", "sql", "jobset", "hello/main", {"statement": "update"}),
        (f"sql:{user}", "sql", "user", "alice", {"statement": "update"}),
    ]


async def test_nothing_that_fc_itself_does_is_noted(database: Database) -> None:
    await put(database, WHOLE)
    await put(database, WHOLE.replace("max_jobs: 8", "max_jobs: 9").replace("branch: main", "branch: other"))
    await database.execute("UPDATE jobsets SET state = 'disabled'")
    await confirm_and_put(database, project("p"))
    assert await events(database) == []


async def test_columns_that_are_not_declared_and_values_that_stay_are_not_noted(
    database: Database, database_url: str
) -> None:
    await put(database, WHOLE)
    await by_hand(
        database_url,
        "UPDATE jobsets SET next_check_at = now(), last_error = 'x', keep_nr = keep_nr",
        "UPDATE remote_builders SET consecutive_failures = 3, last_error = 'x', last_seen_at = now()",
        "UPDATE channels SET updated_at = now(), jobset_id = jobset_id",
        "UPDATE api_keys SET last_used_at = now()",
    )
    assert await events(database) == []


async def test_what_goes_with_a_project_is_noted_as_far_as_it_can_be_named(
    database: Database, database_url: str
) -> None:
    await put(database, WHOLE)
    await by_hand(database_url, "DELETE FROM projects")
    assert await events(database) == [("(psql)", "project", "hello", "delete")]


async def test_a_deleted_user_is_noted_with_the_key_that_acted_for_it(
    database: Database, database_url: str
) -> None:
    await put(database, WHOLE)
    await by_hand(database_url, "DELETE FROM users")
    assert await events(database) == [
        ("(psql)", "api_key", "deploy-bot", "update"),
        ("(psql)", "user", "alice", "delete"),
    ]


async def test_truncate_is_noted_for_every_table_it_empties(database: Database, database_url: str) -> None:
    await put(database, WHOLE)
    await by_hand(database_url, "TRUNCATE jobsets CASCADE")
    found = await events(database)
    assert ("(psql)", "jobset", "*", "truncate") in found
    assert ("(psql)", "channel", "*", "truncate") in found
    assert {event[2:] for event in found} == {("*", "truncate")}


async def test_every_kind_is_noted_by_its_key(database: Database, database_url: str) -> None:
    await put(database, WHOLE)
    for rule in RULES.values():
        await by_hand(database_url, f"DELETE FROM {rule.table}") if rule.table not in {
            "projects",
            "jobsets",
            "users",
        } else None
    await by_hand(database_url, "DELETE FROM jobsets", "DELETE FROM projects", "DELETE FROM users")
    owned = await database.fetch("SELECT kind, key FROM config_resources ORDER BY kind, key")
    assert [event[1:3] for event in await events(database)] == [tuple(row) for row in owned]


async def test_somebody_without_rights_to_the_audit_trail_is_noted_too(
    database: Database, database_url: str
) -> None:
    await put(database, WHOLE)
    async with psql(database_url) as connection, connection.transaction():
        await connection.execute("CREATE ROLE hand_writer")
        await connection.execute("GRANT SELECT, UPDATE ON jobsets, projects TO hand_writer")
        await connection.execute("SET LOCAL ROLE hand_writer")
        await connection.execute("UPDATE jobsets SET keep_nr = 9")
        await connection.execute("RESET ROLE")
        await connection.execute("REVOKE ALL ON jobsets, projects FROM hand_writer")
        await connection.execute("DROP ROLE hand_writer")
    assert [event[1:] for event in await events(database)] == [("jobset", "hello/main", "update")]


async def test_a_notice_wakes_whoever_waits(database: Database, database_url: str) -> None:
    await put(database, WHOLE)
    listener = Listener(database_url)
    await listener.start()
    heard = asyncio.Event()
    try:
        with listener.subscribe(heard, (HAND_WRITES,)):
            await asyncio.sleep(0)
            heard.clear()
            await by_hand(database_url, "UPDATE jobsets SET keep_nr = 9")

            async def noticed() -> bool:
                return heard.is_set()

            await eventually(noticed, "the notice")
    finally:
        with suppress(asyncio.CancelledError):
            await listener.close()


@pytest.mark.parametrize("kind", RULES)
async def test_the_triggers_know_every_declared_column(database: Database, kind: str) -> None:
    rule = RULES[kind]
    rows = await database.fetch(
        """SELECT a.attname FROM pg_trigger t
        JOIN pg_attribute a ON a.attrelid = t.tgrelid AND a.attnum = ANY(t.tgattr)
        WHERE t.tgname = $1""",
        f"trg_{rule.table}_hand_update",
    )
    assert {row["attname"] for row in rows} == {*rule.values, *rule.identity}
