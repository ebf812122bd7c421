"""Fixtures of building: a head with gates into its sandboxes, remote builders behind real SSH."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from fc.base.database import Database
from fc.base.nix_cli import Nix
from fc.base.settings import Settings
from tests.support.farm import Farm, farm_settings, make_services
from tests.support.ssh import FaultyBuilder


def _open_for_removal(root: Path) -> None:
    """Store paths are read-only; their directories must be opened before they can be removed."""
    for path in [root, *root.rglob("*")]:
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A directory that builds see as /gate: a build waits until a file is there, or leaves one behind."""
    directory = tmp_path / "gate"
    directory.mkdir(mode=0o777)
    directory.chmod(0o777)
    return directory


@pytest.fixture
def settings(tmp_path: Path, gate: Path) -> Settings:
    return farm_settings(tmp_path / "data", gate)


@pytest.fixture
def nix(settings: Settings) -> Iterator[Nix]:
    found = Nix.discover(settings)
    yield found
    assert found.store_root is not None
    _open_for_removal(found.store_root)


@pytest.fixture
def farm(settings: Settings, database: Database, nix: Nix) -> Farm:
    return Farm(make_services(settings, database, nix))


@pytest.fixture
async def new_builder(tmp_path: Path, nix: Nix) -> AsyncIterator[Callable[[str], FaultyBuilder]]:
    """Makes remote builders; they are stopped in the end."""
    made: list[FaultyBuilder] = []

    def make(name: str) -> FaultyBuilder:
        made.append(FaultyBuilder(tmp_path / name, nix))
        return made[-1]

    yield make
    for builder in made:
        await builder.stop()
        assert builder.nix.store_root is not None
        _open_for_removal(builder.nix.store_root)
