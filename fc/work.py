"""The background process: every slice's loops, composed, started and stopped together."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterable

import structlog
import uvloop

from fc.base.database import Database
from fc.base.errors import DatabaseUnavailableError, InvalidInputError
from fc.base.log import configure_logging
from fc.base.looping import Loop, Services, run_loop
from fc.base.nix_cli import Nix
from fc.base.notify import Listener
from fc.base.secrets import secrets_of
from fc.base.settings import Settings
from fc.build.loop import make_loops as build_loops
from fc.cache.loop import make_loops as cache_loops
from fc.config.loop import make_loops as config_loops
from fc.evaluate.loop import make_loops as evaluate_loops
from fc.report.loop import make_loops as report_loops
from fc.tables.schema_version import schema_version

SLICES: dict[str, Callable[[Services], Iterable[Loop]]] = {
    "config": config_loops,
    "evaluate": evaluate_loops,
    "build": build_loops,
    "cache": cache_loops,
    "report": report_loops,
}
"""What ``fcctl work --loops`` chooses from."""

log = structlog.get_logger(__name__)


def run(settings: Settings, slices: Iterable[str] = tuple(SLICES)) -> None:
    """Run the loops of the named slices until SIGTERM or SIGINT.

    Raises:
        InvalidInputError: a slice has no such name.
        DatabaseUnavailableError: the database cannot be reached, or is not migrated.
        EnvironmentMissingError: Nix is missing or cannot build here.
    """
    chosen = tuple(slices)
    unknown = [name for name in chosen if name not in SLICES]
    if unknown:
        message = f"there are no loops named {', '.join(unknown)}; there are: {', '.join(SLICES)}"
        raise InvalidInputError(message)
    configure_logging(settings.log.level, settings.log.form)
    uvloop.run(_run(settings, chosen))


async def _run(settings: Settings, slices: tuple[str, ...]) -> None:
    stop = asyncio.Event()
    running = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        running.add_signal_handler(number, stop.set)
    nix = Nix.discover(settings)
    nix.initialise()
    database = await Database.connect(_url(settings), settings.database.pool_size)
    listener = Listener(_url(settings))
    try:
        await _require_schema(database)
        await listener.start()
        services = Services(
            settings=settings,
            database=database,
            secrets=secrets_of(settings),
            nix=nix,
            worker=f"{socket.gethostname()}:{os.getpid()}",
        )
        loops = [loop for name in slices for loop in SLICES[name](services)]
        log.info("working", loops=[loop.name for loop in loops], nix=nix.version)
        async with asyncio.TaskGroup() as group:
            for loop in loops:
                group.create_task(run_loop(loop, listener, stop), name=loop.name)
        log.info("stopped")
    finally:
        await listener.close()
        await database.close()


def _url(settings: Settings) -> str:
    if settings.database.url is None:
        message = "database.url is not set: 'fcctl serve' runs the embedded PostgreSQL; 'web' and 'work' alone need its URL"
        raise DatabaseUnavailableError(message)
    return settings.database.url


async def _require_schema(database: Database) -> None:
    async with database.transaction() as connection:
        version = await schema_version(connection)
    version.require_known()
    if version.pending:
        message = f"the database lacks {len(version.pending)} migrations; run 'fcctl migrate up'"
        raise DatabaseUnavailableError(message)
