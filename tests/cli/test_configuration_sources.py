"""Commands about one configuration source of several."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from fc.base.database import Database
from fc.base.settings import Settings
from fc.base.source_settings import SourceSettings
from fc.cli.main import cli
from fc.config import sources
from fc.config.sync import Synchronizer
from fc.tables.configuration_queries import config_sources
from tests.config.test_sources import USERS, TwoSources
from tests.support.configuration import project, write

Run = Callable[..., Result]


@pytest.fixture
def two(settings: Settings, database: Database, tmp_path: Path) -> TwoSources:
    return TwoSources(settings, database, tmp_path)


@pytest.fixture
async def followed(two: TwoSources) -> TwoSources:
    two.central.commit({"fc.yaml": USERS + project("central")})
    two.team.commit({"fc.yaml": project("team-web")})
    assert (await two.sync("default")).status == "synced"
    assert (await two.sync("team")).status == "synced"
    return two


@pytest.fixture
def run(database_url: str, two: TwoSources, tmp_path: Path) -> Run:
    """Run a command with the settings of both sources, apart from the loop of the test."""
    team = msgspec.to_builtins(
        {"team": {"url": two.team.url, "scope": [{"kinds": ["project"], "names": ["team-*"]}]}}
    )
    environment = {
        "FC_DATABASE__URL": database_url,
        "FC_DATA_DIR": str(tmp_path / "data"),
        "FC_CONFIGURATION__URL": two.central.url,
        "FC_CONFIGURATION__SOURCES": json.dumps(team),
    }
    return lambda *arguments: CliRunner().invoke(cli, arguments, env=environment)


async def test_with_several_sources_one_has_to_be_named(followed: TwoSources, run: Run) -> None:
    for command in (["pause", "--reason", "x"], ["resume"], ["export"], ["sync"]):
        found = await asyncio.to_thread(run, *command)
        assert found.exit_code == 1
        assert (
            "several configuration repositories are followed; name one of them: default, team" in found.stderr
        )
    wrong = await asyncio.to_thread(run, "pause", "taem", "--reason", "x")
    assert "there is no configuration source" in wrong.stderr
    assert "team" in wrong.stderr


async def test_each_source_is_paused_shown_and_exported_by_its_name(followed: TwoSources, run: Run) -> None:
    paused = await asyncio.to_thread(run, "pause", "team", "--reason", "we move house")
    assert paused.stdout == "team: paused until fcctl resume\n"
    assert (await asyncio.to_thread(run, "status", "team")).exit_code == 1
    default = await asyncio.to_thread(run, "status", "default")
    assert default.exit_code == 0
    assert "we move house" not in default.stdout
    refused = await asyncio.to_thread(run, "sync", "team", "--wait")
    assert (refused.exit_code, "we move house" in refused.stderr) == (1, True)
    resumed = await asyncio.to_thread(run, "resume", "team")
    assert resumed.stdout == "team: resumed: the newest commit is applied now\n"
    exported = await asyncio.to_thread(run, "export", "--source", "team")
    assert "team-web" in exported.stdout
    assert "central" not in exported.stdout


async def test_a_directory_is_applied_as_a_source_within_its_scope(
    followed: TwoSources, run: Run, tmp_path: Path
) -> None:
    directory = write(
        tmp_path / "copy", {"fc.yaml": project("team-web") + "    members: {ada: maintainer}\n"}
    )
    applied = await asyncio.to_thread(run, "apply", str(directory), "--source", "team", "--yes")
    assert applied.exit_code == 0, applied.stderr
    assert (await followed.owners())["project team-web"] == "team"
    write(directory, {"fc.yaml": project("team-web") + project("central-2").removeprefix("projects:\n")})
    outside = await asyncio.to_thread(run, "apply", str(directory), "--source", "team", "--yes")
    assert (outside.exit_code, "is outside of what this source may declare" in outside.stderr) == (1, True)
    unknown = await asyncio.to_thread(run, "apply", str(directory), "--source", "nobody", "--yes")
    assert "there is no configuration source 'nobody'" in unknown.stderr


async def test_a_synchronisation_is_asked_for_and_waited_for(followed: TwoSources, run: Run) -> None:
    assert (await asyncio.to_thread(run, "sync", "team")).stdout == "team: the service looks at it now\n"

    async def service(synchronizer: Synchronizer) -> None:
        while True:
            await synchronizer.synchronize()
            await asyncio.sleep(0.05)

    works = asyncio.create_task(service(followed.synchronizers["team"]))
    followed.team.commit({"fc.yaml": project("team-web", main="x")})
    done = await asyncio.to_thread(run, "sync", "team", "--wait")
    assert done.exit_code == 0
    assert "team: synced" in done.stdout
    followed.team.commit({"fc.yaml": project("other")})
    failed = await asyncio.to_thread(run, "sync", "team", "--wait")
    assert (failed.exit_code, "outside of what this source may declare" in failed.stdout) == (1, True)
    works.cancel()
    events = await followed.database.fetch("SELECT kind, key FROM audit_events")
    assert {(one["kind"], one["key"]) for one in events} == {("sync", "team")}


async def test_waiting_ends_when_nobody_answers(followed: TwoSources, run: Run) -> None:
    late = await asyncio.to_thread(run, "sync", "team", "--wait", "--timeout", "1")
    assert (late.exit_code, "is the service running?" in late.stderr) == (1, True)
    (team,) = [one for one in await config_sources(followed.database) if one.name == "team"]
    assert team.sync_requested_at is not None


async def test_a_source_that_nobody_follows_is_not_waited_for(database: Database, database_url: str) -> None:
    def alone(*arguments: str) -> Result:
        return CliRunner().invoke(cli, arguments, env={"FC_DATABASE__URL": database_url})

    none = await asyncio.to_thread(alone, "sync")
    assert (none.exit_code, "no configuration repository is followed" in none.stderr) == (1, True)
    await sources.register(database, "team", SourceSettings(url="https://git.example.org/team.git"))
    await sources.retire(database, ())
    gone = await asyncio.to_thread(alone, "sync", "team")
    assert (gone.exit_code, "name the configuration source 'team' no more" in gone.stderr) == (1, True)
    assert "team: not followed any more" in (await asyncio.to_thread(alone, "status")).stdout
