"""Drift that is remembered: since when, by whom, until when, and never wrongly while git is applied."""

import asyncio
from typing import Any

import asyncpg
import pytest

from fc.base.database import Database
from fc.config.drift import find_drift
from fc.config.drift_log import look
from tests.config.test_apply import confirm_and_put, put
from tests.support.by_hand import by_hand, psql
from tests.support.configuration import WHOLE, project
from tests.support.waiting import eventually


async def looked(database: Database) -> None:
    assert await look(database, 600, now=True) == "recorded"


async def logged(database: Database) -> list[dict[str, Any]]:
    rows = await database.fetch("SELECT * FROM config_drift ORDER BY kind, key, since")
    return [dict(row) for row in rows]


def who(rows: list[dict[str, Any]]) -> dict[tuple[str, str], str | None]:
    return {(row["kind"], row["key"]): row["actor"] and row["actor"].partition(" ")[2] for row in rows}


async def test_drift_is_remembered_with_its_fields_since_when_and_by_whom(
    database: Database, database_url: str
) -> None:
    await put(database, project("p", main="x"))
    await by_hand(database_url, "UPDATE jobsets SET branch = 'y'")
    await looked(database)
    (row,) = await logged(database)
    event = await database.fetchrow("SELECT actor, created_at FROM audit_events")
    assert event is not None
    assert (row["kind"], row["key"], row["file"], row["line"], row["missing"]) == (
        "jobset",
        "p/main",
        "fc.yaml",
        5,
        False,
    )
    assert row["fields"] == [{"field": "branch", "declared": "x", "found": "y"}]
    assert (row["actor"], row["since"], row["ended_at"]) == (event["actor"], event["created_at"], None)


async def test_the_same_drift_is_one_row_however_often_it_is_seen(
    database: Database, database_url: str
) -> None:
    await put(database, project("p", main="x"))
    await by_hand(database_url, "UPDATE jobsets SET branch = 'y'", program="ada")
    await looked(database)
    before = await logged(database)
    await looked(database)
    assert await logged(database) == before
    await by_hand(database_url, "UPDATE jobsets SET keep_nr = 9", program="bob")
    await looked(database)
    (row,) = await logged(database)
    assert [one["field"] for one in row["fields"]] == ["branch", "keep_nr"]
    assert (row["since"], who([row])) == (before[0]["since"], {("jobset", "p/main"): "(bob)"})


async def test_drift_that_is_put_back_by_hand_is_over_and_may_come_again(
    database: Database, database_url: str
) -> None:
    await put(database, project("p", main="x"))
    for branch in ("y", "x", "z"):
        await by_hand(database_url, f"UPDATE jobsets SET branch = '{branch}'")
        await looked(database)
    first, second = await logged(database)
    assert (first["outcome"], second["outcome"]) == ("gone", None)
    assert first["ended_at"] <= second["since"]


async def test_git_ends_drift_in_the_transaction_that_changes_the_row(
    database: Database, database_url: str
) -> None:
    await put(database, project("p", main="x", other="x"))
    await by_hand(database_url, "UPDATE jobsets SET keep_nr = 9")
    await looked(database)
    await put(database, project("p", main="new", other="x"))
    assert [(row["key"], row["outcome"]) for row in await logged(database)] == [
        ("p/main", "gone"),
        ("p/other", None),
    ]
    await confirm_and_put(database, project("p", main="new"))
    assert [row["outcome"] for row in await logged(database)] == ["gone", "gone"]


async def test_what_went_with_a_project_has_the_same_culprit(database: Database, database_url: str) -> None:
    await put(database, WHOLE)
    await by_hand(database_url, "DELETE FROM projects", program="ada")
    await by_hand(database_url, "DELETE FROM users", program="bob")
    await looked(database)
    rows = await logged(database)
    assert {row["key"].partition("/")[0] for row in rows} == {"hello", "alice", "deploy-bot"}
    by = who(rows)
    assert {one: name for one, name in by.items() if name == "(bob)"}.keys() == {
        ("user", "alice"),
        ("api_key", "deploy-bot"),
        ("member", "hello/alice"),
    }
    assert set(by.values()) == {"(ada)", "(bob)"}


async def test_truncate_has_a_culprit(database: Database, database_url: str) -> None:
    await put(database, WHOLE)
    await by_hand(database_url, "TRUNCATE projects CASCADE", program="ada")
    await looked(database)
    assert set(who(await logged(database)).values()) == {"(ada)"}


async def test_an_older_event_is_not_blamed_for_a_later_change(database: Database, database_url: str) -> None:
    await put(database, project("p", main="x"))
    await by_hand(database_url, "UPDATE jobsets SET branch = 'y'", program="ada")
    await put(database, project("p", main="z"))
    await by_hand(
        database_url,
        "SET session_replication_role = replica; UPDATE jobsets SET branch = 'w'",
        program="bob",
    )
    await looked(database)
    (row,) = await logged(database)
    assert (row["fields"][0]["found"], row["actor"]) == ("w", None)


async def test_sql_that_passes_triggers_by_is_found_when_it_is_due(
    database: Database, database_url: str
) -> None:
    await put(database, project("p", main="x"))
    await looked(database)
    await by_hand(database_url, "SET session_replication_role = replica; DELETE FROM jobsets")
    assert await look(database, 600, now=False) == "not due"
    await database.execute("UPDATE config_turns SET done_at = now() - interval '11 minutes'")
    assert await look(database, 600, now=False) == "recorded"
    assert [(row["key"], row["missing"], row["actor"]) for row in await logged(database)] == [
        ("p/main", True, None)
    ]


async def test_two_at_once_record_everything_once(database: Database, database_url: str) -> None:
    await put(database, project("p", **{f"j{number}": "x" for number in range(30)}))
    await by_hand(database_url, "UPDATE jobsets SET branch = 'y'")
    answers = await asyncio.gather(*(look(database, 600, now=True) for _ in range(5)))
    assert "recorded" in answers
    assert set(answers) <= {"recorded", "busy", "again"}
    assert len(await logged(database)) == 30


async def test_while_git_is_applied_nothing_has_drifted(database: Database) -> None:
    text = project("p", **{f"j{number}": "x" for number in range(40)})
    await put(database, text)
    ended = asyncio.Event()
    seen: list[str] = []

    async def watch() -> None:
        while not ended.is_set():
            async with database.snapshot() as connection:
                seen.extend(one.key for one in await find_drift(connection))

    watching = asyncio.create_task(watch())
    for number in range(12):
        await put(database, text.replace("branch: x", f"branch: b{number}"))
    ended.set()
    await watching
    assert seen == []


async def test_sql_during_an_application_is_found_afterwards(database: Database, database_url: str) -> None:
    await put(database, project("p", main="x", other="x"))
    async with psql(database_url) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("UPDATE jobsets SET keep_nr = 9 WHERE name = 'other'")
        applying = asyncio.create_task(put(database, project("p", main="new", other="new")))

        async def waits() -> bool:
            return bool(
                await database.fetchval(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
                )
            )

        await eventually(waits, "the application waits for the row")
        await looked(database)
        assert await logged(database) == []
        await transaction.commit()
    await applying
    await looked(database)
    assert await logged(database) == [], "git wrote the whole row after the person did"


async def test_whoever_applies_never_waits_for_a_comparison(database: Database, database_url: str) -> None:
    await put(database, project("p", main="x"))
    await by_hand(database_url, "UPDATE jobsets SET branch = 'y'")
    await looked(database)
    # An application that has ended the drift but is not committed.
    async with database.transaction() as connection:
        await connection.execute("UPDATE config_drift SET ended_at = now(), outcome = 'gone'")
        await by_hand(database_url, "UPDATE jobsets SET branch = 'z'")
        assert await look(database, 600, now=True) == "again"
    await looked(database)
    assert [row["outcome"] for row in await logged(database)] == ["gone", None]


async def test_one_open_row_for_each_resource(database: Database, database_url: str) -> None:
    await put(database, project("p", main="x"))
    await by_hand(database_url, "UPDATE jobsets SET branch = 'y'")
    await looked(database)
    with pytest.raises(asyncpg.UniqueViolationError):
        await database.execute(
            "INSERT INTO config_drift (source, kind, key, file, line, missing) SELECT source, kind, key, file, line, missing FROM config_drift"
        )


async def test_hostile_values_are_shown_and_break_nothing(database: Database, database_url: str) -> None:
    await put(database, WHOLE)
    deep = "[" * 3000 + "]" * 3000
    huge = "9" * 6000
    await by_hand(
        database_url,
        "UPDATE notification_configs SET config = '[1, 2]'",
        "UPDATE webhook_configs SET secret = '\"the secret in plain text\"'",
        f"UPDATE worker_pools SET config = '{{\"builders\": {deep}}}'",
        f"UPDATE roles SET scopes = '{huge}', description = repeat('x', 100000)",
        "UPDATE users SET full_name = E'\\u202e<script>alert(1)</script>'",
    )
    await looked(database)
    rows = {row["kind"]: row for row in await logged(database)}
    assert rows.keys() == {"notification", "webhook", "worker_pool", "role", "user"}
    assert "plain text" not in repr(rows)
    assert max(len(repr(row["fields"])) for row in rows.values()) < 10000


@pytest.mark.parametrize(
    ("change", "kind", "field"),
    [
        ("UPDATE api_keys SET key_hash = repeat('a', 64)", "api_key", "key"),
        ("UPDATE webhook_configs SET secret_hash = repeat('a', 64)", "webhook", "secret"),
        ("UPDATE webhook_configs SET secret_hash = NULL", "webhook", "secret"),
        (
            'UPDATE notification_configs SET config = config || \'{"token": "ghp_plain"}\'',
            "notification",
            "token",
        ),
        (
            'UPDATE notification_configs SET config = config || \'{"token": {"secret": "x", "also": "ghp_plain"}}\'',
            "notification",
            "token",
        ),
    ],
)
async def test_a_secret_changed_by_hand_is_found_and_never_shown(
    database: Database, database_url: str, change: str, kind: str, field: str
) -> None:
    await put(database, WHOLE)
    await by_hand(database_url, change)
    await looked(database)
    (row,) = await logged(database)
    assert (row["kind"], [one["field"] for one in row["fields"]]) == (kind, [field])
    assert "ghp_plain" not in repr(row)
    assert "aaaa" not in repr(row)
