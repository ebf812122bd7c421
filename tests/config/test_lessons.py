"""What goes wrong elsewhere, and must not here: each from a commit in a real repository to the rows."""

import json
from pathlib import Path

import msgspec
import pytest

from fc.base.database import Database
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.base.source_settings import ConfigurationSettings
from fc.config import sources
from fc.config.sync import Synchronizer
from fc.tables.configuration_queries import (
    ConfigRevision,
    ConfigSource,
    config_changes,
    config_revisions,
    config_sources,
)
from tests.support.configuration import project
from tests.support.repository import Repository


class Site:
    """A configuration repository, and the service that follows it."""

    def __init__(self, database: Database, settings: Settings, directory: Path) -> None:
        self.database = database
        self.secrets = directory / "secrets"
        self.secrets.mkdir()
        self.repository = Repository(directory / "configuration")
        self._settings = msgspec.structs.replace(
            settings, configuration=ConfigurationSettings(url=self.repository.url)
        )
        self._synchronizer: Synchronizer | None = None

    async def push(self, **files: str | None) -> ConfigSource:
        """Commit files by their names without suffix, and let the service see it."""
        self.repository.commit({f"{name}.yaml": text for name, text in files.items()})
        if self._synchronizer is None:
            self._synchronizer = Synchronizer(self._settings, self.database, Secrets(self.secrets))
            await self._synchronizer.register()
        await sources.request_sync(self.database)
        await self._synchronizer.synchronize()
        (found,) = await config_sources(self.database)
        return found

    async def latest(self) -> ConfigRevision:
        return (await config_revisions(self.database))[0]

    async def names(self, sql: str) -> list[str]:
        return sorted(row[0] for row in await self.database.fetch(sql))


@pytest.fixture
def site(database: Database, settings: Settings, tmp_path: Path) -> Site:
    return Site(database, settings, tmp_path)


ACTIVE = "SELECT name FROM active_jobsets"


async def test_one_bad_jobset_is_shown_with_its_place_and_the_others_stay(site: Site) -> None:
    await site.push(a=project("a", good="x"), b=project("b", other="x"))
    found = await site.push(b=project("b", other="x", bad="'x y'"))
    assert [str(one) for one in found.errors] == [
        "b.yaml:6:21: branch: 'x y' is not the name of a branch, tag or ref"
    ]
    assert (await site.latest()).errors == found.errors
    assert await site.names(ACTIVE) == ["good", "other"]


async def test_a_removed_jobset_comes_back_with_its_history(site: Site) -> None:
    await site.push(a=project("a", main="x", next="y"))
    await site.database.execute(
        "INSERT INTO evaluations (jobset_id, commit_hash, status) SELECT id, 'c0ffee', 'completed' FROM jobsets WHERE name = 'next'"
    )
    await site.push(a=project("a", main="x"))
    assert await site.names(ACTIVE) == ["main"]
    await site.push(a=project("a", main="x", next="y"))
    assert await site.names(ACTIVE) == ["main", "next"]
    assert await site.names("SELECT j.name FROM evaluations e JOIN jobsets j ON j.id = e.jobset_id") == [
        "next"
    ]


async def test_removing_a_project_never_deletes_what_it_built(site: Site) -> None:
    await site.push(a=project("a", main="x"), b=project("b", main="x"))
    await site.database.execute(
        "INSERT INTO evaluations (jobset_id, commit_hash, status) SELECT id, 'c0ffee', 'completed' FROM jobsets"
    )
    await site.push(a=None)
    assert await site.database.fetchval("SELECT count(*) FROM evaluations") == 2
    assert await site.names("SELECT name FROM projects WHERE enabled") == ["b"]


async def test_every_change_is_kept_with_who_and_when_and_before_and_after(site: Site) -> None:
    await site.push(a=project("a", main="x"))
    await site.push(a=project("a", main="y"))
    revision = await site.latest()
    assert (revision.author, revision.commit_hash) == ("Ada Lovelace", site.repository.head())
    (change,) = await config_changes(site.database, revision.id)
    assert change.before is not None
    assert change.after is not None
    assert (change.key, change.before["branch"], change.after["branch"]) == ("a/main", "x", "y")
    assert (change.file, change.line) == ("a.yaml", 5)


async def test_the_configuration_is_read_at_every_push_not_only_at_the_start(site: Site) -> None:
    for branch in ("x", "y", "z"):
        await site.push(a=project("a", main=branch))
        assert await site.names("SELECT branch FROM jobsets") == [branch]


async def test_users_and_keys_that_leave_git_lose_their_rights(site: Site) -> None:
    (site.secrets / "bot").write_text("value", encoding="utf-8")
    keys = "api_keys: {bot: {key: !secret bot, user: ada}}"
    await site.push(
        people="users: {ada: {email: ada@x, role: admin}, bob: {email: bob@x, role: admin}}", keys=keys
    )
    await site.push(people="users: {bob: {email: bob@x, role: admin}}", keys=None)
    assert await site.names("SELECT username FROM users WHERE enabled") == ["bob"]
    assert await site.names("SELECT name FROM api_keys") == []


async def test_the_last_item_of_a_list_can_be_removed(site: Site) -> None:
    builder = "remote_builders: {b: {ssh_uri: ssh://h, systems: [x86_64-linux], supported_features: %s}}"
    for features in ("[kvm]", "[]"):
        await site.push(b=builder % features)
    assert await site.names("SELECT supported_features::text FROM remote_builders") == ["{}"]


async def test_what_is_misspelt_is_an_error_never_a_default(site: Site) -> None:
    found = await site.push(a=project("a", main="x").replace("branch", "state: dissabled, branch"))
    assert "did you mean 'disabled'?" in (found.error_message or "")
    assert await site.names("SELECT name FROM jobsets") == []


async def test_a_project_made_by_hand_is_never_taken_over(site: Site) -> None:
    await site.database.execute("INSERT INTO projects (name, repository_url) VALUES ('a', '/by/hand')")
    found = await site.push(a=project("a", main="x"), b=project("b", main="x"))
    assert [one.file for one in found.errors] == ["a.yaml"]
    assert await site.names("SELECT repository_url FROM projects") == ["/by/hand"]
    await site.database.execute("DELETE FROM projects")
    assert (await site.push()).status == "synced"


async def test_one_error_stops_the_whole_commit_not_half_of_it(site: Site) -> None:
    await site.push(a=project("a", main="x"))
    await site.push(a=project("a", main="y", more="y"), b=project("b"), users="users: {u: {role: admin}}")
    assert await site.names("SELECT branch FROM jobsets") == ["x"]
    assert await site.names("SELECT name FROM projects") == ["a"]


async def test_no_secret_is_ever_written_down(site: Site) -> None:
    (site.secrets / "hook").write_text("hunter2", encoding="utf-8")
    await site.push(a=f"{project('a')}    webhooks: {{github: {{secret: !secret hook}}}}\n")
    await site.push(b="api_keys: {k: {key: hunter2}}")
    tables = [
        row[0]
        for row in await site.database.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    ]
    for table in tables:
        rows = [dict(row) for row in await site.database.fetch(f"SELECT * FROM {table}")]
        assert "hunter2" not in json.dumps(rows, default=str), table
