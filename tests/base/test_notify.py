"""Notices of the database set events, whatever happens to the connection."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from fc.base import notify
from fc.base.database import Database
from fc.base.notify import BUILDS_CHANGED, CHANNELS, CONFIG_CHANGED, JOBSETS_CHANGED, Listener
from tests.support.catalogue import read_catalogue
from tests.support.waiting import eventually


@pytest.fixture
async def listener(database_url: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Listener]:
    monkeypatch.setattr(notify, "_RECONNECT_SECONDS", 0.01)
    started = Listener(database_url)
    await started.start()
    yield started
    await started.close()


async def came(event: asyncio.Event) -> None:
    await asyncio.wait_for(event.wait(), 60)
    event.clear()


async def test_a_notice_sets_the_events_of_its_channel_alone(listener: Listener, database: Database) -> None:
    builds, both, config = asyncio.Event(), asyncio.Event(), asyncio.Event()
    with (
        listener.subscribe(builds, [BUILDS_CHANGED]),
        listener.subscribe(both, [BUILDS_CHANGED, JOBSETS_CHANGED]),
        listener.subscribe(config, [CONFIG_CHANGED]),
    ):
        await database.execute("SELECT pg_notify($1, '')", BUILDS_CHANGED)
        await came(builds)
        await came(both)
        await database.execute("SELECT pg_notify($1, '')", JOBSETS_CHANGED)
        await came(both)
        assert not builds.is_set()
        assert not config.is_set()


async def test_a_notice_comes_when_its_transaction_is_committed(
    listener: Listener, database: Database
) -> None:
    builds, config = asyncio.Event(), asyncio.Event()
    with listener.subscribe(builds, [BUILDS_CHANGED]), listener.subscribe(config, [CONFIG_CHANGED]):
        async with database.transaction() as connection:
            await connection.execute("SELECT pg_notify($1, '')", BUILDS_CHANGED)
            await database.execute("SELECT pg_notify($1, '')", CONFIG_CHANGED)
            await came(config)
            assert not builds.is_set()
        await came(builds)


async def test_a_row_sends_its_own_notice(listener: Listener, database: Database) -> None:
    event = asyncio.Event()
    with listener.subscribe(event, [CONFIG_CHANGED]):
        await database.execute("INSERT INTO config_sources (name, url, branch) VALUES ('a', 'b', 'main')")
        await came(event)


async def test_who_no_longer_listens_hears_nothing(listener: Listener, database: Database) -> None:
    gone, here = asyncio.Event(), asyncio.Event()
    with listener.subscribe(here, [BUILDS_CHANGED]):
        with listener.subscribe(gone, [BUILDS_CHANGED]):
            pass
        await database.execute("SELECT pg_notify($1, '')", BUILDS_CHANGED)
        await came(here)
    assert not gone.is_set()


async def test_an_unknown_channel_is_a_mistake_that_shows(listener: Listener) -> None:
    with pytest.raises(KeyError, match="fc_zebras"), listener.subscribe(asyncio.Event(), ["fc_zebras"]):
        pass


async def test_a_lost_connection_is_replaced_and_sets_every_event(
    listener: Listener, database_url: str
) -> None:
    builds, config = asyncio.Event(), asyncio.Event()
    observer = await asyncpg.connect(database_url)
    with listener.subscribe(builds, [BUILDS_CHANGED]), listener.subscribe(config, [CONFIG_CHANGED]):
        for _ in range(2):
            ended = await observer.fetchval(
                "SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            )
            assert ended == 1
            # Nothing was said, but something may have been missed.
            await came(builds)
            await came(config)

        await observer.execute("SELECT pg_notify($1, '')", BUILDS_CHANGED)
        await came(builds)
        assert not config.is_set()
    await observer.close()


async def test_a_listener_survives_a_server_that_is_away_for_a_while(
    database_url: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "_RECONNECT_SECONDS", 0.01)
    listener = Listener(database_url)
    await listener.start()
    event = asyncio.Event()
    admin = await asyncpg.connect(postgres_url)
    name = database_url.partition("@/")[2].partition("?")[0]
    with listener.subscribe(event, [BUILDS_CHANGED]):
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await admin.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = $1", name
        )

        async def refused() -> bool:
            assert listener._task is not None
            assert not listener._task.done()
            return bool(refusals)

        refusals: list[object] = []
        monkeypatch.setattr(notify.log, "warning", lambda *args, **values: refusals.append((args, values)))
        await eventually(refused, "the listener is refused")
        assert not event.is_set()
        await admin.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        await came(event)
    await listener.close()
    await admin.close()


async def test_closing_ends_the_connection(database_url: str) -> None:
    listener = Listener(database_url)
    await listener.start()
    await listener.close()
    observer = await asyncpg.connect(database_url)

    async def alone() -> bool:
        count = await observer.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        )
        return bool(count == 1)

    await eventually(alone, "the listener's connection has ended")
    await observer.close()


async def test_closing_what_was_never_started_does_nothing(database_url: str) -> None:
    await Listener(database_url).close()


async def test_the_channels_are_those_that_the_triggers_speak_on(database_url: str) -> None:
    catalogue = await read_catalogue(database_url)
    spoken = {
        channel
        for key, definition in catalogue.items()
        if key.startswith(("trigger ", "function "))
        for channel in CHANNELS
        if f"'{channel}'" in definition
    }
    assert spoken == set(CHANNELS)
    assert {
        event for event in notify.__dict__ if event.endswith(("_CHANGED", "_READY", "_PENDING", "_WRITES"))
    } == {channel.removeprefix("fc_").upper() for channel in CHANNELS}
