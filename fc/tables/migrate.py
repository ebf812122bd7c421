"""Running migrations: forward and backward, one at a time, each in one transaction with its record."""

import contextlib
import importlib.util
import io
import os
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import asyncpg
from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.apps.migrations.tables import Migration
from piccolo.engine.postgres import PostgresEngine

from fc.base.database import OWN_SESSION, unavailable
from fc.base.errors import InvalidInputError
from fc.tables import piccolo_conf
from fc.tables.schema_version import SchemaVersion, migration_files, schema_version

_LOCK = 0x4643_0001
"""Advisory lock that one migrating process holds."""


async def migrate_up(url: str) -> list[str]:
    """Run every pending migration; the ids that ran.

    Two processes may call this at once: one works, the other waits and then finds nothing to do.

    Raises:
        DatabaseUnavailableError: the database cannot be reached.
        SchemaMismatchError: the schema is newer than this program.
    """
    async with _locked(url) as (connection, engine):
        version = await schema_version(connection)
        version.require_known()
        if version.pending:
            await Migration.create_table(if_not_exists=True).run()  # type: ignore[no-untyped-call]  # Piccolo's
        for migration_id in version.pending:
            await _run(engine, migration_id, backwards=False)
        return list(version.pending)


async def migrate_down(url: str, to: str | None) -> list[str]:
    """Undo migrations, newest first, down to but not including ``to``; none: only the newest.

    Raises:
        InvalidInputError: ``to`` was never applied.
        SchemaMismatchError: the schema is newer than this program.
    """
    async with _locked(url) as (connection, engine):
        version = await schema_version(connection)
        version.require_known()
        if to is not None and to != "zero" and to not in version.applied:
            known = ", ".join(version.applied) or "none"
            message = (
                f"there is no applied migration {to!r} to go back to; applied: {known}; 'zero' undoes all"
            )
            raise InvalidInputError(message)
        newest_first = list(reversed(version.applied))
        undone = (
            newest_first[:1] if to is None else [name for name in newest_first if to == "zero" or name > to]
        )
        for migration_id in undone:
            await _run(engine, migration_id, backwards=True)
        return undone


async def migration_status(url: str) -> SchemaVersion:
    """Which migrations the database has and lacks."""
    connection = await _connect(url)
    try:
        return await schema_version(connection)
    finally:
        await connection.close()


async def _run(engine: PostgresEngine, migration_id: str, *, backwards: bool) -> None:
    manager: MigrationManager = await _load(migration_files()[migration_id]).forwards()
    # Piccolo prints its progress; FC's output is its own.
    with contextlib.redirect_stdout(io.StringIO()):
        async with engine.transaction():
            await manager.run(backwards=backwards)
            if backwards:
                await (
                    Migration.delete().where(Migration.name == migration_id, Migration.app_name == "fc").run()
                )
            else:
                await Migration.insert(Migration(name=migration_id, app_name="fc")).run()


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"fc_migration_{path.stem}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def _connect(url: str) -> asyncpg.Connection:
    try:
        return await asyncpg.connect(url, timeout=10, server_settings=OWN_SESSION)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
        raise unavailable(url, error) from None


@contextlib.asynccontextmanager
async def _locked(url: str) -> AsyncIterator[tuple[asyncpg.Connection, PostgresEngine]]:
    """A connection that holds the migration lock, and Piccolo pointed at the same database."""
    connection = await _connect(url)
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        # Only the holder of the lock may turn Piccolo to its database: Piccolo knows one engine a process,
        # and a table keeps the first one it has ever seen unless told otherwise.
        os.environ["PICCOLO_CONF"] = "fc.tables.piccolo_conf"
        piccolo_conf.DB = engine = PostgresEngine(
            config={"dsn": url, "server_settings": OWN_SESSION}, extensions=()
        )
        Migration._meta.db = engine  # noqa: SLF001 - Piccolo's documented place for a table's engine
        yield connection, engine
    finally:
        await connection.close()
