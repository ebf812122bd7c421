"""The background loop: it wakes when it is asked to."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from fc.base.database import Database
from fc.base.durations import Duration
from fc.base.looping import Services, run_loop
from fc.base.nix_cli import Nix
from fc.base.notify import Listener
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.base.source_settings import ConfigurationSettings, SourceSettings
from fc.config import sources
from fc.config.loop import make_loops
from tests.support.configuration import project
from tests.support.repository import Repository
from tests.support.waiting import eventually


@pytest.fixture
def services(settings: Settings, database: Database) -> Callable[[Settings], Services]:
    def make(changed: Settings) -> Services:
        nix = Nix.discover(settings)
        return Services(settings=changed, database=database, secrets=Secrets(None), nix=nix, worker="test:1")

    return make


async def test_the_loop_follows_requests_at_once(
    database: Database,
    database_url: str,
    tmp_path: Path,
    settings: Settings,
    services: Callable[[Settings], Services],
) -> None:
    repository = Repository(tmp_path / "configuration")
    repository.commit({"fc.yaml": project("p", main="x")})
    followed = ConfigurationSettings(url=repository.url, poll_interval=Duration(3600))
    loop = make_loops(services(msgspec.structs.replace(settings, configuration=followed)))[-1]
    listener = Listener(database_url)
    await listener.start()
    stop = asyncio.Event()
    running = asyncio.create_task(run_loop(loop, listener, stop))

    async def jobsets(count: int) -> bool:
        found: int = await database.fetchval("SELECT count(*) FROM jobsets")
        return found == count

    await eventually(lambda: jobsets(1), "the first commit is applied")
    repository.commit({"fc.yaml": project("p", main="x", nightly="y")})
    await sources.request_sync(database)
    await eventually(lambda: jobsets(2), "the second commit is applied")
    stop.set()
    await running
    await listener.close()


def test_without_a_repository_only_what_is_there_is_looked_after(
    settings: Settings, services: Callable[[Settings], Services]
) -> None:
    assert [loop.name for loop in make_loops(services(settings))] == [
        "drift",
        "retention",
        "configuration previews",
        "project files",
        "forgetting",
    ]


async def test_without_a_repository_what_was_followed_is_followed_no_more(
    database: Database, settings: Settings, services: Callable[[Settings], Services]
) -> None:
    await sources.register(database, "team", SourceSettings(url="https://git.example.org/team.git"))
    loop = make_loops(services(settings))[-1]
    assert not await loop.turn()
    assert await database.fetchval("SELECT active FROM config_sources") is False
    await sources.register(database, "team", SourceSettings(url="https://git.example.org/team.git"))
    assert not await loop.turn()
    assert await database.fetchval("SELECT active FROM config_sources") is True
