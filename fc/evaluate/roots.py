"""Garbage collector roots for the derivations of an evaluation: its .drv files and all they need stay."""

import asyncio
import os
import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path

from fc.base.errors import NixError
from fc.base.nix_cli import Nix
from fc.base.process import run_process

_SECONDS = 600


async def add_roots(nix: Nix, evaluation: uuid.UUID, drv_paths: Iterable[str]) -> Path:
    """Keep derivations from garbage collection until ``remove_roots``; the directory of the roots.

    Raises:
        NixError: a derivation is gone already, or roots cannot be made.
    """
    wanted = sorted(set(drv_paths))
    directory = roots_directory(nix, evaluation)
    if _direct_directory(nix) is not None:
        await asyncio.to_thread(_link, directory, wanted)
    elif wanted:
        await _link_by_nix(nix, directory, wanted)
    # Only after the roots stand is it sure that what is there stays there.
    gone = [path for path in wanted if not nix.physical(path).exists()]
    if gone:
        message = f"{len(gone)} derivations are no longer in the store, such as {gone[0]}: garbage was collected meanwhile"
        raise NixError(message)
    return directory


async def remove_roots(nix: Nix, evaluation: uuid.UUID) -> None:
    """Let go of an evaluation's derivations."""
    await asyncio.to_thread(shutil.rmtree, roots_directory(nix, evaluation), ignore_errors=True)


def roots_directory(nix: Nix, evaluation: uuid.UUID) -> Path:
    """Where the roots of an evaluation are."""
    top = _direct_directory(nix) or nix.home.parent / "gcroots"
    return top / "fc" / str(evaluation)


def _direct_directory(nix: Nix) -> Path | None:
    """The store's own directory of roots, where we may write to it; a daemon's we may not."""
    directory = nix.physical("/nix/var/nix/gcroots")
    if nix.store_root is not None or (nix.store is None and os.access(directory, os.W_OK)):
        return directory
    return None


def _link(directory: Path, drv_paths: list[str]) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    for path in drv_paths:
        link = directory / path.rpartition("/")[2]
        if not link.is_symlink():
            link.symlink_to(path)


async def _link_by_nix(nix: Nix, directory: Path, drv_paths: list[str]) -> None:
    """Let Nix make indirect roots: it takes anything that looks like a derivation, and roots its ``drvPath``."""
    await asyncio.to_thread(directory.mkdir, parents=True, exist_ok=True)
    listed = " ".join(
        f'{{ type = "derivation"; name = "x"; outputName = "out"; drvPath = "{path}"; outPath = "{path}"; }}'
        for path in drv_paths
    )
    result = await run_process(
        nix.command("nix-instantiate", "--add-root", str(directory / "job"), "--indirect", "-"),
        environment=nix.environment(),
        given=f"[ {listed} ]".encode(),
        timeout=_SECONDS,
    )
    if result.status != 0:
        message = (
            f"roots for derivations cannot be made: {result.errors.decode(errors='replace').strip()[-2000:]}"
        )
        raise NixError(message)
