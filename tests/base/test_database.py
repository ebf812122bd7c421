"""The pool: JSON as Python values, transactions, and plain words when there is no database."""

import asyncio
import uuid
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from fc.base.database import Database, affected, redact_url
from fc.base.errors import DatabaseUnavailableError


async def test_json_goes_in_and_comes_out_as_python_values(database: Database) -> None:
    values = [
        None,
        True,
        7,
        1.5,
        "text",
        "ümläut \\ \" ' {}",
        [],
        {},
        {"a": [1, {"b": None}], "c": "d"},
        [[], [None]],
    ]
    for value in values:
        assert await database.fetchval("SELECT $1::jsonb", value) == value
        assert await database.fetchval("SELECT $1::json", value) == value


async def test_json_takes_what_rows_are_made_of(database: Database) -> None:
    row = {"id": uuid.UUID(int=7), "at": datetime(2026, 1, 2, tzinfo=UTC)}
    assert await database.fetchval("SELECT $1::jsonb", row) == {
        "id": str(row["id"]),
        "at": "2026-01-02T00:00:00Z",
    }


async def test_an_absent_json_value_is_not_the_json_null(database: Database) -> None:
    assert await database.fetchval("SELECT 'null'::jsonb IS NULL") is False
    assert await database.fetchval("SELECT $1::jsonb IS NULL", None) is True


async def test_every_connection_of_the_pool_knows_json(database: Database) -> None:
    async def held() -> object:
        async with database.transaction() as connection:
            value = await connection.fetchval("SELECT '{\"a\": 1}'::jsonb")
            await barrier.wait()
            return value

    barrier = asyncio.Barrier(3)
    assert list(await asyncio.gather(held(), held(), held())) == [{"a": 1}] * 3


async def test_timestamps_are_aware_and_ids_are_uuids(database: Database) -> None:
    row = await database.fetchrow(
        "INSERT INTO projects (name, repository_url) VALUES ('a', 'b') RETURNING id, created_at"
    )
    assert row is not None
    assert isinstance(row["id"], uuid.UUID)
    assert row["created_at"].tzinfo is not None


async def test_the_verbs_answer_rows_row_value_and_tag(database: Database) -> None:
    sql = "SELECT n, n * 2 AS twice FROM generate_series(1, $1::int) n"
    assert [dict(row) for row in await database.fetch(sql, 2)] == [{"n": 1, "twice": 2}, {"n": 2, "twice": 4}]
    row = await database.fetchrow(sql, 1)
    assert row is not None
    assert row["twice"] == 2
    assert await database.fetchrow(sql, 0) is None
    assert await database.fetchval(sql, 1) == 1
    assert await database.fetchval(sql, 0) is None
    await database.executemany(
        "INSERT INTO projects (name, repository_url) VALUES ($1, '')", [("a",), ("b",)]
    )
    assert affected(await database.execute("UPDATE projects SET description = 'x'")) == 2
    assert affected(await database.execute("DELETE FROM projects WHERE name = 'z'")) == 0


async def test_many_rows_go_in_together_or_not_at_all(database: Database) -> None:
    with pytest.raises(asyncpg.UniqueViolationError):
        await database.executemany(
            "INSERT INTO projects (name, repository_url) VALUES ($1, '')", [("a",), ("a",)]
        )
    assert await database.fetchval("SELECT count(*) FROM projects") == 0


async def test_an_error_undoes_the_transaction(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO projects (name, repository_url) VALUES ('a', '')")
            message = "later"
            raise RuntimeError(message)

    with pytest.raises(RuntimeError, match="later"):
        await fail()
    assert await database.fetchval("SELECT count(*) FROM projects") == 0

    async with database.transaction() as connection:
        await connection.execute("INSERT INTO projects (name, repository_url) VALUES ('a', '')")
        assert await database.fetchval("SELECT count(*) FROM projects") == 0
    assert await database.fetchval("SELECT count(*) FROM projects") == 1


async def test_a_cancelled_task_undoes_its_transaction_and_returns_its_connection(database_url: str) -> None:
    database = await Database.connect(database_url, size=1)
    inside = asyncio.Event()

    async def wait_inside() -> None:
        async with database.transaction() as connection:
            await connection.execute("INSERT INTO projects (name, repository_url) VALUES ('a', '')")
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(wait_inside())
    await inside.wait()
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
    assert await database.fetchval("SELECT count(*) FROM projects") == 0
    await database.close()


async def test_the_pool_recovers_from_a_lost_connection(database_url: str) -> None:
    database = await Database.connect(database_url, size=1)
    pid = await database.fetchval("SELECT pg_backend_pid()")
    other = await asyncpg.connect(database_url)
    assert await other.fetchval("SELECT pg_terminate_backend($1, 10000)", pid)
    await other.close()

    answers = []
    for _ in range(5):
        try:
            answers.append(await database.fetchval("SELECT 1"))
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
            continue
    assert answers[-1] == 1
    await database.close()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (
            "postgresql://fc:hunter2@127.0.0.1:1/fc",
            "postgresql://fc@127.0.0.1:1/fc cannot be used: .*127.0.0.1",
        ),
        ("postgresql://fc:hunter2@nowhere.invalid/fc", "postgresql://fc@nowhere.invalid/fc cannot be used"),
        ("postgresql://fc@127.0.0.1:1/fc?password=hunter2", "postgresql://fc@127.0.0.1:1/fc cannot be used"),
        ("postgresql://fc:hunter2?@127.0.0.1:1/fc", "no valid URL.* it is not written as postgresql://"),
        ("postgresql://fc:hunter2/x@127.0.0.1:1/fc", "it is not written as postgresql://"),
        ("host=127.0.0.1 password=hunter2", "scheme is expected to be"),
        ("hunter2", "scheme is expected to be"),
    ],
)
async def test_no_database_is_said_without_the_password(url: str, reason: str) -> None:
    with pytest.raises(DatabaseUnavailableError, match=reason) as caught:
        await Database.connect(url)
    assert "hunter2" not in str(caught.value)
    assert "check database.url" in str(caught.value)
    assert caught.value.__cause__ is None


async def test_a_database_that_does_not_exist_is_said_to_be_so(postgres_url: str) -> None:
    with pytest.raises(DatabaseUnavailableError, match='database "nowhere" does not exist'):
        await Database.connect(postgres_url.replace("@/postgres?", "@/nowhere?"))


async def test_a_server_that_is_too_old_is_refused(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fc.base.database._OLDEST", (99,))
    with pytest.raises(DatabaseUnavailableError, match=r"is version \d+; FC needs 99 or newer"):
        await Database.connect(database_url)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://fc:secret@h:5432/d", "postgresql://fc@h:5432/d"),
        ("postgresql://fc:se@cret@h/d", "postgresql://fc@h/d"),
        ("postgresql://fc@h/d", "postgresql://fc@h/d"),
        ("postgresql:///d", "postgresql:///d"),
        ("postgresql://h/d?sslmode=require&sslpassword=secret", "postgresql://h/d?sslmode=require"),
        ("postgresql://h/d?PASSWORD=secret", "postgresql://h/d"),
        ("postgresql://fc:sec?ret@h/d", "(no valid URL)"),
        ("secret", "(no valid URL)"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert redact_url(url) == shown


async def test_closing_does_not_wait_for_ever_for_a_connection_in_use(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fc.base.database._CLOSE_SECONDS", 0.1)
    database = await Database.connect(database_url)
    inside = asyncio.Event()

    async def wait_inside() -> None:
        async with database.transaction():
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(wait_inside())
    await inside.wait()
    await database.close()
    task.cancel()
    await asyncio.wait([task])


async def test_a_socket_directory_without_a_server_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseUnavailableError, match=str(tmp_path)):
        await Database.connect(f"postgresql://fc@/postgres?host={tmp_path}")
