"""Faults beyond lost connections: corrupt archives, a head in trouble, sources that are gone."""

import asyncio
import dataclasses
import subprocess
from collections.abc import Callable
from pathlib import Path

import asyncssh
import msgspec
import pytest

from fc.base.database import Database
from fc.base.nix_cli import Nix
from fc.base.settings import Settings
from fc.build.preparation import Prepared, UnbuildableError
from fc.build.remote import InputsMissingError, _require_inputs
from fc.build.roots import Roots
from fc.build.session import Session
from fc.build.ssh_carrier import SshAccess, SshCarrier
from fc.build.ssh_uri import parse_ssh_uri
from fc.build.store import LocalStore, references_first
from fc.build.transport import BuilderError, LocalCarrier
from fc.nix.derivation import BasicDerivation
from fc.nix.path_info import PathInfo
from tests.support.farm import (
    Farm,
    add_builder,
    build_row,
    finished,
    instantiate,
    make_services,
    record,
    statuses,
    steps,
    until,
)
from tests.support.ssh import FaultyBuilder

NewBuilder = Callable[[str], FaultyBuilder]
FAR = '{ requiredSystemFeatures = [ "far" ]; }'
ONE = f"""{{ job = build "job" "echo made > $out" {FAR}; }}"""


async def realise(nix: Nix, *paths: str) -> list[str]:
    command = nix.command("nix-store", "--realise", *paths)
    done = await asyncio.to_thread(
        subprocess.run, command, env=nix.environment(), check=True, capture_output=True, text=True
    )
    return str(done.stdout).split()


async def test_a_corrupt_output_is_the_builders_fault_and_never_enters_the_store(
    settings: Settings, database: Database, nix: Nix, tmp_path: Path, new_builder: NewBuilder
) -> None:
    few = msgspec.structs.replace(
        settings, builders=msgspec.structs.replace(settings.builders, max_attempts=2)
    )
    builder = new_builder("big-1")
    async with builder:
        drv_path = instantiate(builder.nix, tmp_path, ONE)["job"]
        (out,) = await realise(builder.nix, drv_path)
        file = builder.nix.physical(out)
        file.chmod(0o644)
        file.write_text("evil\n")
        await add_builder(database, "big-1", builder, supported_features=["far"])
        recorded = await record(database, nix, tmp_path, ONE)
        async with Farm(make_services(few, database, nix)).working():
            assert await finished(database, recorded) == {"job": "aborted"}
    row = await build_row(database, recorded.builds["job"])
    assert "does not have the hash it is said to have" in row["error_message"]
    assert not nix.physical(out).exists()


async def test_trouble_of_the_head_stops_nothing_for_good_and_costs_no_attempts(
    farm: Farm, database: Database, nix: Nix, tmp_path: Path
) -> None:
    recorded = await record(database, nix, tmp_path, '{ job = build "job" "echo x > $out" { }; }')
    obstacle = farm.data_dir / "logs"
    obstacle.write_text("where a directory is wanted")

    async def tried() -> bool:
        return len(await steps(database, recorded.builds["job"])) >= 2

    async with farm.working():
        await until(tried, "it was tried again")
        assert (await statuses(database, recorded))["job"] in {"pending", "running"}
        obstacle.unlink()
        assert await finished(database, recorded) == {"job": "succeeded"}
    assert await database.fetchval("SELECT attempts FROM derivations") == 0


def test_a_source_that_was_collected_can_only_come_back_by_an_evaluation() -> None:
    basic = BasicDerivation(
        outputs=(), input_srcs=("source", "made"), system="x", builder="/bin/sh", args=(), env={}
    )
    prepared = Prepared(basic, {}, ("source",))
    _require_inputs(prepared, {"source", "made"})
    with pytest.raises(InputsMissingError):
        _require_inputs(prepared, {"source"})
    with pytest.raises(UnbuildableError, match="evaluate the jobset again"):
        _require_inputs(prepared, set())


async def test_a_fixed_output_that_fails_again_and_again_is_a_failure_but_not_remembered(
    settings: Settings, database: Database, nix: Nix, tmp_path: Path
) -> None:
    few = msgspec.structs.replace(
        settings, builders=msgspec.structs.replace(settings.builders, max_attempts=2)
    )
    digest = "0" * 64
    attributes = f'{{ outputHash = "{digest}"; outputHashAlgo = "sha256"; }}'
    recorded = await record(
        database, nix, tmp_path, f'{{ fetch = build "fetch" "echo no route to host; exit 1" {attributes}; }}'
    )
    async with Farm(make_services(few, database, nix)).working():
        assert await finished(database, recorded) == {"fetch": "failed"}
    assert [status for *_, status in await steps(database, recorded.builds["fetch"])] == ["aborted", "failed"]
    assert await database.fetchval("SELECT count(*) FROM failed_paths_cache") == 0


async def test_a_pinned_key_is_asked_for_where_a_machine_has_several(
    nix: Nix, tmp_path: Path, new_builder: NewBuilder
) -> None:
    builder = new_builder("big-1")
    async with builder:
        assert builder._server is not None
        await builder.stop()
        builder._host_keys = [asyncssh.generate_private_key("ecdsa-sha2-nistp256"), builder._host_key]
        await builder.start()
        access = SshAccess(
            target=parse_ssh_uri(builder.ssh_uri),
            key_file=builder.client_key_file,
            host_keys=f"# by the administrator\n{builder.public_host_key}\n",
            trust_file=None,
            connect_timeout=10,
        )
        carrier = SshCarrier("big-1", access)
        async with Session(carrier) as session:
            assert await session.valid_paths([]) == set()
        await carrier.close()


async def test_roots_behind_a_daemon_are_made_known_to_it(nix: Nix, tmp_path: Path) -> None:
    drv_path = instantiate(nix, tmp_path, '{ job = build "job" "echo x > $out" { }; }')["job"]
    (out,) = await realise(nix, drv_path)
    # As for any store whose state is not ours to write.
    distant = dataclasses.replace(nix, store_root=None)
    roots = await Roots(distant, tmp_path / "data").add([out])
    assert roots[out].parent == tmp_path / "data" / "gcroots"
    await asyncio.to_thread(
        subprocess.run,
        nix.command("nix-store", "--gc"),
        env=nix.environment(),
        check=True,
        capture_output=True,
    )
    assert nix.physical(out).exists()
    roots[out].unlink()
    await asyncio.to_thread(
        subprocess.run,
        nix.command("nix-store", "--gc"),
        env=nix.environment(),
        check=True,
        capture_output=True,
    )
    assert not nix.physical(out).exists()


async def test_the_head_is_asked_again_when_its_process_was_ended(nix: Nix, tmp_path: Path) -> None:
    drv_path = instantiate(nix, tmp_path, '{ job = build "job" "echo x > $out" { }; }')["job"]
    (out,) = await realise(nix, drv_path)
    store = LocalStore(LocalCarrier(nix, "local"))
    assert await store.valid_paths([out, drv_path.replace("job", "jab")]) == {out}
    session = store._session
    assert session is not None
    await session.close()
    assert (await store.path_infos([out]))[out].deriver == drv_path
    assert [info.path for info in await store.closure([out])] == [out]
    await store.close()


async def test_a_nix_that_cannot_be_started_says_so(nix: Nix, tmp_path: Path) -> None:
    broken = dataclasses.replace(nix, bin_dir=tmp_path)
    with pytest.raises(BuilderError, match="cannot be started"):
        await LocalCarrier(broken, "local").open()


def test_references_come_first() -> None:
    infos = {
        path: PathInfo(path=path, references=references, nar_size=1)
        for path, references in {
            "a": ("b", "c", "a"),
            "b": ("d", "elsewhere"),
            "c": ("d",),
            "d": (),
        }.items()
    }
    order = [info.path for info in references_first(infos)]
    assert sorted(order) == ["a", "b", "c", "d"]
    assert order.index("d") < min(order.index("b"), order.index("c"))
    assert order[-1] == "a"
