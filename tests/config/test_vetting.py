"""Vetting: commits that are not signed, and branches that were moved, against a real service's rows."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from fc.base.database import Database
from fc.base.durations import Duration
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.base.source_settings import SignedSettings, SyncWindow
from fc.cli.main import cli
from fc.config import sources
from fc.config.sync import Synchronizer
from fc.tables.config_change_queries import planned_changes
from fc.tables.configuration_queries import ConfigHold, ConfigRevision, config_revisions
from tests.config.test_guards import roles
from tests.config.test_sync import again, following, source
from tests.support.repository import Repository
from tests.support.signing import SshKey


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "configuration")


@pytest.fixture
def ada(tmp_path: Path) -> SshKey:
    return SshKey(tmp_path / "ada")


class Followed:
    """One source, and what becomes of it."""

    def __init__(
        self, settings: Settings, database: Database, repository: Repository, **changes: Any
    ) -> None:
        self.database = database
        self.repository = repository
        self.settings = following(settings, repository, **changes)
        self.moment = datetime(2026, 1, 1, tzinfo=UTC)
        self.restart()

    def restart(self) -> None:
        """Forget everything that is not in the database."""
        self.synchronizer = Synchronizer(self.settings, self.database, Secrets(None), now=lambda: self.moment)

    async def sync(self) -> str:
        """Synchronise; the status."""
        if await self.database.fetchval("SELECT count(*) FROM config_sources") == 0:
            await self.synchronizer.register()
        return (await again(self.database, self.synchronizer)).status

    async def newest(self) -> ConfigRevision:
        """The last revision."""
        return (await config_revisions(self.database, limit=1))[0]

    async def revisions(self) -> int:
        """How many revisions there are."""
        return len(await config_revisions(self.database, limit=200))

    async def roles(self) -> int:
        """How many roles are in force."""
        return int(await self.database.fetchval("SELECT count(*) FROM roles"))

    async def waits(self) -> ConfigHold:
        """The plan that is held or waits."""
        found = await source(self.database)
        plan = found.held or found.waiting
        assert plan is not None
        return plan


@pytest.fixture
def signed(
    settings: Settings, database: Database, repository: Repository, ada: SshKey, tmp_path: Path
) -> Followed:
    allowed = tmp_path / "allowed"
    allowed.write_text(ada.allowed("ada@example.org"), encoding="utf-8")
    return Followed(settings, database, repository, require_signed=SignedSettings(ssh=allowed))


def put(repository: Repository, count: int) -> None:
    repository.write({"fc.yaml": roles(count)})


async def test_everything_since_the_commit_in_force_has_to_be_signed(
    signed: Followed, repository: Repository, ada: SshKey
) -> None:
    # The first time only the newest commit is looked at.
    repository.commit({"fc.yaml": roles(1)}, "Before keys")
    put(repository, 2)
    ada.sign(repository)
    assert await signed.sync() == "synced"
    assert str((await signed.newest()).signer).startswith("ada@example.org (SHA256:")
    hidden = repository.commit({"fc.yaml": roles(3)}, "Hidden \x1b[31m" + "x" * 200)
    put(repository, 4)
    ada.sign(repository)
    assert await signed.sync() == "failed"
    revision = await signed.newest()
    assert revision.status == "failed"
    (reason,) = revision.reasons
    assert reason.startswith(f"commit {hidden[:12]} \u201cHidden ?[31mxxx")
    assert reason.endswith("by \u201cAda Lovelace\u201d: it has no signature")
    assert (await source(signed.database)).error_message == reason
    assert (await signed.roles(), revision.signer) == (2, None)
    assert await signed.sync() == "failed"
    assert await signed.revisions() == 2


async def test_what_was_merged_has_to_be_signed_too(
    signed: Followed, repository: Repository, ada: SshKey
) -> None:
    put(repository, 1)
    ada.sign(repository)
    assert await signed.sync() == "synced"
    repository.git("checkout", "--quiet", "-b", "side")
    side = repository.commit({"side": "1"}, "Aside")
    repository.git("checkout", "--quiet", "main")
    ada.sign(repository, "merge", "--quiet", "--no-ff", "--no-edit", "side")
    assert await signed.sync() == "failed"
    assert [side[:12] in one for one in (await signed.newest()).reasons] == [True]


async def test_new_keys_are_noticed_and_old_ones_do_not_matter_for_what_is_in_force(
    signed: Followed, repository: Repository, ada: SshKey, tmp_path: Path
) -> None:
    put(repository, 1)
    ada.sign(repository)
    assert await signed.sync() == "synced"
    eve = SshKey(tmp_path / "eve")
    put(repository, 2)
    eve.sign(repository)
    assert await signed.sync() == "failed"
    assert "not among the allowed signers" in (await signed.newest()).reasons[0]
    allowed = tmp_path / "allowed"
    allowed.write_text(eve.allowed("eve@example.org"), encoding="utf-8")
    assert await signed.sync() == "synced"
    assert str((await signed.newest()).signer).startswith("eve@example.org")
    allowed.write_text("", encoding="utf-8")
    signed.restart()
    assert await signed.sync() == "synced"
    put(repository, 3)
    eve.sign(repository)
    assert await signed.sync() == "failed"


async def test_a_confirmation_in_a_commit_without_signature_is_none(
    signed: Followed, repository: Repository, ada: SshKey
) -> None:
    put(repository, 8)
    ada.sign(repository)
    assert await signed.sync() == "synced"
    put(repository, 1)
    ada.sign(repository)
    assert await signed.sync() == "held"
    digest = (await signed.waits()).digest
    repository.commit(message=f"Yes\n\nFC-Confirm: {digest}")
    assert await signed.sync() == "failed"
    repository.git("reset", "--hard", "HEAD~1")
    ada.sign(repository, "commit", "--quiet", "--allow-empty", "--message", f"Yes\n\nFC-Confirm: {digest}")
    assert await signed.sync() == "synced"
    assert await signed.roles() == 1


async def test_a_history_that_is_gone_is_refused_with_what_to_do(
    signed: Followed, repository: Repository, ada: SshKey
) -> None:
    put(repository, 1)
    ada.sign(repository)
    assert await signed.sync() == "synced"
    await signed.database.execute("UPDATE config_sources SET synced_commit = $1", "1" * 40)
    put(repository, 2)
    ada.sign(repository)
    assert await signed.sync() == "failed"
    assert "push that commit to the repository again" in (await signed.newest()).reasons[0]


async def test_an_older_commit_without_signature_cannot_be_put_back(
    signed: Followed, repository: Repository, ada: SshKey
) -> None:
    old = repository.commit({"fc.yaml": roles(1)})
    put(repository, 2)
    ada.sign(repository)
    assert await signed.sync() == "synced"
    repository.git("reset", "--hard", old)
    assert await signed.sync() == "failed"
    assert (await source(signed.database)).forced_from is not None


async def test_a_moved_branch_is_noticed_once_and_followed(
    settings: Settings, database: Database, repository: Repository
) -> None:
    followed = Followed(settings, database, repository)
    base = repository.commit({"fc.yaml": roles(1)})
    assert await followed.sync() == "synced"
    lost = repository.commit({"README": "no revision of its own"})
    assert await followed.sync() == "synced"
    assert (await source(database)).forced_at is None
    repository.git("reset", "--hard", base)
    repository.commit({"fc.yaml": roles(2)})
    assert await followed.sync() == "synced"
    first = await source(database)
    assert (first.forced_from, await followed.roles()) == (lost, 2)
    assert first.forced_at is not None
    repository.commit({"fc.yaml": roles(3)})
    assert await followed.sync() == "synced"
    assert (await source(database)).forced_at == first.forced_at


@pytest.fixture
def strict(settings: Settings, database: Database, repository: Repository) -> Followed:
    return Followed(settings, database, repository, force_push="refuse")


async def test_a_moved_branch_is_held_until_a_person_confirms_it(
    strict: Followed, repository: Repository
) -> None:
    base = repository.commit({"fc.yaml": roles(1)})
    repository.commit({"fc.yaml": roles(2)})
    assert await strict.sync() == "synced"
    repository.git("reset", "--hard", base)
    repository.commit({"fc.yaml": roles(3)})
    assert await strict.sync() == "held"
    noticed = (await source(strict.database)).forced_at
    assert await strict.sync() == "held"
    strict.restart()
    assert await strict.sync() == "held"
    assert (await source(strict.database)).forced_at == noticed
    assert (await strict.revisions(), await strict.roles()) == (2, 2)
    plan = await strict.waits()
    assert (plan.by_commit, "the branch was moved" in plan.reasons[0]) == (False, True)
    kept = await planned_changes(strict.database, (await strict.newest()).id)
    assert kept is not None
    assert [(one.action, one.key) for one in kept.changes] == [("create", "r2")]
    # A commit says nothing, whichever digest it names: it is another move.
    inner = await strict.database.fetchval("SELECT plan ->> 'digest' FROM config_revisions LIMIT 1")
    repository.commit(message=f"Yes\n\nFC-Confirm: {plan.digest}\nFC-Confirm: {inner}")
    assert await strict.sync() == "held"
    again_held = await strict.waits()
    assert again_held.digest != plan.digest
    await sources.confirm(strict.database, again_held.digest[:12])
    assert await strict.sync() == "synced"
    assert await strict.roles() == 3
    assert await strict.sync() == "synced"


async def test_a_moved_branch_without_changes_is_held_too_until_it_is_put_back(
    strict: Followed, repository: Repository
) -> None:
    base = repository.commit({"fc.yaml": roles(1)})
    tip = repository.commit({"README": "1"})
    assert await strict.sync() == "synced"
    repository.git("reset", "--hard", base)
    assert await strict.sync() == "held"
    repository.git("reset", "--hard", tip)
    assert await strict.sync() == "synced"
    repository.git("checkout", "--quiet", "--orphan", "anew")
    repository.commit(message="Anew")
    repository.git("branch", "--force", "main", "anew")
    assert await strict.sync() == "held"


async def test_another_branch_in_the_settings_is_no_move(
    strict: Followed, settings: Settings, repository: Repository
) -> None:
    repository.commit({"fc.yaml": roles(1)})
    assert await strict.sync() == "synced"
    repository.git("checkout", "--quiet", "--orphan", "other")
    repository.commit({"fc.yaml": roles(2)})
    other = Followed(settings, strict.database, repository, force_push="refuse", branch="other")
    await other.synchronizer.register()
    assert await other.sync() == "synced"


NIGHTS = (SyncWindow("allow", "0 22 * * *", Duration(3600)),)


@pytest.fixture
async def nightly(settings: Settings, database: Database, repository: Repository) -> Followed:
    """A source whose changes are applied between 22 and 23, with eight roles; it is midnight."""
    made = Followed(settings, database, repository, sync_windows=NIGHTS)
    made.moment += timedelta(hours=22)
    repository.commit({"fc.yaml": roles(8)})
    assert await made.sync() == "synced"
    made.moment += timedelta(hours=2)
    return made


async def test_a_plan_waits_for_its_window_and_is_applied_in_it(
    nightly: Followed, repository: Repository
) -> None:
    repository.commit({"fc.yaml": roles(9)})
    assert await nightly.sync() == "waiting"
    assert await nightly.sync() == "waiting"
    found = await source(nightly.database)
    assert found.opens_at == datetime(2026, 1, 2, 22, tzinfo=UTC)
    assert "2026-01-02 22:00:00 UTC" in str(found.error_message)
    assert (await nightly.revisions(), await nightly.roles(), found.failures) == (2, 8, 0)
    revision = await nightly.newest()
    assert (revision.status, revision.created) == ("waiting", 1)
    kept = await planned_changes(nightly.database, revision.id)
    assert kept is not None
    assert [one.key for one in kept.changes] == ["r8"]
    nightly.moment = datetime(2026, 1, 2, 22, tzinfo=UTC)
    assert await nightly.sync() == "synced"
    assert await nightly.roles() == 9
    assert (await source(nightly.database)).opens_at is None


async def test_it_is_looked_at_again_when_the_window_opens(nightly: Followed, repository: Repository) -> None:
    """The settings ask for a look every hour; the window opens sooner, by the clock of the database too."""
    opens = datetime.now(UTC) + timedelta(minutes=10)
    schedule = f"{opens.minute} {opens.hour} * * *"
    nightly.settings = following(
        nightly.settings, repository, sync_windows=(SyncWindow("allow", schedule, Duration(60)),)
    )
    nightly.moment = datetime.now(UTC)
    nightly.restart()
    repository.commit({"fc.yaml": roles(9)})
    assert await nightly.sync() == "waiting"
    found = await source(nightly.database)
    assert found.opens_at is not None
    assert abs(found.next_sync_at - found.opens_at) < timedelta(minutes=1)


async def test_problems_are_told_whether_a_window_is_open_or_not(
    nightly: Followed, repository: Repository
) -> None:
    repository.commit({"fc.yaml": "projects: {p: {}}\n"})
    assert await nightly.sync() == "failed"
    repository.commit({"fc.yaml": roles(8) + "# a comment\n"})
    assert await nightly.sync() == "synced"


async def test_a_plan_that_is_held_waits_for_its_window_when_it_was_confirmed(
    nightly: Followed, repository: Repository
) -> None:
    repository.commit({"fc.yaml": roles(1)})
    assert await nightly.sync() == "held"
    await sources.confirm(nightly.database, (await nightly.waits()).digest)
    assert await nightly.sync() == "waiting"
    assert await nightly.sync() == "waiting"
    nightly.moment = datetime(2026, 1, 2, 22, 30, tzinfo=UTC)
    assert await nightly.sync() == "synced"
    assert await nightly.roles() == 1


async def test_a_person_has_it_applied_at_once(
    nightly: Followed, repository: Repository, database_url: str
) -> None:
    def run(*arguments: str) -> Any:
        return CliRunner().invoke(cli, arguments, env={"FC_DATABASE__URL": database_url})

    repository.commit({"fc.yaml": roles(9)})
    assert await nightly.sync() == "waiting"
    shown = await asyncio.to_thread(run, "status")
    digest = (await nightly.waits()).digest
    assert shown.exit_code == 1
    assert "waiting: until 2026-01-02 22:00 UTC" in shown.stdout
    assert f"fcctl confirm {digest[:12]}" in shown.stdout
    repository.commit(message=f"Now\n\nFC-Confirm: {digest}")
    assert await nightly.sync() == "waiting"
    assert (await asyncio.to_thread(run, "confirm", digest[:12])).exit_code == 0
    assert await nightly.sync() == "synced"
    assert await nightly.roles() == 9
    (event,) = await nightly.database.fetch("SELECT actor, key FROM audit_events")
    assert (event["actor"].partition(":")[0], event["key"]) == ("cli", digest)
    status = json.loads((await asyncio.to_thread(run, "status", "--json")).stdout)
    assert status["sources"][0]["waiting"] is None
