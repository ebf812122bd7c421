"""A real Nix on another machine's store takes what was built from the cache, and checks its signature."""

import asyncio
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fc.base.settings import Settings
from fc.cache.api import ROUTES, cache_info
from fc.nix.signing import SigningKey
from tests.cache.conftest import World
from tests.support.web_app import serving


class Client:
    """Another machine: a chroot store of its own that knows the cache."""

    def __init__(self, world: World, address: str, root: Path, public_key: str) -> None:
        self._world = world
        self._address = address
        self.root = root
        self._options = (
            *("--option", "substituters", address),
            *("--option", "trusted-public-keys", public_key),
            *("--option", "require-sigs", "true"),
            *("--option", "narinfo-cache-negative-ttl", "0"),
        )

    async def realise(self, path: str) -> subprocess.CompletedProcess[str]:
        return await self._run("nix-store", "--realise", path, "--store", str(self.root), *self._options)

    async def copy(self, path: str) -> subprocess.CompletedProcess[str]:
        return await self._run(
            "nix", "copy", "--from", self._address, "--to", str(self.root), path, *self._options
        )

    async def has(self, path: str) -> bool:
        """Whether the path is valid there, not only lying around."""
        check = await self._run("nix-store", "--check-validity", path, "--store", str(self.root))
        return check.returncode == 0

    def physical(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    async def _run(self, program: str, *args: str) -> subprocess.CompletedProcess[str]:
        nix = self._world.nix
        home = self.root.parent / "client-home"
        home.mkdir(exist_ok=True)
        environment = nix.environment() | {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache")}
        command = [str(nix.bin_dir / program), *args]
        return await asyncio.to_thread(
            subprocess.run, command, env=environment, capture_output=True, text=True, timeout=120, check=False
        )


@pytest.fixture
async def address(world: World, settings: Settings) -> AsyncIterator[str]:
    async with serving(ROUTES, database=world.database, nix=world.nix, settings=settings) as address:
        yield address


@pytest.fixture
def public_key(settings: Settings) -> str:
    info = cache_info(settings)
    assert info is not None
    return info.public_key


async def test_a_closure_is_substituted_with_its_signatures_checked(
    world: World, address: str, public_key: str, tmp_path: Path
) -> None:
    library, app = await world.build("library"), await world.build("app")
    client = Client(world, address, tmp_path / "client", public_key)
    done = await client.realise(app)
    assert done.returncode == 0, done.stderr
    assert "copying path" in done.stderr
    assert "building" not in done.stderr
    assert client.physical(app).read_text() == world.nix.physical(app).read_text()
    assert client.physical(library).read_text() == "a library\n"
    data = client.physical(app).read_text().split()[1]
    assert client.physical(data).read_text() == "data that the app refers to\n"


async def test_nix_copy_works_too(world: World, address: str, public_key: str, tmp_path: Path) -> None:
    app = await world.build("app")
    client = Client(world, address, tmp_path / "client", public_key)
    done = await client.copy(app)
    assert done.returncode == 0, done.stderr
    assert await client.has(app)


async def test_without_the_right_key_nothing_is_taken(world: World, address: str, tmp_path: Path) -> None:
    app = await world.build("app")
    stranger = SigningKey.generate("fc.example.org-1").public_text
    client = Client(world, address, tmp_path / "client", stranger)
    for done in (await client.realise(app), await client.copy(app)):
        assert done.returncode != 0
    assert not await client.has(app)


async def test_contents_that_were_changed_are_not_taken(
    world: World, address: str, public_key: str, tmp_path: Path
) -> None:
    library = await world.build("library")
    client = Client(world, address, tmp_path / "client", public_key)
    place = world.nix.physical(library)
    place.chmod(0o644)
    place.write_text("a libracy\n")
    done = await client.copy(library)
    assert done.returncode != 0
    assert "hash mismatch" in done.stderr
    assert not await client.has(library)


async def test_what_was_never_built_is_not_there(
    world: World, address: str, public_key: str, tmp_path: Path
) -> None:
    loose = world.add("loose", b"in the store, but of nobody's output")
    client = Client(world, address, tmp_path / "client", public_key)
    assert (await client.copy(loose)).returncode != 0
    assert not await client.has(loose)
