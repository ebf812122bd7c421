"""Migrations run forward and backward, once, whole or not at all, whoever runs them and however they end."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import asyncpg
import pytest

from fc.base.errors import DatabaseUnavailableError, InvalidInputError, SchemaMismatchError
from fc.tables import migrate, schema_version
from fc.tables.migrate import migrate_down, migrate_up, migration_status
from fc.tables.schema_version import migration_files
from tests.support.catalogue import read_catalogue
from tests.support.waiting import eventually

ALL = tuple(migration_files())
RECORD = {"table migration", "constraint migration.migration_pkey"}
"""What stays when everything is undone: Piccolo's own, empty."""
MIGRATE = """
import asyncio, sys
from fc.tables.migrate import migrate_up
print(*asyncio.run(migrate_up(sys.argv[1])))
"""


async def start_migrating(url: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-c", MIGRATE, url, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


async def recorded(url: str) -> list[str]:
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT name FROM migration WHERE app_name = 'fc' ORDER BY id")
    await connection.close()
    return [row["name"] for row in rows]


def know_only(monkeypatch: pytest.MonkeyPatch, files: dict[str, Path]) -> None:
    for module in (migrate, schema_version):
        monkeypatch.setattr(module, "migration_files", lambda: files)


async def test_every_migration_runs_backward_and_forward_again(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = migration_files()
    before = await read_catalogue(empty_database_url)
    for count, newest in enumerate(ALL, start=1):
        know_only(monkeypatch, {name: files[name] for name in ALL[:count]})
        assert await migrate_up(empty_database_url) == [newest]
        after = await read_catalogue(empty_database_url)

        assert await migrate_down(empty_database_url, None) == [newest]
        undone = await read_catalogue(empty_database_url)
        assert {key: text for key, text in undone.items() if "migration" not in key} == before

        assert await migrate_up(empty_database_url) == [newest]
        assert await read_catalogue(empty_database_url) == after
        before = {key: text for key, text in after.items() if "migration" not in key}


async def test_zero_leaves_an_empty_database(empty_database_url: str) -> None:
    await migrate_up(empty_database_url)

    assert await migrate_down(empty_database_url, "zero") == list(reversed(ALL))

    left = await read_catalogue(empty_database_url)
    assert {key for key in left if not key.startswith("column migration.")} == RECORD
    assert await recorded(empty_database_url) == []
    assert (await migration_status(empty_database_url)).pending == ALL


async def test_going_back_stops_at_the_migration_that_is_named(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    later = tmp_path / "later.py"
    later.write_text(
        "from fc.tables.migration import SqlMigration\n"
        'ID = "2999-01-01T00:00:00"\n'
        'forwards = SqlMigration(ID, "Later", "CREATE TABLE later (id integer)", "DROP TABLE later").manager\n',
        encoding="utf-8",
    )
    know_only(monkeypatch, migration_files() | {"2999-01-01T00:00:00": later})
    await migrate_up(empty_database_url)
    assert "table later" in await read_catalogue(empty_database_url)

    assert await migrate_down(empty_database_url, ALL[-1]) == ["2999-01-01T00:00:00"]

    assert "table later" not in await read_catalogue(empty_database_url)
    assert await recorded(empty_database_url) == list(ALL)


async def test_a_migration_that_fails_leaves_nothing_of_itself(
    empty_database_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text(
        "from fc.tables.migration import SqlMigration\n"
        'ID = "2999-01-01T00:00:00"\n'
        'forwards = SqlMigration(ID, "Broken", "CREATE TABLE half (id integer); SELECT 1/0", "").manager\n',
        encoding="utf-8",
    )
    know_only(monkeypatch, migration_files() | {"2999-01-01T00:00:00": broken})

    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate_up(empty_database_url)

    assert "table half" not in await read_catalogue(empty_database_url)
    assert (await migration_status(empty_database_url)).pending == ("2999-01-01T00:00:00",)


async def test_a_database_that_is_up_to_date_is_left_alone(database_url: str) -> None:
    assert await migrate_up(database_url) == []
    assert await recorded(database_url) == list(ALL)


async def test_databases_migrated_one_after_the_other_keep_their_own_records(
    database_url: str, empty_database_url: str
) -> None:
    assert await migrate_up(database_url) == []
    assert await migrate_up(empty_database_url) == list(ALL)

    assert await recorded(database_url) == list(ALL)
    assert await recorded(empty_database_url) == list(ALL)


async def test_two_tasks_that_migrate_at_once_apply_everything_once(empty_database_url: str) -> None:
    ran = await asyncio.gather(migrate_up(empty_database_url), migrate_up(empty_database_url))

    assert sorted(ran) == [[], list(ALL)]
    assert await recorded(empty_database_url) == list(ALL)


async def test_two_processes_that_migrate_at_once_apply_everything_once(empty_database_url: str) -> None:
    processes = [await start_migrating(empty_database_url) for _ in range(2)]
    outputs = [await process.communicate() for process in processes]

    assert [process.returncode for process in processes] == [0, 0], outputs
    assert sorted(out.decode().split() for out, _ in outputs) == [[], list(ALL)]
    assert await recorded(empty_database_url) == list(ALL)


async def test_a_process_killed_in_the_middle_leaves_the_database_migratable(
    empty_database_url: str, database_url: str
) -> None:
    # Another transaction that makes a table of the same name stops the migration there, halfway.
    obstacle = await asyncpg.connect(empty_database_url)
    transaction = obstacle.transaction()
    await transaction.start()
    await obstacle.execute("CREATE TABLE config_resources (id integer)")
    process = await start_migrating(empty_database_url)
    observer = await asyncpg.connect(empty_database_url)

    async def is_stopped() -> bool:
        assert process.returncode is None
        return bool(
            await observer.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND wait_event_type = 'Lock' AND query LIKE '%CREATE TABLE projects%'"
            )
        )

    await eventually(is_stopped, "the migration waits for the other transaction")
    os.kill(process.pid, signal.SIGKILL)
    await process.communicate()
    await observer.close()
    await transaction.rollback()
    await obstacle.close()

    assert await migrate_up(empty_database_url) == list(ALL)

    assert await read_catalogue(empty_database_url) == await read_catalogue(database_url)


async def test_a_database_of_a_newer_fc_is_refused_in_plain_words(database_url: str) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("INSERT INTO migration (name, app_name) VALUES ('2999-12-31T00:00:00', 'fc')")
    await connection.close()
    before = await read_catalogue(database_url)

    with pytest.raises(
        SchemaMismatchError, match="2999-12-31T00:00:00, which this version of FC does not know"
    ):
        await migrate_up(database_url)
    with pytest.raises(SchemaMismatchError, match="used by a newer FC"):
        await migrate_down(database_url, "zero")

    assert (await migration_status(database_url)).unknown == ("2999-12-31T00:00:00",)
    assert await read_catalogue(database_url) == before


async def test_going_back_to_what_was_never_applied_is_refused(database_url: str) -> None:
    with pytest.raises(
        InvalidInputError, match=f"no applied migration 'yesterday' to go back to; applied: {ALL[0]}"
    ):
        await migrate_down(database_url, "yesterday")


async def test_a_server_that_cannot_be_reached_is_named_without_its_password(tmp_path: Path) -> None:
    url = f"postgresql://fc:hunter2@/postgres?host={tmp_path}"
    for ask in (migrate_up(url), migrate_down(url, None), migration_status(url)):
        with pytest.raises(DatabaseUnavailableError, match=r"check database\.url") as caught:
            await ask
        assert "hunter2" not in str(caught.value)


def test_each_migration_file_has_an_id_of_its_own_that_matches_its_name() -> None:
    folder = next(iter(migration_files().values())).parent
    assert len(list(folder.glob("*.py"))) == len(ALL)
    for migration_id, path in migration_files().items():
        assert path.name.startswith("fc_" + migration_id.partition("T")[0].replace("-", "_"))
