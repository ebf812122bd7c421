"""Fixtures: the story, the application on it, and the application behind the real server."""

import asyncio
import socket
from collections.abc import AsyncIterator

import msgspec
import pytest
from granian.constants import Interfaces
from granian.server.embed import Server
from litestar import Litestar
from litestar.testing import AsyncTestClient

from fc.app import create_app
from fc.base.database import Database
from fc.base.settings import DatabaseSettings, Settings
from tests.support.story import tell
from tests.support.story_rows import Story
from tests.support.waiting import eventually

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
"""What a browser asks for."""


@pytest.fixture
def served_settings(settings: Settings, database_url: str) -> Settings:
    """Settings of an application on this test's own database."""
    return msgspec.structs.replace(settings, database=DatabaseSettings(url=database_url, pool_size=4))


@pytest.fixture
async def story(database: Database, served_settings: Settings) -> Story:
    """A database with a believable past."""
    return await tell(database, served_settings.data_dir)


@pytest.fixture
def app(served_settings: Settings) -> Litestar:
    """The application, not started."""
    return create_app(served_settings)


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[AsyncTestClient[Litestar]]:
    """The application, asked as a browser asks."""
    async with AsyncTestClient(app) as opened:
        opened.headers.update(BROWSER)
        yield opened


@pytest.fixture
async def server(app: Litestar) -> AsyncIterator[str]:
    """The address, without a slash at its end, at which the real server answers for the application."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = Server(
        app, address="127.0.0.1", port=port, interface=Interfaces.ASGI, websockets=False, log_enabled=False
    )
    task = asyncio.create_task(running.serve())

    async def answers() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    await eventually(answers, f"the server answers on port {port}")
    yield f"http://127.0.0.1:{port}"
    if "streams" in app.state:
        app.state["streams"].stop()
    running.stop()  # type: ignore[no-untyped-call]  # granian has no types here
    await task
