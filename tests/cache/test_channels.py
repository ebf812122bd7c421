"""Channels move to good evaluations, forward, and never to a pull request's."""

import asyncio
import uuid
from pathlib import Path

import pytest

from fc.base.database import Database
from fc.base.looping import Services, run_loop
from fc.base.nix_cli import Nix
from fc.base.notify import Listener
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.cache.channels import Move, move_channels
from fc.cache.loop import ChannelLoop
from tests.support.built import add_channel, add_evaluation, add_jobset
from tests.support.waiting import eventually


async def current(database: Database, channel_id: uuid.UUID) -> uuid.UUID | None:
    found: uuid.UUID | None = await database.fetchval(
        "SELECT current_evaluation_id FROM channels WHERE id = $1", channel_id
    )
    return found


async def test_a_channel_moves_to_the_newest_good_evaluation(database: Database) -> None:
    jobset = await add_jobset(database)
    channel = await add_channel(database, jobset)
    await add_evaluation(database, jobset, 1, ["succeeded"])
    good = await add_evaluation(database, jobset, 2, ["succeeded", "succeeded"])
    await add_evaluation(database, jobset, 3, ["succeeded", "failed"])
    assert await move_channels(database) == [Move("hello", "stable", f"{2:040x}")]
    assert await current(database, channel) == good
    assert await move_channels(database) == []


@pytest.mark.parametrize(
    "status",
    [
        *("pending", "running", "failed", "dependency_failed", "aborted", "cancelled", "failed_with_output"),
        *("timeout", "cached_failure", "unsupported_system", "log_limit_exceeded", "nar_size_limit_exceeded"),
        "non_deterministic",
    ],
)
async def test_one_build_that_has_not_succeeded_is_enough_to_stay(database: Database, status: str) -> None:
    jobset = await add_jobset(database)
    channel = await add_channel(database, jobset)
    await add_evaluation(database, jobset, 1, ["succeeded", status])
    assert await move_channels(database) == []
    assert await current(database, channel) is None


async def test_a_pull_request_never_moves_a_channel(database: Database) -> None:
    jobset = await add_jobset(database)
    channel = await add_channel(database, jobset)
    await add_evaluation(database, jobset, 1, ["succeeded"], pr_number=7)
    await move_channels(database)
    assert await current(database, channel) is None


async def test_an_evaluation_without_builds_or_without_an_end_never_moves_a_channel(
    database: Database,
) -> None:
    jobset = await add_jobset(database)
    channel = await add_channel(database, jobset)
    await add_evaluation(database, jobset, 1, [])
    for number, status in enumerate(("pending", "running", "failed", "cancelled", "timed_out"), start=2):
        await add_evaluation(database, jobset, number, ["succeeded"], status=status)
    await move_channels(database)
    assert await current(database, channel) is None


async def test_a_build_tried_again_does_not_move_a_channel_back(database: Database) -> None:
    jobset = await add_jobset(database)
    channel = await add_channel(database, jobset)
    await add_evaluation(database, jobset, 1, ["succeeded"])
    newest = await add_evaluation(database, jobset, 2, ["succeeded"])
    await move_channels(database)
    await database.execute("UPDATE builds SET status = 'pending' WHERE evaluation_id = $1", newest)
    assert await move_channels(database) == []
    assert await current(database, channel) == newest


async def test_channels_follow_their_own_jobset_alone(database: Database) -> None:
    main, other = await add_jobset(database), await add_jobset(database, jobset="other")
    stable, beta = await add_channel(database, main), await add_channel(database, other, "beta")
    good = await add_evaluation(database, main, 1, ["succeeded"])
    later = await add_evaluation(database, other, 2, ["succeeded"])
    assert len(await move_channels(database)) == 2
    assert (await current(database, stable), await current(database, beta)) == (good, later)


async def test_a_channel_that_follows_another_jobset_starts_anew(database: Database) -> None:
    main, other = await add_jobset(database), await add_jobset(database, jobset="other")
    channel = await add_channel(database, main)
    older = await add_evaluation(database, other, 1, ["succeeded"])
    await add_evaluation(database, main, 2, ["succeeded"])
    await move_channels(database)
    await database.execute("UPDATE channels SET jobset_id = $2 WHERE id = $1", channel, other)
    await move_channels(database)
    assert await current(database, channel) == older


async def test_a_channel_whose_evaluation_is_gone_finds_another(database: Database) -> None:
    jobset = await add_jobset(database)
    channel = await add_channel(database, jobset)
    older = await add_evaluation(database, jobset, 1, ["succeeded"])
    newest = await add_evaluation(database, jobset, 2, ["succeeded"])
    await move_channels(database)
    await database.execute("DELETE FROM evaluations WHERE id = $1", newest)
    await move_channels(database)
    assert await current(database, channel) == older


async def test_the_loop_moves_a_channel_when_the_last_build_succeeds(
    database: Database, database_url: str, settings: Settings, nix: Nix, tmp_path: Path
) -> None:
    jobset = await add_jobset(database)
    channel = await add_channel(database, jobset)
    evaluation = await add_evaluation(database, jobset, 1, ["succeeded", "running"])
    listener = Listener(database_url)
    await listener.start()
    stop = asyncio.Event()
    loop = ChannelLoop(
        Services(settings=settings, database=database, secrets=Secrets(None), nix=nix, worker="test")
    )
    running = asyncio.create_task(run_loop(loop, listener, stop))
    try:
        await database.execute("UPDATE builds SET status = 'succeeded' WHERE evaluation_id = $1", evaluation)

        async def moved() -> bool:
            return await current(database, channel) == evaluation

        await eventually(moved, "the channel stands at the evaluation", within=30)
    finally:
        stop.set()
        await running
        await listener.close()
