"""Previews: what pull requests would change, and that nothing of them is ever applied."""

from pathlib import Path

import pytest

from fc.base.database import Database
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.base.source_settings import ScopeRule
from fc.config import previews, sources
from fc.config.adoption import allow_adoption
from fc.config.preview_loop import PreviewLoop
from fc.config.sync import Synchronizer
from fc.tables.piccolo_app import APP_CONFIG
from tests.config.test_apply import put
from tests.support.configuration import project
from tests.support.pull_requests import heard, offer, previewing, seen
from tests.support.repository import Repository

MINE = "config_previews"


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "configuration")
    made.commit({"fc.yaml": project("p", main="x"), "other.yaml": project("q", main="x")})
    return made


@pytest.fixture
async def loop(settings: Settings, database: Database, repository: Repository) -> PreviewLoop:
    """The loop, with the repository's first commit in force."""
    await synced(settings, database, repository)
    return PreviewLoop(previewing(settings, repository), database)


async def synced(settings: Settings, database: Database, repository: Repository) -> None:
    """Have the branch applied."""
    synchronizer = Synchronizer(previewing(settings, repository), database, Secrets(None))
    await synchronizer.register()
    await sources.request_sync(database)
    assert await synchronizer.synchronize()


async def reported(database: Database) -> bool:
    """Whether something is to be reported; it counts as reported then."""
    return bool(
        await database.fetchval(
            "UPDATE config_previews SET report_pending_since = NULL WHERE report_pending_since IS NOT NULL RETURNING 1"
        )
    )


async def everything(database: Database) -> dict[str, list[str]]:
    """Every row of every table but that of previews."""
    names = {table._meta.tablename for table in APP_CONFIG.table_classes} - {MINE}
    return {
        name: sorted(row["row"] for row in await database.fetch(f"SELECT t::text AS row FROM {name} t"))
        for name in names
    }


async def test_a_pull_request_gets_its_plan_and_nothing_else_happens(
    database: Database, repository: Repository, loop: PreviewLoop
) -> None:
    before = await everything(database)
    head = offer(repository, {"fc.yaml": project("p", main="y", nightly="x")})
    assert await heard(database, head) is None
    assert (await seen(database)).preview.status == "pending"
    assert await reported(database)
    assert await loop.turn()
    found = await seen(database)
    assert (found.preview.status, found.preview.message) == ("planned", "1 to create, 1 to update")
    assert (found.preview.head_hash, found.preview.base_hash) == (head, repository.head())
    assert found.preview.base_revision_id == await sources.latest_revision(database)
    assert [(one.action, one.key, one.file, one.line) for one in found.changes] == [
        ("update", "p/main", "fc.yaml", 5),
        ("create", "p/nightly", "fc.yaml", 6),
    ]
    update = found.changes[0]
    assert update.before is not None
    assert update.after is not None
    assert (update.before["branch"], update.after["branch"]) == ("x", "y")
    assert (found.preview.requested_at, found.more, found.errors) == (None, 0, [])
    assert await reported(database)
    assert not await loop.turn()
    assert await everything(database) == before


async def test_a_plan_is_worked_out_for_the_merge_not_for_the_head(
    database: Database, settings: Settings, repository: Repository, loop: PreviewLoop
) -> None:
    head = offer(repository, {"fc.yaml": project("p", main="y")})
    repository.commit({"other.yaml": project("q", main="z")})
    await synced(settings, database, repository)
    await heard(database, head)
    assert await loop.turn()
    assert [one.key for one in (await seen(database)).changes] == ["p/main"]


async def test_conflicts_fail_and_name_the_files(
    database: Database, repository: Repository, loop: PreviewLoop
) -> None:
    head = offer(repository, {"fc.yaml": project("p", main="y")})
    repository.commit({"fc.yaml": project("p", main="z")})
    await heard(database, head)
    assert await loop.turn()
    found = await seen(database)
    assert found.preview.status == "failed"
    assert found.preview.message == "it conflicts with main in fc.yaml; rebase it"
    assert [(one.file, one.line) for one in found.errors] == [("fc.yaml", 1)]


async def test_errors_stand_at_the_lines_of_the_head(
    database: Database, repository: Repository, loop: PreviewLoop
) -> None:
    text = project("p", main="x")
    head = offer(repository, {"fc.yaml": f"{text}users: {{u: {{role: root}}}}\n"})
    repository.commit({"fc.yaml": f"# one\n# two\n{text}"})
    await heard(database, head)
    assert await loop.turn()
    found = await seen(database)
    assert found.preview.status == "failed"
    assert [(one.file, one.line, one.column) for one in found.errors] == [
        ("fc.yaml", 6, 12),
        ("fc.yaml", 6, 19),
    ]
    assert found.preview.message is not None
    assert found.preview.message.startswith("the configuration would have 2 problems: fc.yaml:6:12:")


async def test_a_pull_request_that_empties_the_repository_is_held(
    database: Database, repository: Repository, loop: PreviewLoop
) -> None:
    before = await everything(database)
    await heard(database, offer(repository, {"fc.yaml": None, "other.yaml": "{}\n"}))
    assert await loop.turn()
    found = await seen(database)
    assert (found.preview.status, found.preview.summary["delete"]) == ("held", 4)
    assert "remove everything" in found.preview.reasons[0]
    assert await everything(database) == before


async def test_what_another_source_or_a_hand_made_is_not_taken_over(
    database: Database, repository: Repository, loop: PreviewLoop
) -> None:
    await database.execute("INSERT INTO projects (name, repository_url) VALUES ('made', '/srv/made')")
    await heard(database, offer(repository, {"new.yaml": project("made")}))
    assert await loop.turn()
    found = await seen(database)
    assert found.preview.status == "failed"
    assert "was not made from git" in found.errors[0].message
    async with database.transaction() as connection:
        await allow_adoption(connection, "project", "made", "ada")
    assert await loop.turn()
    found = await seen(database)
    assert (found.preview.status, found.changes[0].action) == ("planned", "adopt")


async def test_a_scope_holds_for_pull_requests(
    database: Database, settings: Settings, repository: Repository, loop: PreviewLoop
) -> None:
    rules = (ScopeRule(names=("p", "q")),)
    scoped = PreviewLoop(previewing(settings, repository, scope=rules), database)
    await heard(database, offer(repository, {"new.yaml": project("r")}))
    assert await scoped.turn()
    found = await seen(database)
    assert found.preview.status == "failed"
    assert "outside of what this source may declare" in found.errors[0].message


async def test_a_directory_of_the_repository_is_planned_by_itself(
    database: Database, settings: Settings, tmp_path: Path
) -> None:
    repository = Repository(tmp_path / "deep")
    repository.commit({"fc/fc.yaml": project("p", main="x"), "readme": "x"})
    inside = previewing(settings, repository, path="fc")
    await sources.register(database, "default", inside.configuration)
    await database.execute("UPDATE config_sources SET next_sync_at = now() + interval '1 day'")
    loop = PreviewLoop(inside, database)
    await heard(database, offer(repository, {"fc/fc.yaml": "users: {u: 1}\n"}))
    assert await loop.turn()
    assert (await seen(database)).errors[0].file == "fc.yaml"
    await heard(database, offer(repository, {"readme": "y"}, 2), 2)
    repository.commit({"readme": "z"})
    assert await loop.turn()
    assert [one.file for one in (await seen(database, 2)).errors] == ["../readme"]


async def test_a_new_head_is_planned_and_the_old_result_comes_too_late(
    database: Database, repository: Repository, loop: PreviewLoop
) -> None:
    await heard(database, offer(repository, {"fc.yaml": project("p", main="y")}))
    held = await previews.claim(database, ["default"])
    assert held is not None
    head = offer(repository, {"fc.yaml": project("p", main="z")})
    await heard(database, head)
    assert not await previews.finish(database, held, previews.Outcome("planned", "late", "a" * 40, "b" * 40))
    assert await loop.turn()
    found = await seen(database)
    assert (found.preview.status, found.preview.head_hash) == ("planned", head)


async def test_only_a_new_head_is_planned_again(
    database: Database, repository: Repository, loop: PreviewLoop
) -> None:
    head = offer(repository, {"fc.yaml": project("p", main="y")})
    await heard(database, head)
    assert await loop.turn()
    assert await reported(database)
    await heard(database, head, action="edited", title="Another title", author=None, url=None)
    assert not await loop.turn()
    assert not await reported(database)
    found = (await seen(database)).preview
    assert (found.title, found.author, found.status) == ("Another title", "mallory", "planned")


async def test_a_new_base_has_all_planned_again_and_reports_what_differs(
    database: Database, settings: Settings, repository: Repository, loop: PreviewLoop
) -> None:
    await heard(database, offer(repository, {"fc.yaml": project("p", main="y")}))
    await heard(database, offer(repository, {"new.yaml": project("r")}, 2), 2)
    assert await loop.turn()
    assert await loop.turn()
    while await reported(database):
        pass
    repository.commit({"fc.yaml": project("p", main="w")})
    await synced(settings, database, repository)
    assert await loop.turn()
    assert await loop.turn()
    assert not await loop.turn()
    assert (await seen(database)).preview.status == "failed"
    assert (await seen(database, 2)).preview.status == "planned"
    assert (await seen(database, 2)).preview.base_hash == repository.head()
    flagged = await database.fetch(
        "SELECT number FROM config_previews WHERE report_pending_since IS NOT NULL"
    )
    assert [row["number"] for row in flagged] == [1]


async def test_a_base_that_cannot_be_applied_still_has_them_planned_again(
    database: Database, settings: Settings, repository: Repository, loop: PreviewLoop
) -> None:
    await heard(database, offer(repository, {"new.yaml": project("r")}))
    assert await loop.turn()
    repository.commit({"broken.yaml": "users: {u: 1}\n"})
    await synced(settings, database, repository)
    assert await loop.turn()
    found = await seen(database)
    assert (found.preview.status, found.errors[0].file) == ("failed", "broken.yaml")


async def test_another_source_that_moves_has_them_planned_again(
    database: Database, repository: Repository, loop: PreviewLoop
) -> None:
    await heard(database, offer(repository, {"new.yaml": project("r")}))
    assert await loop.turn()
    await database.execute("UPDATE config_sources SET name = 'set aside'")
    await put(database, project("p", main="x") + "  r: {repository_url: /srv/r}\n")
    await database.execute("UPDATE config_resources SET source = 'elsewhere' WHERE key = 'r'")
    assert await loop.turn()
    found = await seen(database)
    assert found.preview.status == "failed"
    assert "belongs to another configuration source (elsewhere" in found.errors[0].message


async def test_closing_ends_it_and_reopening_begins_again(
    database: Database, repository: Repository, loop: PreviewLoop
) -> None:
    head = offer(repository, {"new.yaml": project("r")})
    await heard(database, head)
    held = await previews.claim(database, ["default"])
    assert held is not None
    assert await heard(database, head, closed=True) is None
    assert not await previews.finish(database, held, previews.Outcome("planned", "late", head, head))
    found = (await seen(database)).preview
    assert (found.status, found.closed_at is None) == ("closed", False)
    assert not await reported(database)
    assert not await loop.turn()
    assert await heard(database, head, closed=True) == "this pull request is closed"
    assert await heard(database, head, action="reopened") is None
    assert await reported(database)
    assert await loop.turn()
    found = (await seen(database)).preview
    assert (found.status, found.closed_at) == ("planned", None)


async def test_what_was_merged_or_is_gone_is_closed_though_no_hook_said_so(
    database: Database, repository: Repository, loop: PreviewLoop
) -> None:
    head = offer(repository, {"new.yaml": project("r")})
    await heard(database, head)
    await heard(database, "a" * 40, 2)
    repository.git("merge", "--quiet", "--no-ff", "--message=Merge", head)
    assert await loop.turn()
    assert await loop.turn()
    assert [(await seen(database, one)).preview.status for one in (1, 2)] == ["closed", "closed"]
