"""Plans that are held: what stays, who may confirm them and how, and what is applied then."""

import asyncio
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fc.base.database import Database
from fc.base.errors import ConflictError
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.cli.main import cli
from fc.config import inventory, sources
from fc.config.sync import Synchronizer
from fc.tables.config_change_queries import planned_changes
from fc.tables.configuration_queries import ConfigHold, config_revisions
from tests.config.test_apply import state
from tests.config.test_guards import roles
from tests.config.test_sync import again, following, source
from tests.support.repository import Repository


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "configuration")


@pytest.fixture
async def synchronizer(
    settings: Settings, database: Database, repository: Repository, tmp_path: Path
) -> Synchronizer:
    """One that has applied eight roles."""
    made = Synchronizer(following(settings, repository), database, Secrets(tmp_path))
    await made.register()
    repository.commit({"fc.yaml": roles(8)})
    assert await made.synchronize()
    return made


async def held(database: Database, repository: Repository, synchronizer: Synchronizer) -> ConfigHold:
    """Remove seven of eight roles."""
    repository.commit({"fc.yaml": roles(1)}, "Remove much")
    found = await again(database, synchronizer)
    assert found.status == "held"
    assert found.held is not None
    return found.held


async def count(database: Database) -> int:
    return int(await database.fetchval("SELECT count(*) FROM roles"))


async def test_a_plan_that_removes_much_waits_and_changes_nothing(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    before = await state(database)
    found = await held(database, repository, synchronizer)
    assert found.commit == repository.head()
    assert found.reasons == ["it would remove 7 of 8 roles, more than 25%"]
    assert await state(database) == before
    revision = (await config_revisions(database))[0]
    assert (revision.status, revision.deleted, revision.digest) == ("held", 7, found.digest)
    assert revision.reasons == found.reasons
    assert (await source(database)).failures == 0


async def test_a_plan_that_still_waits_is_no_other_revision(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    found = await held(database, repository, synchronizer)
    after = await again(database, synchronizer)
    assert (after.status, after.held) == ("held", found)
    assert len(await config_revisions(database)) == 2


async def test_a_confirmed_plan_is_applied_and_says_why_it_had_to_be(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    found = await held(database, repository, synchronizer)
    assert await sources.confirm(database, found.digest[:12]) == found.digest
    assert await synchronizer.synchronize()
    after = await source(database)
    assert (after.status, after.held, after.applied_commit) == ("synced", None, repository.head())
    assert await count(database) == 1
    revision = (await config_revisions(database))[0]
    assert (revision.status, revision.reasons) == ("applied", found.reasons)
    assert await database.fetchval("SELECT confirmed_digest FROM config_sources") is None


async def test_a_confirmation_is_of_one_plan_and_no_other(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    first = await held(database, repository, synchronizer)
    await sources.confirm(database, first.digest)
    repository.commit({"fc.yaml": roles(2)})
    assert await synchronizer.synchronize()
    after = await source(database)
    assert after.status == "held"
    assert after.held is not None
    assert after.held.digest != first.digest
    assert await count(database) == 8
    assert await database.fetchval("SELECT confirmed_digest FROM config_sources") is None


async def test_a_confirmation_outlives_a_repository_that_cannot_be_reached(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    found = await held(database, repository, synchronizer)
    await sources.confirm(database, found.digest)
    hidden = repository.path.rename(repository.path.with_name("away"))
    assert await synchronizer.synchronize()
    assert (await source(database)).status == "failed"
    hidden.rename(repository.path)
    assert (await again(database, synchronizer)).status == "synced"
    assert await count(database) == 1


async def test_a_commit_confirms_by_its_trailer(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    found = await held(database, repository, synchronizer)
    repository.commit(message=f"Remove much\n\nIt is meant: FC-Confirm {found.digest}")
    assert (await again(database, synchronizer)).status == "held"
    repository.commit(message=f"Remove much\n\nIt is meant.\n\nFC-Confirm: {found.digest[:12]}")
    assert (await again(database, synchronizer)).status == "synced"
    assert await count(database) == 1


async def test_what_was_put_back_is_not_held_any_more(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    await held(database, repository, synchronizer)
    repository.commit({"fc.yaml": roles(8)})
    after = await again(database, synchronizer)
    assert (after.status, after.held, after.error_message) == ("synced", None, None)


async def test_only_the_plan_that_is_held_can_be_confirmed(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    with pytest.raises(ConflictError, match="no plan is held"):
        await sources.confirm(database, "0" * 12)
    found = await held(database, repository, synchronizer)
    for wrong in ("", found.digest[:11], "0" * 12, "%" * 12):
        with pytest.raises(ConflictError, match=f"the plan that is held is {found.digest[:12]}"):
            await sources.confirm(database, wrong)


async def test_the_command_line_says_why_and_confirms(
    database: Database, database_url: str, repository: Repository, synchronizer: Synchronizer
) -> None:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, arguments, env={"FC_DATABASE__URL": database_url})

    # Commands have an event loop of their own.
    found = await held(database, repository, synchronizer)
    shown = await asyncio.to_thread(run, "status")
    assert shown.exit_code == 1
    assert "held: it would remove 7 of 8 roles, more than 25%" in shown.stdout
    assert f"fcctl confirm {found.digest[:12]}" in shown.stdout
    wrong = await asyncio.to_thread(run, "confirm", "0" * 12)
    assert (wrong.exit_code, "not '000000000000'" in wrong.stderr) == (1, True)
    assert (await asyncio.to_thread(run, "confirm", found.digest[:12])).exit_code == 0
    assert await synchronizer.synchronize()
    after = await asyncio.to_thread(run, "status", "--json")
    assert (after.exit_code, json.loads(after.stdout)["sources"][0]["status"]) == (0, "synced")
    event = await database.fetchrow("SELECT actor, action, key FROM audit_events")
    assert event is not None
    assert (event["actor"].partition(":")[0], event["action"], event["key"]) == (
        "cli",
        "configure",
        found.digest,
    )


async def test_what_was_not_applied_keeps_what_it_would_have_changed_and_of_much_a_part(
    database: Database, repository: Repository, synchronizer: Synchronizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inventory, "_MOST_KEPT", 3)
    await held(database, repository, synchronizer)
    kept = await planned_changes(database, (await config_revisions(database))[0].id)
    assert kept is not None
    assert [(one.action, one.kind, one.after) for one in kept.changes] == [("delete", "role", None)] * 3
    assert all(one.before and one.file == "fc.yaml" and one.line for one in kept.changes)
    assert kept.more == 4
    assert await planned_changes(database, (await config_revisions(database))[1].id) is None


async def test_a_refused_takeover_keeps_its_plan_and_no_secret(
    database: Database, repository: Repository, synchronizer: Synchronizer, tmp_path: Path
) -> None:
    (tmp_path / "deploy").write_text("hunter2", encoding="utf-8")
    await database.execute("INSERT INTO api_keys (name, key_hash, role) VALUES ('deploy', 'x', 'read-only')")
    repository.commit({"fc.yaml": roles(8) + "api_keys: {deploy: {key: !secret deploy, role: read-only}}\n"})
    assert (await again(database, synchronizer)).status == "failed"
    kept = await planned_changes(database, (await config_revisions(database))[0].id)
    assert kept is not None
    assert [(one.action, one.key) for one in kept.changes] == [("create", "deploy")]
    assert kept.changes[0].after is not None
    assert kept.changes[0].after["key"] == "«secret» deploy"
    stored = await database.fetchval("SELECT string_agg(plan::text, ' ') FROM config_revisions")
    assert "hunter2" not in stored


async def test_every_try_of_a_commit_is_flagged_for_its_status(
    database: Database, repository: Repository, synchronizer: Synchronizer
) -> None:
    await held(database, repository, synchronizer)
    repository.commit({"fc.yaml": "projects: {p: {}}\n"})
    assert (await again(database, synchronizer)).status == "failed"
    flagged = "SELECT count(*) FROM config_revisions WHERE report_pending_since IS NOT NULL"
    assert await database.fetchval(flagged) == 3
