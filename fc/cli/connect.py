"""The database a command works on: the one of the settings, or the embedded one, running or not."""

from collections.abc import Iterator
from contextlib import contextmanager

from fc.base.data_dir import DataDirLock, prepare_data_dir
from fc.base.embedded import EmbeddedPostgres
from fc.base.errors import ConflictError
from fc.base.settings import Settings


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
