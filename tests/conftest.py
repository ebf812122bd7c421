"""Fixtures: one real PostgreSQL a run, one cloned database a test, a Nix with a store of its own."""

import asyncio
import os
import shutil
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from fc.base.database import Database
from fc.base.embedded import EmbeddedPostgres
from fc.base.nix_cli import Nix
from fc.base.settings import NixSettings, Settings, WebSettings
from fc.tables.migrate import migrate_up

_SERVER = pytest.StashKey[EmbeddedPostgres]()
_DIRECTORY = pytest.StashKey[Path]()
_MEMORY = Path("/dev/shm")
_ENOUGH_BYTES = 2 << 30


def _with_database(url: str, name: str) -> str:
    return url.replace("@/postgres?", f"@/{name}?")


async def _make_template(url: str) -> None:
    connection = await asyncpg.connect(url)
    # Nobody wants these databases after a power cut, and each clone would wait for the disk.
    for setting in ("fsync", "full_page_writes", "synchronous_commit"):
        await connection.execute(f"ALTER SYSTEM SET {setting} = off")
    await connection.execute("SELECT pg_reload_conf()")
    await connection.execute("CREATE DATABASE fc_template")
    await connection.close()
    await migrate_up(_with_database(url, "fc_template"))


def _fast_directory() -> Path | None:
    """Memory that looks like a disk, if there is enough of it; none: the usual place."""
    # A clone is a thousand small files, which many disks take ten times as long to make as memory does.
    try:
        enough = shutil.disk_usage(_MEMORY).free > _ENOUGH_BYTES and os.access(_MEMORY, os.W_OK)
    except OSError:
        return None
    return _MEMORY if enough else None


def pytest_configure(config: pytest.Config) -> None:
    """Start the server once: by the process that leads the run, not by its workers."""
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    directory = Path(tempfile.mkdtemp(prefix="fc-tests-", dir=_fast_directory()))
    server = EmbeddedPostgres(directory)
    url = server.start()
    asyncio.run(_make_template(url))
    config.stash[_SERVER] = server
    config.stash[_DIRECTORY] = directory


def pytest_configure_node(node: object) -> None:
    """Tell each worker where the server is."""
    node.workerinput["postgres_url"] = node.config.stash[_SERVER].url  # type: ignore[attr-defined]  # xdist's hook has no types


def pytest_unconfigure(config: pytest.Config) -> None:
    """Leave no process and no file behind."""
    server = config.stash.get(_SERVER, None)
    if server is not None:
        server.stop()
        shutil.rmtree(config.stash[_DIRECTORY], ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url(request: pytest.FixtureRequest) -> str:
    """The server of this run; for tests that make databases of their own."""
    workerinput = getattr(request.config, "workerinput", None)
    url = workerinput["postgres_url"] if workerinput is not None else request.config.stash[_SERVER].url
    assert isinstance(url, str)
    return url


@pytest.fixture
async def empty_database_url(postgres_url: str) -> AsyncIterator[str]:
    """A database without tables."""
    name = f"t_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    yield _with_database(postgres_url, name)
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


@pytest.fixture
async def database_url(postgres_url: str) -> AsyncIterator[str]:
    """A migrated database of this test's own."""
    name = f"t_{uuid.uuid4().hex}"
    connection = await asyncpg.connect(postgres_url)
    await connection.execute(f"CREATE DATABASE {name} TEMPLATE fc_template STRATEGY file_copy")
    yield _with_database(postgres_url, name)
    await connection.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await connection.close()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A pool on this test's own database."""
    opened = await Database.connect(database_url, size=6)
    yield opened
    await opened.close()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings with a data directory of this test's own, and a chroot store in it."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    return Settings(
        data_dir=data,
        web=WebSettings(port=0, public_url="https://fc.example.org"),
        nix=NixSettings(store=str(data / "nix-store"), options={"substituters": ""}),
    )


@pytest.fixture
def nix(settings: Settings) -> Iterator[Nix]:
    """A real Nix on a store of this test's own."""
    found = Nix.discover(settings)
    yield found
    # Store paths are read-only; their directories must be opened before they can be removed.
    if found.store_root is not None and found.store_root.exists():
        for path in [found.store_root, *found.store_root.rglob("*")]:
            if path.is_dir() and not path.is_symlink():
                path.chmod(0o755)
