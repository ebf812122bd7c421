"""The database a command works on: the one of the settings, or the embedded one, running or not."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from fc.base.data_dir import DataDirLock, prepare_data_dir
from fc.base.database import Database
from fc.base.embedded import EmbeddedPostgres
from fc.base.errors import ConflictError, SchemaMismatchError
from fc.base.settings import Settings
from fc.tables.schema_version import schema_version


@contextmanager
def database_url(settings: Settings) -> Iterator[str]:
    """URL of the database while the block runs.

    Without ``database.url`` it is the embedded PostgreSQL: the running service's own, else one started for this
    command alone and stopped after it.
    """
    if settings.database.url is not None:
        yield settings.database.url
        return
    data_dir = prepare_data_dir(settings.data_dir)
    postgres = EmbeddedPostgres(data_dir / "postgres")
    lock = DataDirLock(data_dir)
    try:
        lock.acquire()
    except ConflictError:
        yield postgres.url
        return
    try:
        yield postgres.start()
    finally:
        postgres.stop()
        lock.release()


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Database]:
    """The database of the settings, checked to be of this program's schema."""
    with database_url(settings) as url:
        database = await Database.connect(url, size=2)
        try:
            async with database.transaction() as connection:
                version = await schema_version(connection)
            version.require_known()
            if version.pending:
                message = f"the database lacks {len(version.pending)} migrations; run 'fcctl migrate up'"
                raise SchemaMismatchError(message)
            yield database
        finally:
            await database.close()
