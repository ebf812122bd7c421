"""Garbage collector roots: outputs that builds have made stay in the store."""

import asyncio
import contextlib
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from fc.base.errors import NixError
from fc.base.nix_cli import Nix
from fc.base.process import run_process
from fc.nix.storepath import parse_store_path

_SECONDS = 120.0
_STATE = "/nix/var/nix"


class Roots:
    """Makes roots in the head's store.

    Where the store's state can be written, a root is a symbolic link in a directory of FC's own below the store's
    ``gcroots``, which Nix follows as it stands. Behind a daemon it is a link below the data directory that
    ``nix-store --add-root`` has made known.
    """

    def __init__(self, nix: Nix, data_dir: Path) -> None:
        self._nix = nix
        self._indirect = data_dir.absolute() / "gcroots"
        mark = hashlib.sha256(os.fsencode(data_dir.absolute())).hexdigest()[:12]
        state = nix.physical(_STATE) / "gcroots"
        direct = nix.store is None or nix.store_root is not None
        self._direct = state / f"fc-{mark}" if direct else None

    async def add(self, paths: Sequence[str]) -> dict[str, Path]:
        """Keep ``paths``, which must be valid and locked; the root of each.

        Raises:
            NixError: a root cannot be made.
        """
        if self._direct is not None:
            directory = self._direct
            try:
                return {path: _link(directory, path) for path in paths}
            except OSError as error:
                message = f"the root of {', '.join(paths)} cannot be made: {error}"
                raise NixError(message) from error
        return dict(zip(paths, await asyncio.gather(*map(self._register, paths)), strict=True))

    async def _register(self, path: str) -> Path:
        root = self._indirect / parse_store_path(path).base_name
        root.parent.mkdir(parents=True, exist_ok=True)
        command = self._nix.command("nix-store", "--realise", path, "--add-root", str(root))
        finished = await run_process(command, environment=self._nix.environment(), timeout=_SECONDS)
        if finished.status != 0:
            message = f"the root of {path} cannot be made: {finished.errors.decode(errors='replace').strip()[-500:]}"
            raise NixError(message)
        return root


def _link(directory: Path, path: str) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    root = directory / parse_store_path(path).base_name
    with contextlib.suppress(FileExistsError):
        root.symlink_to(path)
    return root
