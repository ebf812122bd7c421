"""The loop of previews: many pull requests, several processes, failures, kills."""

import asyncio

import msgspec
import pytest

from fc.base.database import Database
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.config import previews, sources
from fc.config.preview_loop import PreviewLoop
from fc.config.sync import Synchronizer
from tests.config import test_previews
from tests.support.configuration import project
from tests.support.pull_requests import heard, offer, previewing, seen
from tests.support.repository import Repository

repository = test_previews.repository
loop = test_previews.loop


async def test_so_many_are_previewed_and_no_more(database: Database) -> None:
    await database.execute(
        "INSERT INTO config_previews (source, number, head_hash) SELECT 'default', n, $2 FROM generate_series(1, $1) n",
        previews.MOST_OPEN,
        "a" * 40,
    )
    assert "no more are previewed" in (await heard(database, "b" * 40, 1000) or "")
    assert await heard(database, "b" * 40, 7) is None
    assert await heard(database, "a" * 40, 8, closed=True) is None
    assert await heard(database, "b" * 40, 1000) is None


async def test_an_unreachable_forge_is_asked_again_ever_later(
    database: Database, settings: Settings, repository: Repository, loop: PreviewLoop
) -> None:
    head = offer(repository, {"fc.yaml": project("p", main="y")})
    await heard(database, head)
    repository.path.rename(repository.path.with_name("away"))
    assert await loop.turn()
    assert not await loop.turn()
    row = await database.fetchrow(
        "SELECT status, message, failures, next_plan_at > now() AS later FROM config_previews"
    )
    assert row is not None
    assert (row["status"], row["failures"], row["later"]) == ("pending", 1, True)
    assert row["message"].startswith("it cannot be read: git fetch failed")
    repository.path.with_name("away").rename(repository.path)
    await database.execute("UPDATE config_previews SET next_plan_at = now()")
    assert await loop.turn()
    assert (await seen(database)).preview.status == "planned"
    assert await database.fetchval("SELECT failures FROM config_previews") == 0


async def test_two_processes_share_the_work(
    database: Database, settings: Settings, repository: Repository, loop: PreviewLoop
) -> None:
    for number in range(1, 5):
        await heard(database, offer(repository, {f"n{number}.yaml": project(f"n{number}")}, number), number)
    other = PreviewLoop(previewing(settings, repository), database)

    async def work(one: PreviewLoop) -> int:
        done = 0
        while await one.turn():
            done += 1
        return done

    counts = await asyncio.gather(work(loop), work(other))
    assert sum(counts) == 4
    for number in range(1, 5):
        found = await seen(database, number)
        assert (found.preview.status, found.changes[0].key) == ("planned", f"n{number}")


async def test_a_planner_that_was_killed_is_followed_by_another_one(
    database: Database, repository: Repository, loop: PreviewLoop
) -> None:
    await heard(database, offer(repository, {"new.yaml": project("r")}))
    dead = await previews.claim(database, ["default"])
    assert dead is not None
    assert await previews.claim(database, ["default"]) is None
    await database.execute("UPDATE config_previews SET lease_until = now() - interval '1 second'")
    # What kills its process must not do so again at once.
    assert await previews.claim(database, ["default"]) is None
    await database.execute("UPDATE config_previews SET next_plan_at = now()")
    assert await loop.turn()
    assert not await previews.renew(database, dead)
    assert not await previews.finish(database, dead, previews.Outcome("failed", "late", "a" * 40, "b" * 40))
    assert (await seen(database)).preview.status == "planned"


async def test_one_that_is_wanted_again_is_planned_and_reported_anew(
    database: Database, repository: Repository, loop: PreviewLoop
) -> None:
    head = offer(repository, {"new.yaml": project("r")})
    await heard(database, head)
    await heard(database, offer(repository, {"other.yaml": project("s")}, 2), 2)
    while await loop.turn():
        pass
    await database.execute("UPDATE config_previews SET report_pending_since = NULL")
    assert await again(database, head) == 1
    found = await seen(database)
    assert (found.preview.status, found.changes) == ("pending", [])
    assert await test_previews.reported(database)
    assert not await test_previews.reported(database), "the other one is left alone"
    assert await loop.turn()
    assert not await loop.turn()
    assert (await seen(database)).preview.status == "planned"
    assert await test_previews.reported(database)


async def test_whoever_asks_again_and_again_gets_a_plan_all_the_same(
    database: Database, repository: Repository, loop: PreviewLoop
) -> None:
    head = offer(repository, {"new.yaml": project("r")})
    await heard(database, head)
    held = await previews.claim(database, ["default"])
    assert held is not None
    for _ in range(3):
        assert await again(database, head) == 1
    assert await previews.renew(database, held)
    assert await previews.claim(database, ["default"]) is None, "one plans it already"
    assert await previews.finish(database, held, previews.Outcome("planned", "x", head, head))
    assert await loop.turn()
    assert not await loop.turn()
    assert await database.fetchval("SELECT reruns FROM config_previews") == 3


async def test_one_that_is_wanted_again_does_not_wait_for_its_next_try(
    database: Database, repository: Repository, loop: PreviewLoop
) -> None:
    head = offer(repository, {"new.yaml": project("r")})
    await heard(database, head)
    repository.path.rename(repository.path.with_name("away"))
    assert await loop.turn()
    repository.path.with_name("away").rename(repository.path)
    assert not await loop.turn()
    assert await again(database, head) == 1
    assert await loop.turn()
    assert (await seen(database)).preview.status == "planned"


async def again(database: Database, head: str) -> int:
    """Somebody wants the checks of a commit again; how many pull requests that is about."""
    async with database.transaction() as connection:
        return await previews.rerun(connection, ["default"], head)


async def test_what_its_forge_says_is_closed_is_closed_and_the_others_go_on(
    database: Database, repository: Repository, loop: PreviewLoop
) -> None:
    for number in (1, 2):
        await heard(database, offer(repository, {f"n{number}.yaml": project(f"n{number}")}, number), number)
    held = await previews.claim(database, ["default"])
    assert held is not None
    await database.execute(
        "UPDATE config_previews SET found_closed_at = now() WHERE number = $1", held.number
    )
    while await loop.turn():
        pass
    assert not await previews.finish(database, held, previews.Outcome("planned", "late", "a" * 40, "b" * 40))
    other = 3 - held.number
    assert (await seen(database, held.number)).preview.status == "closed"
    assert (await seen(database, other)).preview.status == "planned"


async def test_what_was_found_closed_and_is_heard_of_again_is_open(
    database: Database, repository: Repository, loop: PreviewLoop
) -> None:
    head = offer(repository, {"new.yaml": project("r")})
    await heard(database, head)
    await database.execute(
        "UPDATE config_previews SET found_closed_at = now(), looked_at = now() - interval '1 hour'"
    )
    await heard(database, head, action="reopened")
    assert await database.fetchval(
        "SELECT found_closed_at IS NULL AND looked_at > now() - interval '1 minute' FROM config_previews"
    )
    assert await loop.turn()
    assert (await seen(database)).preview.status == "planned"
    # Closed for good, it is opened again like any other.
    await database.execute("UPDATE config_previews SET found_closed_at = now()")
    assert not await loop.turn()
    assert (await seen(database)).preview.status == "closed"
    await heard(database, head, action="reopened")
    assert await loop.turn()
    assert (await seen(database)).preview.status == "planned"


async def test_one_that_is_stopped_hands_its_work_back(
    database: Database, repository: Repository, loop: PreviewLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await heard(database, offer(repository, {"new.yaml": project("r")}))
    reached = asyncio.Event()

    async def hang(_number: int) -> previews.Outcome:
        reached.set()
        await asyncio.Event().wait()
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr(loop.previewers["default"], "preview", hang)
        running = asyncio.create_task(loop.turn())
        await reached.wait()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert await database.fetchval("SELECT claim_token IS NULL AND failures = 0 FROM config_previews")
    assert await loop.turn()


async def test_one_that_breaks_the_planner_does_not_keep_the_others(
    database: Database, repository: Repository, loop: PreviewLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    await heard(database, offer(repository, {"a.yaml": project("a")}))
    await heard(database, offer(repository, {"b.yaml": project("b")}, 2), 2)
    previewer = loop.previewers["default"]
    preview = previewer.preview

    async def broken(number: int) -> previews.Outcome:
        if number == 1:
            message = "something nobody thought of"
            raise RuntimeError(message)
        return await preview(number)

    monkeypatch.setattr(previewer, "preview", broken)
    assert await loop.turn()
    assert await loop.turn()
    assert [(await seen(database, one)).preview.status for one in (1, 2)] == ["pending", "planned"]
    assert (await seen(database)).preview.message == "it cannot be planned; the log says why"


async def test_a_synchronisation_that_was_just_asked_for_goes_first(
    database: Database, repository: Repository, loop: PreviewLoop
) -> None:
    await heard(database, offer(repository, {"new.yaml": project("r")}))
    await sources.request_sync(database)
    assert not await loop.turn()
    # One that is paused, or whose process is gone, is not waited for.
    await database.execute("UPDATE config_sources SET sync_requested_at = now() - interval '1 minute'")
    assert await loop.turn()


async def test_pull_requests_of_a_source_that_is_not_previewed_any_more_are_closed(
    database: Database, settings: Settings, repository: Repository
) -> None:
    await heard(database, "a" * 40)
    loop = PreviewLoop(previewing(settings, repository, report=None), database)
    assert not await loop.turn()
    assert (await seen(database)).preview.status == "closed"


async def test_the_files_of_a_merge_request_are_found_at_its_own_ref(
    database: Database, settings: Settings, repository: Repository, loop: PreviewLoop
) -> None:
    head = offer(repository, {"new.yaml": project("r")}, 3, ref="refs/merge-requests/{}/head")
    gitlab = PreviewLoop(previewing(settings, repository, "gitlab"), database)
    await heard(database, head, 3)
    assert await gitlab.turn()
    assert (await seen(database, 3)).preview.head_hash == head


async def test_what_a_strangers_tree_holds_stays_out_of_the_repository_that_is_applied(
    database: Database, settings: Settings, repository: Repository, loop: PreviewLoop
) -> None:
    head = offer(repository, {"new.yaml": project("r")})
    await heard(database, head)
    assert await loop.turn()
    followed = Synchronizer(previewing(settings, repository), database, Secrets(None))
    assert followed._mirror.path != loop.previewers["default"].mirror.path


async def test_unchanged_files_are_not_read_again(
    database: Database, settings: Settings, repository: Repository, loop: PreviewLoop
) -> None:
    loader = loop.previewers["default"].loader
    await heard(database, offer(repository, {"new.yaml": project("r")}))
    assert await loop.turn()
    assert loader.parsed == 3
    await heard(database, offer(repository, {"new.yaml": project("s")}))
    assert await loop.turn()
    assert loader.parsed == 4


def test_a_source_without_a_forge_is_not_previewed(settings: Settings, repository: Repository) -> None:
    changed = previewing(settings, repository, report=None)
    assert PreviewLoop(changed, msgspec.UNSET).previewers == {}  # type: ignore[arg-type]  # nothing is asked of it
