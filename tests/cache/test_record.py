"""What is recorded for the binary cache, when, and what never is."""

import asyncio
import dataclasses
from pathlib import Path

import msgspec
import pytest

from fc.base.database import Database
from fc.base.errors import NixError
from fc.base.looping import Services, run_loop
from fc.base.nix_cli import Nix
from fc.base.notify import Listener
from fc.base.secrets import Secrets
from fc.base.settings import CacheSettings, Settings
from fc.cache.loop import CacheLoop, ChannelLoop, make_loops
from fc.cache.record import find_path, record_next
from fc.nix.path_info import PathInfo
from fc.nix.storepath import parse_store_path
from tests.cache.conftest import World
from tests.support.built import add_derivation
from tests.support.waiting import eventually

MISSING = "/nix/store/ljdzr8f3z97qi6zbxhngmavcbsh7pr30-missing"


def hash_part(path: str) -> str:
    return parse_store_path(path).hash_part


async def recorded(database: Database) -> set[str]:
    return {
        parse_store_path(row["path"]).name for row in await database.fetch("SELECT path FROM cache_paths")
    }


async def find(world: World, path: str) -> PathInfo | None:
    return await find_path(world.database, world.nix, hash_part(path))


async def test_the_closure_of_a_built_output_is_recorded(world: World) -> None:
    library = await world.build("library")
    app = await world.build("app")
    assert not await record_next(world.database, world.nix)
    assert await recorded(world.database) == {"app", "library", "data.txt"}
    info = await find(world, app)
    assert info is not None
    assert {parse_store_path(path).name for path in info.references} == {"library", "data.txt"}
    assert library in info.references
    assert info.nar_size > 0
    assert info.deriver is not None


@pytest.mark.parametrize(
    "status", ["pending", "ready", "running", "failed", "failed_with_output", "cancelled"]
)
async def test_an_output_of_what_is_not_built_is_not_recorded(world: World, status: str) -> None:
    library = await world.build("library", status)
    await record_next(world.database, world.nix)
    assert await recorded(world.database) == set()
    assert await find(world, library) is None


async def test_nothing_else_in_the_store_is_recorded(world: World) -> None:
    await world.build("library")
    loose = world.add("loose", b"in the store, but of nobody's output")
    drv_path = world.run("nix-store", "--query", "--deriver", await world.build("app"))
    await record_next(world.database, world.nix)
    for path in (loose, drv_path, MISSING):
        assert await find(world, path) is None


async def test_an_output_that_refers_to_a_derivation_publishes_nothing(world: World) -> None:
    secret = await world.build("secret", "failed")
    spy = await world.build("spy")
    assert ".drv" in world.nix.physical(spy).read_text()
    await record_next(world.database, world.nix)
    assert await recorded(world.database) == set()
    assert await find(world, spy) is None
    assert await find(world, secret) is None


async def test_an_output_just_built_is_found_before_the_loop_has_seen_it(world: World) -> None:
    app = await world.build("app")
    assert await recorded(world.database) == set()
    assert await find(world, app) is not None
    assert await recorded(world.database) == {"app", "library", "data.txt"}


async def test_each_derivation_is_recorded_once_and_again_after_it_was_built_again(world: World) -> None:
    library = await world.build("library")
    unrecorded = "SELECT count(*) FROM derivations WHERE cached_at IS NULL OR cached_at < completed_at"
    await record_next(world.database, world.nix)
    assert await world.database.fetchval(unrecorded) == 0
    await world.database.execute("DELETE FROM cache_paths")
    await record_next(world.database, world.nix)
    assert await find(world, library) is None
    await world.database.execute("UPDATE derivations SET completed_at = completed_at + interval '1 second'")
    assert await world.database.fetchval(unrecorded) == 1
    await record_next(world.database, world.nix)
    assert await find(world, library) is not None
    await world.database.execute("UPDATE derivations SET completed_at = completed_at + interval '1 second'")
    await record_next(world.database, world.nix)
    assert await find(world, library) is not None


async def test_an_output_that_the_store_does_not_have_is_passed_over(world: World) -> None:
    library = await world.build("library")
    await add_derivation(world.database, MISSING + ".drv", {"out": MISSING, "doc": None})
    await add_derivation(world.database, MISSING + "-2.drv", {"out": None})
    assert await find(world, MISSING) is None
    await record_next(world.database, world.nix)
    assert await recorded(world.database) == {"library"}
    assert await world.database.fetchval("SELECT count(*) FROM derivations WHERE cached_at IS NULL") == 0
    assert await find(world, library) is not None


async def test_a_derivation_without_a_time_is_recorded_too(world: World) -> None:
    library = await world.build("library")
    await world.database.execute("UPDATE derivations SET completed_at = NULL")
    await record_next(world.database, world.nix)
    await record_next(world.database, world.nix)
    assert await find(world, library) is not None
    assert await world.database.fetchval("SELECT cached_at IS NOT NULL FROM derivations")


async def test_two_processes_may_record_at_once(world: World) -> None:
    await world.build("app")
    await world.build("library")
    await asyncio.gather(*(record_next(world.database, world.nix) for _ in range(4)))
    assert await recorded(world.database) == {"app", "library", "data.txt"}


@pytest.mark.parametrize("says", ["echo Welcome to this machine", "exit 1", "exec <&-; exit 1"])
async def test_a_nix_that_does_not_answer_is_an_error_and_records_nothing(
    world: World, tmp_path: Path, says: str
) -> None:
    await world.build("library")
    (tmp_path / "bin").mkdir()
    broken_nix = tmp_path / "bin" / "nix-store"
    broken_nix.write_text(f"#!/bin/sh\n{says}\n")
    broken_nix.chmod(0o755)
    with pytest.raises(NixError):
        await record_next(world.database, dataclasses.replace(world.nix, bin_dir=tmp_path / "bin"))
    assert await world.database.fetchval("SELECT cached_at FROM derivations") is None


async def test_a_nix_that_is_gone_is_an_error_too(world: World, tmp_path: Path) -> None:
    await world.build("library")
    with pytest.raises(NixError, match="cannot be started"):
        await record_next(world.database, dataclasses.replace(world.nix, bin_dir=tmp_path / "nowhere"))


async def test_the_loop_records_what_has_been_built(
    world: World, database_url: str, settings: Settings, nix: Nix
) -> None:
    services = Services(
        settings=settings, database=world.database, secrets=Secrets(None), nix=nix, worker="test"
    )
    listener = Listener(database_url)
    await listener.start()
    stop = asyncio.Event()
    running = asyncio.create_task(run_loop(CacheLoop(services), listener, stop))
    try:
        await world.build("app")
        await world.database.execute("NOTIFY fc_builds_changed")

        async def done() -> bool:
            return await recorded(world.database) == {"app", "library", "data.txt"}

        await eventually(done, "the closure is recorded", within=30)
    finally:
        stop.set()
        await running
        await listener.close()


def test_a_cache_that_is_off_has_no_loop(database: Database, settings: Settings, nix: Nix) -> None:
    def loops(chosen: Settings) -> set[type]:
        services = Services(settings=chosen, database=database, secrets=Secrets(None), nix=nix, worker="test")
        return {type(loop) for loop in make_loops(services)}

    assert loops(settings) == {ChannelLoop, CacheLoop}
    assert loops(msgspec.structs.replace(settings, cache=CacheSettings(enabled=False))) == {ChannelLoop}
