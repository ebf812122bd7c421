"""Several configuration repositories: each owns its own, and none disturbs another."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from fc.base.database import Database
from fc.base.durations import Duration
from fc.base.looping import Services
from fc.base.nix_cli import Nix
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.base.source_settings import ConfigurationSettings, ScopeRule, SourceSettings
from fc.config import sources
from fc.config.loop import ConfigurationLoop, make_loops
from fc.config.sync import Synchronizer
from fc.tables.configuration_queries import ConfigSource, config_sources
from tests.support.configuration import project
from tests.support.repository import Repository

USERS = "users:\n  ada: {email: ada@example.org, role: admin}\n"
POLL = Duration(3600)


class TwoSources:
    """A central repository and one of a team, followed by one service."""

    def __init__(self, settings: Settings, database: Database, tmp_path: Path) -> None:
        self.database = database
        self.central = Repository(tmp_path / "central")
        self.team = Repository(tmp_path / "team")
        scope = (ScopeRule(kinds=("project",), names=("team-*",)),)
        team = SourceSettings(url=self.team.url, poll_interval=POLL, scope=scope)
        configured = ConfigurationSettings(url=self.central.url, poll_interval=POLL, sources={"team": team})
        self.settings = msgspec.structs.replace(settings, configuration=configured)
        self.synchronizers = {
            name: Synchronizer(self.settings, database, Secrets(None), name) for name in configured.followed
        }

    async def sync(self, name: str) -> ConfigSource:
        """Have one source synchronised now."""
        await self.synchronizers[name].register()
        await sources.request_sync(self.database, name)
        assert await self.synchronizers[name].synchronize()
        return await self.state(name)

    async def state(self, name: str) -> ConfigSource:
        """A source as pages show it."""
        return next(one for one in await config_sources(self.database) if one.name == name)

    async def owners(self) -> dict[str, Any]:
        """Who owns which project or user."""
        rows = await self.database.fetch(
            "SELECT kind, key, source FROM config_resources WHERE kind IN ('project', 'user')"
        )
        return {f"{row['kind']} {row['key']}": row["source"] for row in rows}


@pytest.fixture
def two(settings: Settings, database: Database, tmp_path: Path) -> TwoSources:
    return TwoSources(settings, database, tmp_path)


async def test_each_source_owns_what_it_declares_and_removes_nothing_else(two: TwoSources) -> None:
    two.central.commit({"fc.yaml": USERS + project("central")})
    two.team.commit({"fc.yaml": project("team-web")})
    assert (await two.sync("default")).status == "synced"
    assert (await two.sync("team")).status == "synced"
    assert (await two.sync("default")).status == "synced"
    assert await two.owners() == {
        "user ada": "default",
        "project central": "default",
        "project team-web": "team",
    }
    assert await two.database.fetchval("SELECT count(*) FROM projects WHERE enabled") == 2


async def test_what_is_out_of_scope_is_refused_at_its_line(two: TwoSources) -> None:
    two.team.commit({"fc.yaml": project("other") + USERS})
    found = await two.sync("team")
    assert found.status == "failed"
    assert [(one.line, one.message.split(" is ")[0]) for one in found.errors] == [
        (2, "project 'other'"),
        (found.errors[1].line, "user 'ada'"),
    ]
    assert await two.owners() == {}


async def test_what_another_source_owns_is_not_taken_over(two: TwoSources) -> None:
    two.central.commit({"fc.yaml": project("team-web")})
    two.team.commit({"fc.yaml": project("team-web")})
    await two.sync("default")
    found = await two.sync("team")
    assert found.status == "failed"
    assert "belongs to another configuration source (default: fc.yaml:" in found.errors[0].message
    assert await two.owners() == {"project team-web": "default"}


async def test_a_source_may_refer_to_users_of_another(two: TwoSources) -> None:
    two.team.commit({"fc.yaml": project("team-web") + "    members: {ada: maintainer}\n"})
    missing = await two.sync("team")
    assert [one.message.split(";")[0] for one in missing.errors] == ["there is no user 'ada'"]
    two.central.commit({"fc.yaml": USERS})
    await two.sync("default")
    assert (await two.sync("team")).status == "synced"
    assert await two.database.fetchval("SELECT count(*) FROM project_members") == 1


async def test_a_source_that_the_settings_name_no_more_stays_as_it_is(
    two: TwoSources, nix: Nix, database: Database
) -> None:
    two.central.commit({"fc.yaml": USERS})
    two.team.commit({"fc.yaml": project("team-web")})
    await two.sync("team")
    alone = msgspec.structs.replace(two.settings.configuration, sources={})
    settings = msgspec.structs.replace(two.settings, configuration=alone)
    loops = make_loops(Services(settings, database, Secrets(None), nix, "test"))
    for loop in loops:
        if isinstance(loop, ConfigurationLoop):
            await loop.turn()
    assert not (await two.state("team")).active
    assert (await two.state("default")).active
    assert (await two.owners())["project team-web"] == "team"


async def test_a_plan_that_is_held_is_confirmed_by_its_digest_whichever_source_it_is_of(
    two: TwoSources,
) -> None:
    two.central.commit({"fc.yaml": USERS})
    two.team.commit({"fc.yaml": project("team-web")})
    await two.sync("default")
    await two.sync("team")
    two.team.commit({"fc.yaml": "# nothing\n"})
    found = await two.sync("team")
    assert found.held is not None
    assert await sources.confirm(two.database, found.held.digest) == found.held.digest
    assert (await two.sync("team")).status == "synced"
    assert (await two.state("default")).status == "synced"
    assert await two.owners() == {"user ada": "default"}


async def test_synchronisations_of_two_sources_do_not_exclude_each_other(two: TwoSources) -> None:
    for synchronizer in two.synchronizers.values():
        await synchronizer.register()
    first = await sources.claim(two.database, "default")
    second = await sources.claim(two.database, "team")
    assert first is not None
    assert second is not None
    assert await sources.claim(two.database, "team") is None
