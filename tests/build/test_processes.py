"""Several processes that build at once, and processes that die."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from fc.base.database import Database
from fc.base.nix_cli import Nix
from fc.base.settings import Settings
from tests.support.farm import (
    Farm,
    add_builder,
    build_row,
    finished,
    record,
    start_process,
    statuses,
    steps,
    until,
)
from tests.support.ssh import FaultyBuilder

NewBuilder = Callable[[str], FaultyBuilder]
StartProcess = Callable[[Settings], "subprocess.Popen[bytes]"]

# Each build notes that it runs, and how many run beside it; then it waits for the gate.
CROWD = "; ".join(
    f"""job{n} = build "job{n}" "touch /gate/run{n}; ls /gate | grep -c run >> /gate/most; """
    f"""while [ ! -e /gate/go ]; do sleep 0.05; done; sleep 0.1; rm /gate/run{n}; echo {n} > $out" far"""
    for n in range(8)
)
FAR = '{ requiredSystemFeatures = [ "far" ]; }'

GATED = "echo {0} >> /gate/begun; while [ ! -e /gate/go ]; do sleep 0.05; done; echo {0} >> /gate/ended; echo {0} > $out"
PAIR = f"""rec {{
  here = build "here" "{GATED.format("here")}" {{ preferLocalBuild = true; }};
  there = build "there" "{GATED.format("there")}" {FAR};
  both = build "both" "cat ${{here}} ${{there}} > $out" {{ }};
}}"""


@pytest.fixture
def process(database_url: str) -> Iterator[StartProcess]:
    """Starts processes that build; none outlives the test."""
    started: list[subprocess.Popen[bytes]] = []

    def start(settings: Settings) -> "subprocess.Popen[bytes]":
        started.append(start_process(settings, database_url))
        return started[-1]

    yield start
    for one in started:
        one.terminate()
    for one in started:
        try:
            one.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(one.pid, signal.SIGKILL)
            one.wait()


async def test_max_jobs_is_a_hard_limit_for_all_processes_together(
    settings: Settings,
    database: Database,
    nix: Nix,
    tmp_path: Path,
    gate: Path,
    new_builder: NewBuilder,
    process: StartProcess,
) -> None:
    builder = new_builder("big-1")
    async with builder:
        await add_builder(database, "big-1", builder, max_jobs=3, supported_features=["far"])
        recorded = await record(database, nix, tmp_path, f"let far = {FAR}; in {{ {CROWD}; }}")
        process(settings)
        process(settings)

        async def full() -> bool:
            return len(list(gate.glob("run*"))) == 3

        await until(full, "three builds run")
        (gate / "go").touch()
        assert set((await finished(database, recorded)).values()) == {"succeeded"}
    assert max(map(int, (gate / "most").read_text().split())) == 3


async def test_two_processes_never_build_one_derivation_twice(
    settings: Settings, database: Database, nix: Nix, tmp_path: Path, gate: Path, process: StartProcess
) -> None:
    shared = msgspec.structs.replace(
        settings, builders=msgspec.structs.replace(settings.builders, local_jobs=3)
    )
    jobs = "; ".join(
        f'job{n} = build "job{n}" "echo {n} >> /gate/built; echo {n} > $out" {{ }}' for n in range(40)
    )
    recorded = await record(database, nix, tmp_path, f"{{ {jobs}; }}")
    process(shared)
    process(shared)
    assert set((await finished(database, recorded)).values()) == {"succeeded"}
    built = (gate / "built").read_text().split()
    assert sorted(map(int, built)) == list(range(40))
    workers = await database.fetchval("SELECT count(DISTINCT build_id) FROM build_steps")
    assert workers == await database.fetchval("SELECT count(*) FROM build_steps") == 40


async def test_a_killed_process_leaves_nothing_lost_and_nothing_built_twice_to_the_end(
    settings: Settings,
    database: Database,
    nix: Nix,
    tmp_path: Path,
    gate: Path,
    new_builder: NewBuilder,
    process: StartProcess,
) -> None:
    two = msgspec.structs.replace(settings, builders=msgspec.structs.replace(settings.builders, local_jobs=2))
    builder = new_builder("big-1")
    async with builder:
        await add_builder(database, "big-1", builder, supported_features=["far"])
        recorded = await record(database, nix, tmp_path, PAIR)
        first = process(two)

        async def begun(times: int) -> bool:
            file = gate / "begun"
            return file.exists() and len(file.read_text().split()) == times

        await until(lambda: begun(2), "both builds run")
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        assert await statuses(database, recorded) == {
            "here": "running",
            "there": "running",
            "both": "pending",
        }

        process(two)
        await until(lambda: begun(4), "both builds were begun again, at once and not when their leases ended")
        leases = await database.fetchval("SELECT count(*) FROM derivations WHERE lease_until < now()")
        assert leases == 0
        (gate / "go").touch()
        assert set((await finished(database, recorded)).values()) == {"succeeded"}
    assert sorted((gate / "ended").read_text().split()) == ["here", "there"]
    assert await steps(database, recorded.builds["here"]) == [
        ("here", "local", "aborted"),
        ("here", "local", "succeeded"),
    ]
    assert await steps(database, recorded.builds["there"]) == [
        ("there", "big-1", "aborted"),
        ("there", "big-1", "succeeded"),
    ]
    assert await database.fetchval("SELECT max(attempts) FROM derivations") == 0


async def test_what_was_built_but_never_recorded_is_recognised_after_a_restart(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path
) -> None:
    recorded = await record(database, nix, tmp_path, '{ job = build "job" "echo x > $out" { }; }')
    # The process was killed between the end of the build and its settlement.
    await database.execute(
        """UPDATE derivations SET status = 'running', claim_token = gen_random_uuid(),
        lease_until = now() - interval '1 second', worker = 'gone:1 nowhere/1/1'"""
    )
    await database.execute("UPDATE builds SET status = 'running', started_at = now()")
    realised = nix.command("nix-store", "--realise", recorded.drv_paths["job"])
    await asyncio.to_thread(subprocess.run, realised, env=nix.environment(), check=True, capture_output=True)
    async with farm.working():
        assert await finished(database, recorded) == {"job": "succeeded"}
    assert await steps(database, recorded.builds["job"]) == []
    assert (await build_row(database, recorded.builds["job"]))["outputs"] is not None


async def test_a_claim_that_was_taken_over_ends_the_build_and_its_result_changes_nothing(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path, gate: Path
) -> None:
    expression = """{
      job = build "job" "echo begun >> /gate/begun; while [ ! -e /gate/go ]; do sleep 0.05; done; echo x > $out" { };
    }"""
    recorded = await record(database, nix, tmp_path, expression)

    async def running() -> bool:
        return (gate / "begun").exists()

    async with farm.working() as loop:
        await until(running, "the build runs")
        await database.execute("UPDATE derivations SET claim_token = gen_random_uuid(), worker = NULL")

        async def ended() -> bool:
            return not loop.work.claims

        await until(ended, "the process noticed")
        assert await statuses(database, recorded) == {"job": "running"}
    assert await statuses(database, recorded) == {"job": "running"}
