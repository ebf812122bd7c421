"""Building on remote builders: real SSH, real Nix with stores of their own, real faults."""

import asyncio
import uuid
from collections.abc import Callable
from pathlib import Path

import asyncssh
import msgspec
import pytest

from fc.base.database import Database
from fc.base.nix_cli import Nix
from fc.base.settings import Settings
from fc.tables.builder_queries import BuilderRow, builder_row
from tests.support.farm import (
    Farm,
    add_builder,
    build_row,
    finished,
    make_services,
    record,
    statuses,
    steps,
    until,
)
from tests.support.ssh import FaultyBuilder

NewBuilder = Callable[[str], FaultyBuilder]

REMOTE = '{ requiredSystemFeatures = [ "far" ]; }'
"""Attributes of what only the remote builders of these tests may build."""
ONE = f"""{{ job = build "job" "echo hello from afar; echo made > $out" {REMOTE}; }}"""
GATED = f"""{{
  job = build "job" "echo begun; while [ ! -e /gate/go ]; do sleep 0.05; done; echo made > $out" {REMOTE};
}}"""


async def declare(database: Database, name: str, builder: FaultyBuilder, **columns: object) -> uuid.UUID:
    return await add_builder(database, name, builder, **({"supported_features": ["far"]} | columns))


async def log_of(farm: Farm, database: Database, build_id: uuid.UUID) -> str:
    log_path = (await build_row(database, build_id))["log_path"]
    file = farm.data_dir / log_path if log_path is not None else None
    return file.read_text() if file is not None and file.exists() else ""


async def failing(database: Database, name: str) -> BuilderRow:
    async def has_failed() -> BuilderRow | None:
        row = await builder_row(database, name)
        return row if row is not None and row.consecutive_failures > 0 else None

    found: BuilderRow = await until(has_failed, f"{name} has failed")
    return found


async def test_a_build_runs_on_a_remote_builder_and_its_output_comes_home(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path, new_builder: NewBuilder
) -> None:
    builder = new_builder("big-1")
    async with builder:
        builder_id = await declare(database, "big-1", builder)
        recorded = await record(database, nix, tmp_path, ONE)
        async with farm.working():
            assert await finished(database, recorded) == {"job": "succeeded"}
    row = await build_row(database, recorded.builds["job"])
    assert nix.physical(row["build_output_path"]).read_text() == "made\n"
    assert row["builder_id"] == builder_id
    assert await steps(database, recorded.builds["job"]) == [("job", "big-1", "succeeded")]
    command = await database.fetchval("SELECT command FROM build_steps")
    assert command == f"build {recorded.drv_paths['job']} on big-1"
    log = await log_of(farm, database, recorded.builds["job"])
    assert "hello from afar\n" in log
    found = await builder_row(database, "big-1")
    assert found is not None
    assert (found.health, found.running) == ("ok", 0)


async def test_a_failing_build_and_a_long_log_come_home_whole(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path, new_builder: NewBuilder
) -> None:
    script = (
        "i=0; while [ $i -lt 3000 ]; do echo line $i of a long log; i=$((i+1)); done; echo the end; exit 1"
    )
    builder = new_builder("big-1")
    async with builder:
        await declare(database, "big-1", builder)
        recorded = await record(database, nix, tmp_path, f"""{{ job = build "job" "{script}" {REMOTE}; }}""")
        async with farm.working():
            assert await finished(database, recorded) == {"job": "failed"}
    log = await log_of(farm, database, recorded.builds["job"])
    assert "line 2999 of a long log\nthe end\n" in log
    found = await builder_row(database, "big-1")
    assert found is not None
    assert found.consecutive_failures == 0


async def test_only_what_is_missing_is_copied(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path, new_builder: NewBuilder
) -> None:
    expression = f"""let
      here = {{ preferLocalBuild = true; }};
      big = build "big" "i=0; while [ $i -lt 40000 ]; do echo $i of many lines that fill a file; i=$((i+1)); done > $out" here;
      reference = build "reference" "echo ${{big}} > $out" here;
    in {{
      far = build "far" "read path < ${{reference}}; tail -n 1 $path > $out" {REMOTE};
      further = build "further" "read path < ${{reference}}; head -n 1 $path > $out" {REMOTE};
    }}"""
    builder = new_builder("big-1")
    async with builder:
        await declare(database, "big-1", builder)
        recorded = await record(database, nix, tmp_path, expression)
        async with farm.working():
            assert set((await finished(database, recorded)).values()) == {"succeeded"}
    far = await build_row(database, recorded.builds["far"])
    assert nix.physical(far["build_output_path"]).read_text() == "39999 of many lines that fill a file\n"
    logs = [await log_of(farm, database, build_id) for build_id in recorded.builds.values()]
    copied = sorted(log.count("copying") for log in logs)
    assert copied == [0, 1]
    assert sum("copying 2 paths" in log for log in logs) == 1


async def test_a_connection_that_is_lost_in_mid_build_is_retried_elsewhere(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path, gate: Path, new_builder: NewBuilder
) -> None:
    first, second = new_builder("big-1"), new_builder("big-2")
    async with first, second:
        await declare(database, "big-1", first, speed_factor=9)
        recorded = await record(database, nix, tmp_path, GATED)
        job = recorded.builds["job"]

        async def begun() -> bool:
            return "begun" in await log_of(farm, database, job)

        async with farm.working():
            await until(begun, "the build runs")
            await declare(database, "big-2", second)
            first.drop_connections()
            found = await failing(database, "big-1")
            assert "connection" in (found.last_error or "")
            (gate / "go").touch()
            assert await finished(database, recorded) == {"job": "succeeded"}
    assert await steps(database, job) == [("job", "big-1", "aborted"), ("job", "big-2", "succeeded")]
    row = await build_row(database, job)
    assert (row["retry_count"], row["error_message"]) == (1, None)
    derivation = await database.fetchrow("SELECT attempts, builder_name, error_message FROM derivations")
    assert derivation is not None
    assert tuple(derivation) == (1, "big-2", None)


async def test_attempts_that_are_lost_again_and_again_end_as_aborted_with_the_reason(
    settings: Settings, database: Database, nix: Nix, tmp_path: Path, new_builder: NewBuilder
) -> None:
    limits = msgspec.structs.replace(settings.builders, max_attempts=2)
    few = msgspec.structs.replace(settings, builders=limits)
    builder = new_builder("big-1")
    async with builder:
        await declare(database, "big-1", builder)
        recorded = await record(database, nix, tmp_path, GATED)
        farm = Farm(make_services(few, database, nix))

        async with farm.working():
            for attempt in (1, 2):

                async def begun(times: int = attempt) -> bool:
                    return (await log_of(farm, database, recorded.builds["job"])).count("\nbegun\n") == times

                await until(begun, f"attempt {attempt} runs")
                builder.drop_connections()
            assert await finished(database, recorded) == {"job": "aborted"}
    row = await build_row(database, recorded.builds["job"])
    assert row["error_message"].endswith("(attempt 2 of 2)")
    assert await database.fetchval("SELECT count(*) FROM failed_paths_cache") == 0


async def test_a_full_outage_costs_no_attempts_and_makes_the_builder_wait(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path, new_builder: NewBuilder
) -> None:
    builder = new_builder("big-1")
    await builder.start()
    await declare(database, "big-1", builder, max_jobs=4)
    await builder.stop()
    jobs = "; ".join(f'job{n} = build "job{n}" "echo {n} > $out" {REMOTE}' for n in range(6))
    recorded = await record(database, nix, tmp_path, f"{{ {jobs}; }}")

    async def twice() -> bool:
        row = await builder_row(database, "big-1")
        return row is not None and row.consecutive_failures >= 2

    async with farm.working():
        found = await failing(database, "big-1")
        # Four builds could begin at once, and all found it away: one failure.
        assert found.disabled_until is not None
        assert found.last_failure is not None
        await until(twice, "it was tried again")
        assert set((await statuses(database, recorded)).values()) == {"pending"}
        assert await database.fetchval("SELECT count(*) FROM build_steps") == 0
        await builder.start()
        assert set((await finished(database, recorded)).values()) == {"succeeded"}
    assert await database.fetchval("SELECT max(attempts) FROM derivations") == 0
    after = await builder_row(database, "big-1")
    assert after is not None
    assert (after.health, after.last_error, after.disabled_until) == ("ok", None, None)


@pytest.mark.parametrize(
    ("columns", "fault", "said"),
    [
        ({}, "key", "refuses the key"),
        ({}, "banner", "does not speak Nix's serve protocol"),
        ({"public_host_key": None}, "", "host key is not known"),
        ({"public_host_key": "ssh-ed25519 nonsense"}, "", "cannot be read"),
        ({"public_host_key": ""}, "", "is empty"),
        ({"ssh_key_file": None}, "", "no key to enter it with"),
        ({"ssh_key_file": "/nowhere/key"}, "", "cannot be used"),
        ({"ssh_uri": "ssh-ng://builder@127.0.0.1"}, "", "write ssh://"),
        ({"ssh_uri": "ssh://-oProxyCommand=touch$IFS/"}, "", "no valid host name"),
        ({"ssh_uri": "ssh://127.0.0.1:1"}, "", "no connection"),
    ],
)
async def test_a_builder_that_cannot_be_used_says_why_and_costs_no_attempts(
    farm: Farm,
    database: Database,
    nix: Nix,
    tmp_path: Path,
    new_builder: NewBuilder,
    columns: dict[str, str | None],
    fault: str,
    said: str,
) -> None:
    builder = new_builder("big-1")
    builder.refuses_key = fault == "key"
    builder.banner = b"Welcome to big-1!\n" if fault == "banner" else b""
    async with builder:
        await declare(database, "big-1", builder, **columns)
        recorded = await record(database, nix, tmp_path, ONE)
        async with farm.working():
            found = await failing(database, "big-1")
            assert said in (found.last_error or "")
            assert await statuses(database, recorded) == {"job": "pending"}
    assert await database.fetchval("SELECT max(attempts) FROM derivations") == 0
    assert await database.fetchval("SELECT count(*) FROM build_steps") == 0


async def test_another_host_key_than_the_pinned_one_is_refused(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path, new_builder: NewBuilder
) -> None:
    builder = new_builder("big-1")
    async with builder:
        other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
        await declare(database, "big-1", builder, public_host_key=other)
        await record(database, nix, tmp_path, ONE)
        async with farm.working():
            found = await failing(database, "big-1")
    assert "does not show the host key that is pinned" in (found.last_error or "")
    assert builder.sessions == 0


async def test_a_key_trusted_on_first_use_is_pinned_from_then_on(
    settings: Settings, database: Database, nix: Nix, tmp_path: Path, new_builder: NewBuilder
) -> None:
    trusting = msgspec.structs.replace(
        settings, builders=msgspec.structs.replace(settings.builders, trust_on_first_use=True)
    )
    builder = new_builder("big-1")
    async with builder:
        await declare(database, "big-1", builder, public_host_key=None)
        recorded = await record(database, nix, tmp_path, ONE)
        async with Farm(make_services(trusting, database, nix)).working():
            assert await finished(database, recorded) == {"job": "succeeded"}
        (kept,) = (trusting.data_dir / "host-keys").iterdir()
        assert kept.read_text().strip() == builder.public_host_key
        await builder.stop()
        builder._host_keys = [asyncssh.generate_private_key("ssh-ed25519")]
        await builder.start()
        await record(database, nix, tmp_path, ONE.replace("afar", "farther"))
        async with Farm(make_services(trusting, database, nix)).working():
            found = await failing(database, "big-1")
    assert "pinned" in (found.last_error or "")


async def test_a_slow_builder_is_waited_for(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path, new_builder: NewBuilder
) -> None:
    builder = new_builder("big-1")
    builder.pause = 1.0
    async with builder:
        await declare(database, "big-1", builder)
        recorded = await record(database, nix, tmp_path, ONE)
        async with farm.working():
            assert await finished(database, recorded) == {"job": "succeeded"}


async def test_many_builds_at_once_share_a_few_connections(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path, gate: Path, new_builder: NewBuilder
) -> None:
    jobs = "; ".join(
        f'job{n} = build "job{n}" "while [ ! -e /gate/go ]; do sleep 0.05; done; echo {n} > $out" {REMOTE}'
        for n in range(10)
    )
    builder = new_builder("big-1")
    async with builder:
        await declare(database, "big-1", builder, max_jobs=10)
        recorded = await record(database, nix, tmp_path, f"{{ {jobs}; }}")

        async def all_run() -> bool:
            return set((await statuses(database, recorded)).values()) == {"running"}

        async with farm.working():
            await until(all_run, "ten builds run at once")
            assert len(builder._connections) == 2
            (gate / "go").touch()
            assert set((await finished(database, recorded)).values()) == {"succeeded"}


async def test_a_builder_with_mandatory_features_builds_nothing_else(
    settings: Settings, database: Database, nix: Nix, tmp_path: Path, new_builder: NewBuilder
) -> None:
    no_local = msgspec.structs.replace(
        settings, builders=msgspec.structs.replace(settings.builders, local_jobs=0)
    )
    builder = new_builder("special")
    async with builder:
        await declare(database, "special", builder, supported_features=[], mandatory_features=["far"])
        expression = ONE.replace("}; }", '}; plain = build "plain" "echo x > $out" { }; }')
        recorded = await record(database, nix, tmp_path, expression)

        async def done() -> bool:
            return (await statuses(database, recorded))["job"] == "succeeded"

        async with Farm(make_services(no_local, database, nix)).working():
            await until(done, "the special build is done")
            await asyncio.sleep(0)
            assert (await statuses(database, recorded))["plain"] == "pending"


async def test_stopping_in_mid_build_hands_the_build_back_and_ends_it_on_the_builder(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path, gate: Path, new_builder: NewBuilder
) -> None:
    builder = new_builder("big-1")
    async with builder:
        await declare(database, "big-1", builder)
        recorded = await record(database, nix, tmp_path, GATED)

        async def begun() -> bool:
            return "begun" in await log_of(farm, database, recorded.builds["job"])

        async with farm.working():
            await until(begun, "the build runs")
        assert await statuses(database, recorded) == {"job": "pending"}
        row = await database.fetchrow("SELECT status, attempts, claim_token FROM derivations")
        assert row is not None
        assert tuple(row) == ("ready", 0, None)

        async def quiet() -> bool:
            return not builder._running

        await until(quiet, "the builder runs nothing")
        (gate / "go").touch()
        async with farm.working():
            assert await finished(database, recorded) == {"job": "succeeded"}
    assert await steps(database, recorded.builds["job"]) == [
        ("job", "big-1", "aborted"),
        ("job", "big-1", "succeeded"),
    ]
