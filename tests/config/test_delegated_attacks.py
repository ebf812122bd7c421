"""Attacks on delegation: killed in the middle, two at once, changed underneath, and repositories that never answer."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from fc.base.database import Database
from fc.base.looping import Services, run_loop
from fc.base.nix_cli import Nix
from fc.base.notify import Listener
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.config import sources
from fc.config.delegated import claim_next
from fc.config.delegated_sync import synchronize_file
from fc.config.loop import ProjectFilesLoop
from tests.support.delegating import ADMIN, JOBSETS, Delegating, delegating
from tests.support.waiting import eventually

CHILD = """
import asyncio, sys
import msgspec
from pathlib import Path
from fc.base.database import Database
from fc.base.settings import Settings
from fc.config.delegated import claim_next
from fc.config.delegated_sync import synchronize_file

async def main():
    database = await Database.connect(sys.argv[1], size=2)
    settings = msgspec.structs.replace(Settings(), data_dir=Path(sys.argv[2]))
    due = await claim_next(database, unproven=True)
    await synchronize_file(settings, database, due)

asyncio.run(main())
"""
WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
EXPIRE = "UPDATE config_sources SET lease_until = now() - interval '1 second' WHERE claim_token IS NOT NULL"


@pytest.fixture
def both(settings: Settings, database: Database, tmp_path: Path) -> Delegating:
    return Delegating(settings, database, tmp_path)


@pytest.fixture
def start(
    database_url: str, tmp_path: Path, both: Delegating
) -> Iterator[Callable[[], "subprocess.Popen[str]"]]:
    """Starts a process that synchronises the next file; it ends with the test."""
    script = tmp_path / "synchronise.py"
    script.write_text(CHILD, encoding="utf-8")
    started: list[subprocess.Popen[str]] = []

    def begin() -> "subprocess.Popen[str]":
        command = [sys.executable, str(script), database_url, str(both.settings.data_dir)]
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        started.append(subprocess.Popen(command, text=True, env=environment))
        return started[-1]

    yield begin
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize("table", ["jobsets", "config_changes"])
async def test_kill_9_in_the_middle_leaves_everything_as_before(
    both: Delegating, database_url: str, start: Callable[[], "subprocess.Popen[str]"], table: str
) -> None:
    await both.declare()
    await both.push(JOBSETS)
    both.hello.commit({".fc.yaml": JOBSETS + "  more: {nix_expression: x}\n"})
    await sources.request_sync(both.database, "project/hello")
    before = await both.owners()
    blocker = await asyncpg.connect(database_url)
    try:
        async with blocker.transaction():
            await blocker.execute(f"LOCK TABLE {table} IN SHARE MODE")
            process = start()

            async def stopped() -> bool:
                return bool(await both.database.fetchval(WAITING))

            await eventually(stopped, f"the synchronisation reaches {table}")
            process.send_signal(signal.SIGKILL)
            process.wait()
    finally:
        await blocker.close()
    assert await both.owners() == before
    assert not await both.synchronize()

    async def taken_over() -> bool:
        await both.database.execute(EXPIRE)
        return await both.synchronize()

    await eventually(taken_over, "another process takes over")
    assert (await both.state()).status == "synced"
    assert await both.jobsets() == {"hello/main": True, "hello/more": True}


async def test_of_two_processes_one_synchronises_and_a_late_result_changes_nothing(both: Delegating) -> None:
    await both.declare()
    both.hello.commit({".fc.yaml": JOBSETS})
    first = await claim_next(both.database, unproven=True)
    assert first is not None
    assert await claim_next(both.database, unproven=True) is None
    await both.database.execute(EXPIRE)
    assert await both.synchronize()
    both.hello.commit({".fc.yaml": JOBSETS + "  more: {nix_expression: x}\n"})
    await synchronize_file(both.settings, both.database, first)
    assert await both.jobsets() == {"hello/main": True}
    assert (await both.state()).status == "synced"


@pytest.mark.parametrize(
    ("name", "delegate", "extra"),
    [
        ("hello", "{jobsets: true, limits: {max_keep_nr: 1}}", ""),
        ("hello", "", ""),
        ("greeting", "{jobsets: true}", "    renamed_from: hello\n"),
        ("hello", "{jobsets: true}", "    enabled: false\n"),
        ("hello", "{jobsets: true}", "    jobsets: {main: {nix_expression: central}}\n"),
        ("", "", ""),
    ],
    ids=["limits", "withdrawn", "renamed", "disabled", "taken over", "removed"],
)
async def test_what_changes_while_the_file_is_synchronised_wins(
    both: Delegating, name: str, delegate: str, extra: str
) -> None:
    await both.declare()
    both.hello.commit({".fc.yaml": JOBSETS})
    due = await claim_next(both.database, unproven=True)
    assert due is not None
    text = delegating(both.hello.url, name, delegate) + extra if name else ADMIN
    assert (await both.declare(text)).status == "synced"
    before = await both.owners()
    await synchronize_file(both.settings, both.database, due)
    assert await both.owners() == before


async def test_a_project_that_is_removed_and_put_back_meanwhile_is_synchronised_anew(
    both: Delegating,
) -> None:
    await both.declare()
    both.hello.commit({".fc.yaml": JOBSETS})
    due = await claim_next(both.database, unproven=True)
    assert due is not None
    await both.declare(ADMIN)
    await both.declare()
    await synchronize_file(both.settings, both.database, due)
    assert await both.jobsets() == {}
    assert await both.synchronize()
    assert await both.jobsets() == {"hello/main": True}


async def test_central_and_own_synchronisations_at_once_do_not_wait_in_a_circle(both: Delegating) -> None:
    await both.declare()
    for number in range(4):
        both.hello.commit({".fc.yaml": f"jobsets: {{main: {{nix_expression: own-{number}}}}}\n"})
        central = f"    description: number {number}\n"
        taken = "    jobsets: {main: {nix_expression: central}}\n" if number % 2 else ""
        await sources.request_sync(both.database, "project/hello")
        state, _ = await asyncio.gather(
            both.declare(delegating(both.hello.url) + central + taken), both.synchronize()
        )
        assert (state.status, state.failures) == ("synced", 0)
        while await both.synchronize():
            pass
    assert await both.owners() == {"jobset hello/main": "default"}


@pytest.fixture
async def silent() -> AsyncIterator[str]:
    """Where a server listens that takes every connection and never answers."""
    open_connections: list[asyncio.StreamWriter] = []

    async def take(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_connections.append(writer)
        await asyncio.Event().wait()

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    yield f"git://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for writer in open_connections:
        writer.close()


async def test_repositories_that_never_answer_hold_up_nobody_else(
    both: Delegating, silent: str, database_url: str, nix: Nix
) -> None:
    hanging = "".join(
        f"  h{n}: {{repository_url: '{silent}/{n}', delegate: {{jobsets: true}}}}\n" for n in range(12)
    )
    await both.declare()
    await both.push(JOBSETS)
    await both.declare(delegating(both.hello.url) + hanging)
    both.hello.commit({".fc.yaml": JOBSETS + "  more: {nix_expression: x}\n"})
    await both.database.execute(
        "UPDATE config_sources SET next_sync_at = now(), sync_requested_at = NULL WHERE name = 'project/hello'"
    )
    services = Services(both.settings, both.database, Secrets(None), nix, "test")
    listener = Listener(database_url)
    await listener.start()
    stop = asyncio.Event()
    running = asyncio.create_task(run_loop(ProjectFilesLoop(services), listener, stop))

    async def followed() -> bool:
        return "hello/more" in await both.jobsets()

    await eventually(followed, "the repository that answers is followed")
    held = await both.database.fetchval("SELECT count(*) FROM config_sources WHERE claim_token IS NOT NULL")
    assert 1 <= held <= 4
    stop.set()
    await running
    await listener.close()
    assert (
        await both.database.fetchval("SELECT count(*) FROM config_sources WHERE claim_token IS NOT NULL") == 0
    )
    assert (await both.state("default")).status == "synced"


async def test_an_error_that_nobody_foresaw_is_tried_again_later(
    both: Delegating, database: Database
) -> None:
    await both.declare()
    await database.execute("ALTER TABLE jobsets ADD CONSTRAINT never CHECK (nix_expression <> 'x') NOT VALID")
    found = await both.push("jobsets: {main: {nix_expression: x}}\n")
    assert (found.status, found.failures) == ("failed", 1)
    assert "CheckViolationError" in (found.error_message or "")
    assert not await both.synchronize()


async def test_a_url_that_is_none_is_an_error_of_its_project(both: Delegating, database: Database) -> None:
    await both.declare()
    await database.execute(
        "UPDATE projects SET repository_url = 'ext::sh -c true', delegate = '{\"jobsets\": 7}'"
    )
    await database.execute("""UPDATE projects SET delegate = '{"jobsets": true}'""")
    found = await both.look()
    assert (found.status, found.failures) == ("failed", 1)


async def test_a_row_that_was_changed_by_hand_delegates_nothing(both: Delegating, database: Database) -> None:
    await both.declare()
    await database.execute("""UPDATE projects SET delegate = '{"jobsets": true, "limits": "none"}'""")
    found = await both.push(JOBSETS)
    assert "does not delegate jobsets" in found.errors[0].message
    await database.execute("""UPDATE projects SET delegate = '{"jobsets": 7, "channels": []}'""")
    assert (await both.declare(delegating(both.hello.url) + "    description: x\n")).status == "synced"
    assert (await both.look()).status == "synced"
