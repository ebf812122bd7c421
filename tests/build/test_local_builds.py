"""Building in the head's own store, with real Nix."""

import asyncio
import hashlib
import subprocess
from pathlib import Path

import msgspec

from fc.base.database import Database
from fc.base.nix_cli import Nix
from fc.base.settings import Settings
from fc.tables.build_queries import build_metrics, build_products
from tests.support.farm import (
    Farm,
    build_row,
    finished,
    make_services,
    record,
    statuses,
    steps,
    until,
)

CHAIN = """rec {
  first = build "first" "echo making first; mkdir $out; echo one > $out/file" { };
  second = build "second" "echo making second; cat ${first}/file > $out" { };
}"""


async def test_builds_succeed_one_after_the_other(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path
) -> None:
    recorded = await record(database, nix, tmp_path, CHAIN)
    async with farm.working():
        assert await finished(database, recorded) == {"first": "succeeded", "second": "succeeded"}

    first = await build_row(database, recorded.builds["first"])
    assert nix.physical(first["build_output_path"]).joinpath("file").read_text() == "one\n"
    assert first["outputs"] == {"out": first["build_output_path"]}
    assert first["started_at"] <= first["completed_at"] == first["notification_pending_since"]
    assert await steps(database, recorded.builds["second"]) == [("second", "local", "succeeded")]
    log = (farm.data_dir / first["log_path"]).read_text()
    assert "making first\n" in log
    assert log.splitlines()[0].startswith("[fc] ")


async def test_a_failure_is_recorded_with_its_reason_and_fails_what_needs_it(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path
) -> None:
    expression = """let
      bad = build "bad" "echo on my way; exit 3" { };
      between = build "between" "cat ${bad} > $out" { };
    in {
      inherit bad;
      after = build "after" "cat ${between} > $out" { };
      fine = build "fine" "echo fine > $out" { };
    }"""
    recorded = await record(database, nix, tmp_path, expression)
    async with farm.working():
        assert await finished(database, recorded) == {
            "bad": "failed",
            "after": "dependency_failed",
            "fine": "succeeded",
        }

    bad = await build_row(database, recorded.builds["bad"])
    assert "failed with exit code 3" in bad["error_message"]
    assert "\x1b" not in bad["error_message"]
    assert bad["notification_pending_since"] == bad["completed_at"]
    assert "on my way" in (farm.data_dir / bad["log_path"]).read_text()
    after = await build_row(database, recorded.builds["after"])
    assert after["error_message"] == "bad, which it needs, failed"
    assert after["started_at"] is None
    assert await steps(database, recorded.builds["after"]) == []
    by_name = {
        row["name"]: row["status"] for row in await database.fetch("SELECT name, status FROM derivations")
    }
    assert by_name["between"] == "dependency_failed"
    remembered = await database.fetchrow("SELECT * FROM failed_paths_cache")
    assert remembered is not None
    assert (remembered["drv_path"], remembered["source_build_id"]) == (
        recorded.drv_paths["bad"],
        recorded.builds["bad"],
    )
    assert await database.fetchval("SELECT count(*) FROM derivation_demands") == 0


async def test_what_has_failed_before_is_not_tried_again(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path
) -> None:
    expression = """rec {
      bad = build "bad" "exit 3" { };
      after = build "after" "cat ${bad} > $out" { };
    }"""
    first = await record(database, nix, tmp_path, expression)
    async with farm.working():
        await finished(database, first)
        second = await record(database, nix, tmp_path, expression)
        assert await finished(database, second) == {"bad": "cached_failure", "after": "dependency_failed"}
        assert await steps(database, second.builds["bad"]) == []
        assert (await build_row(database, second.builds["bad"]))["notification_pending_since"] is not None
        # Forgotten by an administrator: tried again.
        await database.execute("DELETE FROM failed_paths_cache")
        third = await record(database, nix, tmp_path, expression)
        assert await finished(database, third) == {"bad": "failed", "after": "dependency_failed"}
        assert await steps(database, third.builds["bad"]) == [("bad", "local", "failed")]


async def test_steps_of_a_derivation_that_is_no_job_are_shown_at_the_oldest_build_that_needs_it(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path
) -> None:
    expression = """let
      low = build "low" "echo low > $out" { };
      middle = build "middle" "cat ${low} > $out" { };
    in {
      top = build "top" "cat ${middle} > $out" { };
    }"""
    recorded = await record(database, nix, tmp_path, expression)
    async with farm.working():
        assert await finished(database, recorded) == {"top": "succeeded"}
    assert await steps(database, recorded.builds["top"]) == [
        ("low", "local", "succeeded"),
        ("middle", "local", "succeeded"),
        ("top", "local", "succeeded"),
    ]


async def test_the_log_can_be_read_while_the_build_runs(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path, gate: Path
) -> None:
    expression = """{
      slow = build "slow" "echo begun; while [ ! -e /gate/go ]; do sleep 0.05; done; echo ended >&2; echo x > $out" { };
    }"""
    recorded = await record(database, nix, tmp_path, expression)

    async def begun() -> bool:
        log_path = (await build_row(database, recorded.builds["slow"]))["log_path"]
        file = farm.data_dir / (log_path or "nowhere")
        return log_path is not None and file.exists() and "begun" in file.read_text()

    async with farm.working():
        await until(begun, "the log has its first line")
        assert await statuses(database, recorded) == {"slow": "running"}
        row = await build_row(database, recorded.builds["slow"])
        assert row["started_at"] is not None
        (gate / "go").touch()
        await finished(database, recorded)
    assert "ended" in (farm.data_dir / row["log_path"]).read_text()


async def test_products_and_metrics_are_read_from_the_outputs(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path
) -> None:
    expression = """{
      site = build "site" ''
        mkdir -p $out/nix-support $doc
        echo page > $out/index.html
        ln -s /etc/passwd $out/outside
        ln -s $doc $out/manual
        {
          echo "doc manual $out/manual index.html"
          echo "report page $out/index.html"
          echo "file none $out/outside"
          echo "file none $out/absent"
          echo "file none /etc/passwd"
        } > $out/nix-support/hydra-build-products
        echo "coverage 81.5 %" > $out/nix-support/hydra-metrics
      '' { outputs = [ "out" "doc" ]; };
      plain = build "plain" "echo hello > $out" { };
    }"""
    recorded = await record(database, nix, tmp_path, expression)
    async with farm.working():
        assert set((await finished(database, recorded)).values()) == {"succeeded"}
    products = {one.name: one for one in await build_products(database, recorded.builds["site"])}
    assert products.keys() == {"manual", "index.html"}
    assert products["manual"].is_directory
    assert products["manual"].content_type == "doc manual"
    page = products["index.html"]
    assert (page.file_size, page.sha256_hash) == (5, hashlib.sha256(b"page\n").hexdigest())
    metrics = {
        one.name: (one.value, one.unit) for one in await build_metrics(database, recorded.builds["site"])
    }
    assert metrics["coverage"] == (81.5, "%")
    assert metrics["nar_size_bytes"][0] > 0
    (whole,) = await build_products(database, recorded.builds["plain"])
    assert (whole.name, whole.content_type, whole.file_size) == ("plain", "nix-build", 6)
    assert whole.sha256_hash == hashlib.sha256(b"hello\n").hexdigest()
    facts = await database.fetch("SELECT path, nar_hash, nar_size FROM derivation_outputs")
    assert all(row["nar_hash"].startswith("sha256:") and row["nar_size"] > 0 for row in facts)


async def test_an_output_that_calls_itself_a_failure_is_one_but_can_be_used(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path
) -> None:
    expression = """rec {
      tests = build "tests" "mkdir -p $out/nix-support; touch $out/nix-support/failed; echo 3 bad > $out/report" { };
      summary = build "summary" "cat ${tests}/report > $out" { };
    }"""
    recorded = await record(database, nix, tmp_path, expression)
    async with farm.working():
        assert await finished(database, recorded) == {"tests": "failed_with_output", "summary": "succeeded"}
    row = await build_row(database, recorded.builds["tests"])
    assert row["build_output_path"] is not None
    assert await steps(database, recorded.builds["tests"]) == [("tests", "local", "failed_with_output")]
    assert await database.fetchval("SELECT count(*) FROM failed_paths_cache") == 0


async def test_limits_of_time_silence_and_log_end_builds_by_their_names(
    settings: Settings, database: Database, nix: Nix, tmp_path: Path
) -> None:
    expression = """{
      long = build "long" "while true; do echo tick; sleep 0.2; done" { };
      silent = build "silent" "sleep 60" { };
      loud = build "loud" "while true; do echo 0123456789012345678901234567890123456789012345678901234567890123456789; done" { };
    }"""
    limits = msgspec.structs.replace(settings.builders, local_jobs=3, max_log_mb=1)
    tight = msgspec.structs.replace(settings, builders=limits)
    recorded = await record(database, nix, tmp_path, expression)
    await database.execute("UPDATE derivations SET timeout = 1 WHERE name = 'long'")
    await database.execute("UPDATE derivations SET max_silent = 1 WHERE name = 'silent'")
    async with Farm(make_services(tight, database, nix)).working():
        assert await finished(database, recorded) == {
            "long": "timeout",
            "silent": "timeout",
            "loud": "log_limit_exceeded",
        }
    loud = await build_row(database, recorded.builds["loud"])
    size = (tight.data_dir / loud["log_path"]).stat().st_size
    assert 900_000 < size < (1 << 20) + (1 << 17)
    assert await database.fetchval("SELECT count(*) FROM failed_paths_cache") == 0


async def test_what_is_in_the_store_already_is_settled_without_building(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path
) -> None:
    recorded = await record(database, nix, tmp_path, CHAIN)
    realised = nix.command("nix-store", "--realise", recorded.drv_paths["second"])
    await asyncio.to_thread(subprocess.run, realised, env=nix.environment(), check=True, capture_output=True)
    async with farm.working():
        assert await finished(database, recorded) == {"first": "succeeded", "second": "succeeded"}
    second = await build_row(database, recorded.builds["second"])
    assert second["notification_pending_since"] is not None
    assert second["started_at"] is None
    assert await steps(database, recorded.builds["second"]) == []
    assert [one.name for one in await build_products(database, recorded.builds["second"])] == ["second"]


async def test_a_second_evaluation_of_the_same_derivations_shares_their_results(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path
) -> None:
    first = await record(database, nix, tmp_path, CHAIN)
    async with farm.working():
        await finished(database, first)
        second = await record(database, nix, tmp_path, CHAIN, jobset="other")
        assert await finished(database, second) == {"first": "succeeded", "second": "succeeded"}
    assert await steps(database, second.builds["second"]) == []
    one, other = [await build_row(database, found.builds["second"]) for found in (first, second)]
    assert one["outputs"] == other["outputs"]
    assert other["log_path"] == one["log_path"]


async def test_inputs_that_were_collected_are_built_again(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path
) -> None:
    first = await record(database, nix, tmp_path, CHAIN)
    async with farm.working():
        await finished(database, first)
    roots = nix.physical("/nix/var/nix/gcroots")
    for root in list(roots.glob("fc-*/*")):
        root.unlink()
    paths = [
        (await build_row(database, first.builds[job]))["build_output_path"] for job in ("second", "first")
    ]
    delete = nix.command("nix-store", "--delete", *paths)
    await asyncio.to_thread(subprocess.run, delete, env=nix.environment(), check=True, capture_output=True)

    more = f'let chain = {CHAIN}; in {{ third = build "third" "cat ${{chain.second}} > $out" {{ }}; }}'
    again = await record(database, nix, tmp_path, more)
    async with farm.working():
        assert await finished(database, again) == {"third": "succeeded"}
    assert [name for name, *_ in await steps(database, again.builds["third"])] == ["first", "second", "third"]


async def test_outputs_of_builds_are_kept_from_the_collector(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path
) -> None:
    recorded = await record(database, nix, tmp_path, CHAIN)
    async with farm.working():
        await finished(database, recorded)
    collect = nix.command("nix-store", "--gc")
    await asyncio.to_thread(subprocess.run, collect, env=nix.environment(), check=True, capture_output=True)
    for build_id in recorded.builds.values():
        row = await build_row(database, build_id)
        assert nix.physical(row["build_output_path"]).exists()
    root = await database.fetchval("SELECT gc_root_path FROM build_products LIMIT 1")
    assert Path(root).is_symlink()


async def test_a_derivation_of_a_kind_that_cannot_be_built_is_aborted_with_the_reason(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path
) -> None:
    recorded = await record(database, nix, tmp_path, CHAIN)
    nix.physical("/nix/store").chmod(0o755)
    nix.physical(recorded.drv_paths["first"]).unlink()
    async with farm.working():
        assert await finished(database, recorded) == {"first": "aborted", "second": "dependency_failed"}
    row = await build_row(database, recorded.builds["first"])
    assert "evaluate the jobset again" in row["error_message"]
