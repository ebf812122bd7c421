"""A central repository that delegates to the repository of one project, and both followed."""

from pathlib import Path
from typing import Any

import msgspec

from fc.base.database import Database
from fc.base.durations import Duration
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.base.source_settings import ConfigurationSettings
from fc.config import sources
from fc.config.delegated import claim_next
from fc.config.delegated_sync import synchronize_file
from fc.config.sync import Synchronizer
from fc.tables.configuration_queries import ConfigSource, config_sources
from tests.support.repository import Repository

ADMIN = "users: {ada: {email: ada@example.org, role: admin}}\n"
JOBSETS = "jobsets:\n  main: {nix_expression: hydraJobs}\n"


def delegating(url: str, name: str = "hello", delegate: str = "{jobsets: true, channels: true}") -> str:
    """A central configuration with one project."""
    said = f"    delegate: {delegate}\n" if delegate else ""
    return f"{ADMIN}projects:\n  {name}:\n    repository_url: {url}\n{said}"


class Delegating:
    """Both repositories, and what synchronises them."""

    def __init__(self, settings: Settings, database: Database, tmp_path: Path) -> None:
        self.database = database
        self.central = Repository(tmp_path / "central")
        self.hello = Repository(tmp_path / "hello")
        self.hello.commit({"flake.nix": "{ }\n"})
        configured = ConfigurationSettings(url=self.central.url, poll_interval=Duration(3600))
        self.settings = msgspec.structs.replace(settings, configuration=configured)
        self.synchronizer = Synchronizer(self.settings, database, Secrets(None))

    async def declare(self, text: str | None = None) -> ConfigSource:
        """Push a central configuration (none: the project with its delegation) and have it synchronised."""
        self.central.commit({"fc.yaml": delegating(self.hello.url) if text is None else text})
        await self.synchronizer.register()
        assert await self.synchronizer.synchronize()
        return await self.state("default")

    async def push(self, text: str | None, message: str = "Change something") -> ConfigSource:
        """Push the project's own file (none: remove it), and have it synchronised."""
        self.hello.commit({".fc.yaml": text}, message)
        return await self.look()

    async def look(self, name: str = "project/hello") -> ConfigSource:
        """Have the project's own file synchronised now."""
        assert await sources.request_sync(self.database, name)
        await self.synchronize()
        return await self.state(name)

    async def synchronize(self) -> bool:
        """Synchronise the next file that is due; false: none is."""
        due = await claim_next(self.database, unproven=True)
        if due is None:
            return False
        await synchronize_file(self.settings, self.database, due)
        return True

    async def state(self, name: str = "project/hello") -> ConfigSource:
        """A source as pages show it."""
        return next(one for one in await config_sources(self.database) if one.name == name)

    async def names(self) -> list[str]:
        """Every source."""
        return [one.name for one in await config_sources(self.database)]

    async def jobsets(self) -> dict[str, bool]:
        """Every jobset with its project, and whether it is enabled."""
        rows = await self.database.fetch(
            "SELECT p.name || '/' || j.name AS key, j.enabled FROM jobsets j JOIN projects p ON p.id = j.project_id"
            " ORDER BY 1"
        )
        return {row["key"]: row["enabled"] for row in rows}

    async def owners(self) -> dict[str, Any]:
        """Who owns which resource inside a project."""
        rows = await self.database.fetch(
            "SELECT kind, key, source FROM config_resources WHERE kind NOT IN ('project', 'user') ORDER BY kind, key"
        )
        return {f"{row['kind']} {row['key']}": row["source"] for row in rows}
