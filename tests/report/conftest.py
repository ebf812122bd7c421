"""What reporting is tested with: rows of other stages, a forge with bad days, the services of a process."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from fc.base.database import Database
from fc.base.looping import Services
from fc.base.nix_cli import Nix
from fc.base.secrets import Secrets
from fc.base.settings import ForgeSettings, ForgesSettings, Settings
from tests.report.rows import Rows
from tests.report.sending import SECRET
from tests.support.forge import FaultyForge


@pytest.fixture
def rows(database: Database) -> Rows:
    return Rows(database)


@pytest.fixture
async def forge() -> AsyncIterator[FaultyForge]:
    async with FaultyForge(SECRET) as started:
        yield started


@pytest.fixture
def services(
    database: Database, settings: Settings, nix: Nix, tmp_path: Path, forge: FaultyForge
) -> Services:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "forge-token").write_text(SECRET)
    (tmp_path / "secrets" / "hook").write_text("hook secret")
    forges = ForgesSettings(github=ForgeSettings(url=forge.url), gitea=ForgeSettings(url=forge.url))
    return Services(
        settings=msgspec.structs.replace(settings, forges=forges),
        database=database,
        secrets=Secrets(tmp_path / "secrets"),
        nix=nix,
        worker="test:1",
    )
