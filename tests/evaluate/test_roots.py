"""Garbage collector roots, tried by collecting garbage."""

import uuid
from pathlib import Path

import pytest

from fc.base.errors import NixError
from fc.base.nix_cli import Nix
from fc.base.process import run_process
from fc.evaluate.request import EvaluationRequest
from fc.evaluate.roots import add_roots, remove_roots, roots_directory
from fc.evaluate.sharded import ShardedEvaluation
from tests.support.evaluating import release


async def _collect_garbage(nix: Nix) -> None:
    result = await run_process(nix.command("nix-store", "--gc"), environment=nix.environment(), timeout=60)
    assert result.status == 0, result.errors


async def _drv_paths(nix: Nix, tmp_path: Path) -> dict[str, str]:
    source = tmp_path / "source"
    source.mkdir()
    (source / "release.nix").write_text(
        release('rec { lib = make "lib" { }; app = make "app" { inherit lib; }; other = make "o" { }; }')
    )
    request = EvaluationRequest(source=source, revision="a" * 40, expression="release.nix")
    return {job.attr: job.drv_path for job in (await ShardedEvaluation(nix, request).run()).jobs}


async def test_derivations_stay_until_their_roots_are_removed(nix: Nix, tmp_path: Path) -> None:
    paths = await _drv_paths(nix, tmp_path)
    evaluation = uuid.uuid4()
    for _ in range(2):
        await add_roots(nix, evaluation, [paths["app"]])
    await _collect_garbage(nix)
    assert {job: nix.physical(path).exists() for job, path in paths.items()} == {
        "app": True,
        "lib": True,
        "other": False,
    }
    with pytest.raises(NixError, match="no longer in the store"):
        await add_roots(nix, evaluation, paths.values())
    await remove_roots(nix, evaluation)
    await remove_roots(nix, evaluation)
    await _collect_garbage(nix)
    assert not nix.physical(paths["app"]).exists()


async def test_where_the_state_belongs_to_a_daemon_nix_makes_the_roots(nix: Nix, tmp_path: Path) -> None:
    paths = await _drv_paths(nix, tmp_path)
    # As behind a daemon: nothing may be written beside the store. Only the physical paths of this store differ.
    guarded = _as_behind_a_daemon(nix)
    evaluation = uuid.uuid4()
    assert roots_directory(guarded, evaluation).is_relative_to(nix.home.parent)
    with pytest.raises(NixError, match="no longer in the store"):
        await add_roots(guarded, evaluation, paths.values())
    await _collect_garbage(nix)
    assert all(nix.physical(path).exists() for path in paths.values())
    await remove_roots(guarded, evaluation)
    await _collect_garbage(nix)
    assert not any(nix.physical(path).exists() for path in paths.values())


def _as_behind_a_daemon(nix: Nix) -> Nix:
    return Nix(
        bin_dir=nix.bin_dir, version=nix.version, store=nix.store, store_root=None, home=nix.home,
        options=nix.options, system=nix.system, systems=nix.systems,
    )  # fmt: skip
