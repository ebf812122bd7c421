"""Synchronising: from a push to rows, and what stays when something is wrong."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

from fc.base.database import Database
from fc.base.durations import Duration
from fc.base.errors import InvalidInputError
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.base.source_settings import ConfigurationSettings
from fc.config import sources
from fc.config.sync import Synchronizer
from fc.tables.configuration_queries import ConfigSource, config_changes, config_revisions, config_sources
from tests.config.test_apply import put, state
from tests.support.configuration import WHOLE, project
from tests.support.repository import Repository

BROKEN = "projects:\n  p:\n    repository_url: /srv/p\n    jobsts: {}\nusers: {u: {role: root}}\n"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "configuration")


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    directory = tmp_path / "secrets"
    directory.mkdir()
    for name in ("hello-webhook", "github-token", "deploy-key"):
        (directory / name).write_text(f"value-of-{name}\n", encoding="utf-8")
    return Secrets(directory)


def following(settings: Settings, repository: Repository, **changes: Any) -> Settings:
    configured = ConfigurationSettings(url=repository.url, poll_interval=Duration(3600), **changes)
    return msgspec.structs.replace(settings, configuration=configured)


@pytest.fixture
async def synchronizer(
    settings: Settings, database: Database, repository: Repository, secrets: Secrets
) -> Synchronizer:
    made = Synchronizer(following(settings, repository), database, secrets)
    await made.register()
    return made


async def source(database: Database) -> ConfigSource:
    (found,) = await config_sources(database)
    return found


async def again(database: Database, synchronizer: Synchronizer) -> ConfigSource:
    """Ask for a synchronisation and have it."""
    await sources.request_sync(database)
    assert await synchronizer.synchronize()
    return await source(database)


async def test_a_commit_becomes_rows_and_a_revision(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    commit = repository.commit({"fc.yaml": WHOLE}, "Say hello")
    assert await synchronizer.synchronize()
    found = await source(database)
    assert (found.status, found.error_message, found.errors, found.failures) == ("synced", None, [], 0)
    assert (found.last_seen_commit, found.applied_commit) == (commit, commit)
    assert found.last_synced_at is not None
    (revision,) = await config_revisions(database)
    assert (revision.commit_hash, revision.author, revision.subject) == (commit, "Ada Lovelace", "Say hello")
    assert (revision.status, revision.created, revision.updated, revision.deleted) == ("applied", 13, 0, 0)
    assert len(await config_changes(database, revision.id)) == 13
    assert await database.fetchval("SELECT count(*) FROM jobsets WHERE check_requested_at IS NOT NULL") == 1


async def test_nothing_is_done_before_it_is_due(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    repository.commit({"fc.yaml": WHOLE})
    assert await synchronizer.synchronize()
    repository.commit({"fc.yaml": project("p")})
    assert not await synchronizer.synchronize()
    await database.execute("UPDATE config_sources SET next_sync_at = now()")
    assert await synchronizer.synchronize()
    assert await database.fetchval("SELECT count(*) FROM projects WHERE enabled") == 1


async def test_an_unchanged_commit_leaves_a_time_and_no_revision(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    repository.commit({"fc.yaml": WHOLE})
    await synchronizer.synchronize()
    before = await source(database)
    parsed = synchronizer.loader.parsed
    after = await again(database, synchronizer)
    assert before.last_synced_at is not None
    assert after.last_synced_at is not None
    assert after.last_synced_at > before.last_synced_at
    assert (len(await config_revisions(database)), synchronizer.loader.parsed) == (1, parsed)


async def test_nothing_changed_asks_nothing_that_grows_with_the_configuration(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    repository.commit({"fc.yaml": WHOLE})
    await synchronizer.synchronize()
    await database.execute("ALTER TABLE config_resources RENAME TO hidden")
    assert (await again(database, synchronizer)).status == "synced"


async def test_a_commit_that_changes_no_resource_is_seen_but_is_no_revision(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    repository.commit({"fc.yaml": WHOLE})
    await synchronizer.synchronize()
    commit = repository.commit({"README.md": "hello", "fc.yaml": f"# a comment\n{WHOLE}"})
    found = await again(database, synchronizer)
    assert (found.last_seen_commit, len(await config_revisions(database))) == (commit, 1)
    assert await database.fetchval("SELECT line FROM config_resources WHERE kind = 'project'") == 4


async def test_broken_yaml_changes_nothing_and_every_problem_is_recorded(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    repository.commit({"fc.yaml": WHOLE})
    await synchronizer.synchronize()
    before = await state(database)
    commit = repository.commit({"broken.yaml": BROKEN, "syntax.yaml": "a: [\n"}, "Break it")
    found = await again(database, synchronizer)
    assert await state(database) == before
    assert (found.status, found.failures, found.last_seen_commit) == ("failed", 1, commit)
    shown = [str(one) for one in found.errors]
    assert [one.split(": ")[0] for one in shown] == [
        "broken.yaml:4:5",
        "broken.yaml:5:12",
        "broken.yaml:5:19",
        "syntax.yaml:1:5",
    ]
    assert shown[0].endswith("project: unknown key 'jobsts'; did you mean 'jobsets'?")
    assert found.error_message == f"{shown[0]} (and 3 more)"
    failed = (await config_revisions(database))[0]
    assert (failed.status, failed.commit_hash, failed.subject, failed.errors) == (
        "failed",
        commit,
        "Break it",
        found.errors,
    )


async def test_the_same_failure_again_is_no_other_revision(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    repository.commit({"fc.yaml": BROKEN})
    await synchronizer.synchronize()
    found = await again(database, synchronizer)
    assert found.failures == 2
    assert len(await config_revisions(database)) == 1
    repository.commit({"fc.yaml": f"{BROKEN}\nmore: 1\n"})
    await again(database, synchronizer)
    assert len(await config_revisions(database)) == 2


async def test_a_repaired_configuration_is_applied(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    repository.commit({"fc.yaml": BROKEN})
    await synchronizer.synchronize()
    repository.commit({"fc.yaml": WHOLE})
    found = await again(database, synchronizer)
    assert (found.status, found.errors, found.error_message, found.failures) == ("synced", [], None, 0)
    assert [one.status for one in await config_revisions(database)] == ["applied", "failed"]


async def test_an_unreachable_repository_changes_nothing_and_is_tried_again(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    repository.commit({"fc.yaml": WHOLE})
    await synchronizer.synchronize()
    before = await state(database)
    away = repository.path.rename(repository.path.with_name("away"))
    found = await again(database, synchronizer)
    assert (found.status, found.failures, found.errors) == ("failed", 1, [])
    assert "git fetch failed" in (found.error_message or "")
    assert await state(database) == before
    assert len(await config_revisions(database)) == 1
    waits = []
    for _ in range(3):
        found = await again(database, synchronizer)
        waits.append(
            await database.fetchval(
                "SELECT extract(epoch FROM next_sync_at - now())::float FROM config_sources"
            )
        )
    assert 0 < waits[0] < waits[2]
    away.rename(repository.path)
    assert (await again(database, synchronizer)).status == "synced"


async def test_a_branch_that_is_not_there_is_said_clearly(
    database: Database, repository: Repository, settings: Settings, secrets: Secrets
) -> None:
    repository.commit({"fc.yaml": WHOLE})
    made = Synchronizer(following(settings, repository, branch="production"), database, secrets)
    await made.register()
    await made.synchronize()
    assert "has no branch or tag 'production'" in ((await source(database)).error_message or "")


async def test_a_path_that_is_not_there_removes_nothing(
    database: Database, repository: Repository, settings: Settings, secrets: Secrets
) -> None:
    repository.commit({"fc/a.yaml": WHOLE})
    made = Synchronizer(following(settings, repository, path="fc"), database, secrets)
    await made.register()
    await made.synchronize()
    before = await state(database)
    repository.git("mv", "fc", "moved")
    repository.commit({})
    found = await again(database, made)
    assert found.status == "failed"
    assert "there is nothing at 'fc'" in (found.error_message or "")
    assert await state(database) == before


async def test_an_emptied_repository_removes_nothing(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    repository.commit({"fc.yaml": WHOLE})
    await synchronizer.synchronize()
    before = await state(database)
    repository.commit({"fc.yaml": None, "README.md": "empty"})
    found = await again(database, synchronizer)
    assert found.status == "held"
    assert "it would remove everything that git owns here (13 resources)" in (found.error_message or "")
    assert await state(database) == before
    assert (await config_revisions(database))[0].status == "held"


async def test_a_missing_secret_is_named_where_it_is_used(
    database: Database, repository: Repository, synchronizer: Synchronizer, tmp_path: Path
) -> None:
    (tmp_path / "secrets" / "deploy-key").unlink()
    repository.commit({"fc.yaml": WHOLE})
    await synchronizer.synchronize()
    found = await source(database)
    assert [one.line for one in found.errors] == [22]
    assert "secret 'deploy-key' is not known" in found.errors[0].message
    (tmp_path / "secrets" / "deploy-key").write_text("now it is", encoding="utf-8")
    assert (await again(database, synchronizer)).status == "synced"


async def test_a_rotated_secret_is_noticed_though_git_says_the_same(
    database: Database, repository: Repository, synchronizer: Synchronizer, tmp_path: Path
) -> None:
    repository.commit({"fc.yaml": WHOLE})
    await synchronizer.synchronize()
    before = await database.fetchval("SELECT key_hash FROM api_keys")
    (tmp_path / "secrets" / "deploy-key").write_text("rotated", encoding="utf-8")
    await again(database, synchronizer)
    assert await database.fetchval("SELECT key_hash FROM api_keys") != before
    assert (await config_revisions(database))[0].updated == 1


async def test_what_was_applied_by_hand_is_put_back(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    repository.commit({"fc.yaml": project("p", main="x")})
    await synchronizer.synchronize()
    await put(database, project("p", main="y"))
    await again(database, synchronizer)
    assert await database.fetchval("SELECT branch FROM jobsets") == "x"


async def test_a_request_during_a_synchronisation_is_not_lost(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    repository.commit({"fc.yaml": WHOLE})
    held = await sources.claim(database)
    assert held is not None
    await sources.request_sync(database)
    await sources.finish_synced(database, held, "c" * 40, 3600)
    assert await sources.claim(database) is not None


async def test_one_synchronisation_at_a_time_and_a_dead_one_is_taken_over(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    repository.commit({"fc.yaml": WHOLE})
    dead = await sources.claim(database)
    assert dead is not None
    assert not await synchronizer.synchronize()
    await database.execute("UPDATE config_sources SET lease_until = now() - interval '1 second'")
    assert await synchronizer.synchronize()
    assert not await sources.renew(database, dead)
    async with database.transaction() as connection:
        with pytest.raises(sources.ClaimLostError):
            await sources.hold(connection, dead)
    await sources.finish_failed(database, dead, "too late", retry_seconds=1)
    assert (await source(database)).status == "synced"


async def test_who_lost_the_claim_writes_nothing(
    database: Database, repository: Repository, synchronizer: Synchronizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit({"fc.yaml": WHOLE})
    fetch = synchronizer._mirror.fetch

    async def slow(wanted: str) -> str:
        await database.execute("UPDATE config_sources SET claim_token = gen_random_uuid()")
        return await fetch(wanted)

    monkeypatch.setattr(synchronizer._mirror, "fetch", slow)
    assert await synchronizer.synchronize()
    assert await database.fetchval("SELECT count(*) FROM projects") == 0
    assert await config_revisions(database) == []


async def test_an_unexpected_error_gives_the_claim_back(
    database: Database, repository: Repository, synchronizer: Synchronizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.commit({"fc.yaml": WHOLE})

    def fail(*_arguments: object) -> None:
        message = "disk on fire"
        raise OSError(message)

    with monkeypatch.context() as patch:
        patch.setattr(synchronizer.loader, "load_commit", fail)
        with pytest.raises(OSError, match="disk on fire"):
            await synchronizer.synchronize()
    assert await synchronizer.synchronize()
    assert (await source(database)).status == "synced"


async def test_credentials_of_the_repository_are_stored_nowhere(
    database: Database, settings: Settings, secrets: Secrets
) -> None:
    configured = ConfigurationSettings(url="https://ada:hunter2@127.0.0.1:9/x.git")
    made = Synchronizer(msgspec.structs.replace(settings, configuration=configured), database, secrets)
    await made.register()
    await made.synchronize()
    row = await database.fetchrow("SELECT * FROM config_sources")
    assert row is not None
    assert row["url"] == "https://127.0.0.1:9/x.git"
    assert "hunter2" not in str(dict(row))


def test_a_url_that_could_run_a_command_is_refused(settings: Settings, secrets: Secrets) -> None:
    configured = ConfigurationSettings(url="ext::sh -c id")
    with pytest.raises(InvalidInputError):
        Synchronizer(msgspec.structs.replace(settings, configuration=configured), None, secrets)  # type: ignore[arg-type]  # it is refused before the database is used
