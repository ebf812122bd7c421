"""The web application: every slice's routes and the pages, on one database."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import structlog
from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin

from fc import __version__
from fc.base.database import Database
from fc.base.errors import DatabaseUnavailableError
from fc.base.log import configure_logging
from fc.base.looping import backoff
from fc.base.nix_cli import Nix
from fc.base.notify import Listener
from fc.base.secrets import secrets_of
from fc.base.settings import Settings, load_settings
from fc.build.api import ROUTES as BUILD
from fc.cache.api import ROUTES as CACHE
from fc.config.api import ROUTES as CONFIG
from fc.evaluate.api import ROUTES as EVALUATE
from fc.pools.api import ROUTES as POOLS
from fc.report.api import ROUTES as REPORT
from fc.web.compression import compress
from fc.web.failures import HANDLERS
from fc.web.file_watch import FileWatch
from fc.web.headers import add_security_headers
from fc.web.log_stream import LogStreams
from fc.web.metrics import Metrics
from fc.web.rendering import Pages
from fc.web.routes import ROUTES as WEB
from fc.web.static_files import StaticFiles
from fc.web.stop_signal import STOP_SIGNAL
from fc.web.streams import Streams
from fc.web.topics import Topics

_CONNECT_TRIES = 8
"""A database that is just starting is waited for; after about half a minute this process gives up."""
_LARGEST_BODY = 1 << 20
"""Bytes of a request, unless a route says otherwise."""

log = structlog.get_logger(__name__)


def app_from_environment() -> Litestar:
    """The application of one web worker: settings from the file that FC_SETTINGS_FILE names, and from FC_* variables.

    Raises:
        SettingsError: they cannot be read.
    """
    file = os.environ.get("FC_SETTINGS_FILE")
    settings = load_settings(Path(file) if file else None)
    configure_logging(settings.log.level, settings.log.form)
    return create_app(settings)


def create_app(settings: Settings) -> Litestar:
    """Compose the application. Its database is reached when it starts, not before."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with _running(settings, app.state):
            yield

    return Litestar(
        route_handlers=[*CONFIG, *EVALUATE, *BUILD, *POOLS, *CACHE, *REPORT, *WEB],
        lifespan=[lifespan],
        dependencies=_dependencies(),
        exception_handlers=HANDLERS,
        middleware=[compress],
        before_send=[add_security_headers],
        openapi_config=OpenAPIConfig(
            title="FC",
            version=__version__,
            description="Configuration from git, evaluations, builds and reports.",
            path="/api/v1",
            render_plugins=[JsonRenderPlugin()],
        ),
        request_max_body_size=_LARGEST_BODY,
        logging_config=None,
        debug=False,
    )


def _dependencies() -> dict[str, Provide]:
    """What handlers may ask for, by name."""
    names = (
        "database",
        "settings",
        "secrets",
        "listener",
        "pages",
        "static",
        "topics",
        "streams",
        "logs",
        "numbers",
    )
    return {name: Provide(_held(name), sync_to_thread=False) for name in names} | {"nix": Provide(_nix)}


def _held(name: str) -> Callable[[State], Any]:
    def provide(state: State) -> Any:
        return state[name]

    return provide


async def _nix(state: State) -> Nix:
    """Nix, looked for when it is first needed: pages work where it is missing."""
    if "nix" not in state:
        state["nix"] = await asyncio.to_thread(Nix.discover, state["settings"])
    found: Nix = state["nix"]
    return found


@asynccontextmanager
async def _running(settings: Settings, state: State) -> AsyncIterator[None]:
    """Everything handlers need, made and taken down in order."""
    database = await _connect(settings)
    listener = Listener(database.url)
    streams = Streams()
    topics = Topics(database, listener)
    files = FileWatch()
    static = StaticFiles()
    state.update(
        database=database,
        settings=settings,
        secrets=secrets_of(settings),
        listener=listener,
        static=static,
        pages=Pages(static),
        topics=topics,
        streams=streams,
        logs=LogStreams(settings.data_dir.absolute(), streams, files),
        numbers=Metrics(database, streams),
    )
    _stop_streams_early(streams)
    try:
        await listener.start()
        yield
    finally:
        streams.stop()
        await topics.close()
        files.close()
        await listener.close()
        await database.close()


def _stop_streams_early(streams: Streams) -> None:
    """End streams when the server says that it is about to stop, since it waits for open responses first."""
    if threading.current_thread() is threading.main_thread():
        # Not every loop takes handlers of signals; without one, streams end when their connections do.
        with suppress(NotImplementedError, RuntimeError):
            asyncio.get_running_loop().add_signal_handler(STOP_SIGNAL, streams.stop)


async def _connect(settings: Settings) -> Database:
    if settings.database.url is None:
        message = (
            "database.url is not set: 'fcctl serve' runs the embedded PostgreSQL; 'web' alone needs its URL"
        )
        raise DatabaseUnavailableError(message)
    for failures in range(1, _CONNECT_TRIES):
        try:
            return await Database.connect(settings.database.url, settings.database.pool_size)
        except DatabaseUnavailableError as error:
            log.warning("waiting for the database", error=str(error))
            await asyncio.sleep(backoff(failures))
    return await Database.connect(settings.database.url, settings.database.pool_size)
