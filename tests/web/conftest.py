"""Fixtures: the story, the application on it, and the application behind the real server."""

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import asyncpg
import msgspec
import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from fc.app import create_app
from fc.base.database import Database
from fc.base.settings import DatabaseSettings, Settings
from tests.support.story import tell
from tests.support.story_rows import Story
from tests.support.web_app import serving_app

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
"""What a browser asks for."""


@pytest.fixture
def served_settings(settings: Settings, database_url: str) -> Settings:
    """Settings of an application on this test's own database."""
    return msgspec.structs.replace(settings, database=DatabaseSettings(url=database_url, pool_size=4))


@pytest.fixture(scope="session")
def told(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Story]]:
    """The story, told once for all tests of this process: the name of its database, and what is in it."""
    name = f"story_{uuid.uuid4().hex}"
    directory = tmp_path_factory.mktemp("story")

    async def tell_once() -> Story:
        server = await asyncpg.connect(postgres_url)
        await server.execute(f"CREATE DATABASE {name} TEMPLATE fc_template STRATEGY file_copy")
        await server.close()
        database = await Database.connect(_with_database(postgres_url, name), size=1)
        story = await tell(database, directory)
        await database.close()
        return story

    async def forget() -> None:
        server = await asyncpg.connect(postgres_url)
        await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await server.close()

    yield name, asyncio.run(tell_once())
    asyncio.run(forget())


@pytest.fixture
async def database_url(postgres_url: str, request: pytest.FixtureRequest) -> AsyncIterator[str]:
    """A database of this test's own: with the story in it where the test wants the story, else empty."""
    template = request.getfixturevalue("told")[0] if "story" in request.fixturenames else "fc_template"
    name = f"t_{uuid.uuid4().hex}"
    server = await asyncpg.connect(postgres_url)
    await server.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
    yield _with_database(postgres_url, name)
    await server.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await server.close()


def _with_database(url: str, name: str) -> str:
    return url.replace("@/postgres?", f"@/{name}?")


@pytest.fixture
def story(told: tuple[str, Story], database: Database, served_settings: Settings) -> Story:
    """A database with a believable past."""
    original = told[1]
    shutil.copytree(original.data_dir / "logs", served_settings.data_dir / "logs")
    return replace(
        original,
        database=database,
        rows=database,
        data_dir=served_settings.data_dir,
        logs={
            build: served_settings.data_dir / path.relative_to(original.data_dir)
            for build, path in original.logs.items()
        },
    )


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
    async with serving_app(app) as url:
        yield url
        if "streams" in app.state:
            app.state["streams"].stop()
