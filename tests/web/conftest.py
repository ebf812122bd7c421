"""Fixtures: the story, and the application on it."""

from collections.abc import AsyncIterator

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from fc.app import create_app
from fc.base.database import Database
from fc.base.settings import DatabaseSettings, Settings
from tests.support.story import tell
from tests.support.story_rows import Story


@pytest.fixture
def served_settings(settings: Settings, database_url: str) -> Settings:
    """Settings of an application on this test's own database."""
    return msgspec.structs.replace(settings, database=DatabaseSettings(url=database_url, pool_size=4))


@pytest.fixture
async def story(database: Database, served_settings: Settings) -> Story:
    """A database with a believable past."""
    return await tell(database, served_settings.data_dir)


@pytest.fixture
async def client(served_settings: Settings) -> AsyncIterator[AsyncTestClient[Litestar]]:
    """The application, asked as a browser asks."""
    async with AsyncTestClient(create_app(served_settings)) as opened:
        opened.headers["accept"] = "text/html,application/xhtml+xml,*/*;q=0.8"
        yield opened
