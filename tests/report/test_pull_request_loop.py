"""Looking after pull requests, at forges of every kind, on good days and bad ones."""

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import structlog

from fc.base.database import Database
from fc.base.looping import Services
from fc.base.source_settings import AppSettings, ReportSettings
from fc.forge.events import FORGES, Forge
from fc.report.pull_request_loop import MOST_LOOKS, LookingAfter
from tests.report.configuration_rows import HEAD, reported
from tests.report.test_looks import old
from tests.support.forge import LIMITED, Fault, FaultyForge, KnownPullRequest
from tests.support.github import APP, INSTALLATION, KEY_PEM, FakeGitHub

REPOSITORY = "ops/fc"
UNAUTHORISED = Fault(code=401, body=b'{"message": "Bad credentials"}')
FORBIDDEN = Fault(code=403, body=b'{"message": "Resource not accessible by integration"}')


@pytest.fixture
async def github() -> AsyncIterator[FakeGitHub]:
    async with FakeGitHub() as started:
        yield started


def asking(services: Services, report: ReportSettings | None, **others: ReportSettings) -> LookingAfter:
    """The loop, with a default source that is reported so."""
    settings = reported(services.settings, report, others=others)
    return LookingAfter(dataclasses.replace(services, settings=settings), 5.0)


def at(forge: FaultyForge, kind: Forge = "github", token: str | None = "forge-token") -> ReportSettings:
    return ReportSettings(kind, REPOSITORY, token, forge.url)


def knows(forge: FaultyForge, number: int = 7, **values: str) -> None:
    forge.pull_requests[REPOSITORY, number] = msgspec.convert({"head": HEAD} | values, KnownPullRequest)


async def found_closed(database: Database) -> list[int]:
    rows = await database.fetch(
        "SELECT number FROM config_previews WHERE found_closed_at IS NOT NULL ORDER BY number"
    )
    return [row["number"] for row in rows]


async def forget(database: Database) -> None:
    """As if all had been looked at long ago."""
    await database.execute("UPDATE config_previews SET looked_at = now() - interval '1 day'")


@pytest.mark.parametrize("kind", FORGES)
async def test_every_forge_says_which_were_closed_or_merged(
    database: Database, services: Services, forge: FaultyForge, kind: Forge
) -> None:
    for number, state, base in (
        (1, "open", "main"),
        (2, "closed", "main"),
        (3, "merged", "main"),
        (4, "open", "release"),
    ):
        await old(database, number)
        knows(forge, number, state=state, base=base)
    await old(database, 5)
    knows(forge, 5, head="e" * 40)
    loop = asking(services, at(forge, kind))
    await loop.look()
    assert await found_closed(database) == [2, 3, 4]
    rows = await database.fetch("SELECT number FROM config_previews WHERE requested_at IS NOT NULL")
    assert [row["number"] for row in rows] == [5]
    await loop.look()
    assert len(forge.requests) == 5, "nobody is asked again so soon"
    await loop.drain()


async def test_a_round_asks_about_few_and_the_next_about_others(
    database: Database, services: Services, forge: FaultyForge
) -> None:
    for number in range(1, MOST_LOOKS + 6):
        await old(database, number)
        knows(forge, number)
    loop = asking(services, at(forge))
    await loop.look()
    assert len(forge.requests) == MOST_LOOKS
    await loop.look()
    assert len({request.path for request in forge.requests}) == len(forge.requests) == MOST_LOOKS + 5
    await loop.drain()


async def test_two_processes_ask_about_each_once(
    database: Database, services: Services, forge: FaultyForge
) -> None:
    for number in range(1, 13):
        await old(database, number)
        knows(forge, number, state="closed")
    loops = [asking(services, at(forge)) for _ in range(2)]
    await asyncio.gather(*(loop.look() for loop in loops))
    assert len({request.path for request in forge.requests}) == len(forge.requests) == 12
    assert len(await found_closed(database)) == 12
    for loop in loops:
        await loop.drain()


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (UNAUTHORISED, "the token is not accepted"),
        (FORBIDDEN, "may not read pull requests"),
        (LIMITED, "rate limit"),
        (Fault(code=503, body=b"<html>"), "the forge has a problem"),
        (Fault(code=302, body=b""), "elsewhere"),
        (Fault(code=200, body=b"<html>sign in</html>"), "url"),
        (Fault(code=200, body=b'{"number": 8, "state": "closed"}'), "url"),
        (Fault(kind="close"), "no usable answer"),
        (Fault(kind="garbage"), "no usable answer"),
    ],
)
async def test_a_forge_that_does_not_say_loses_nothing_and_is_left_alone_for_a_while(
    database: Database, services: Services, forge: FaultyForge, fault: Fault, said: str
) -> None:
    for number in (7, 8, 9):
        await old(database, number)
        knows(forge, number, state="closed")
    forge.fault = fault
    loop = asking(services, at(forge))
    with structlog.testing.capture_logs() as logs:
        for _ in range(5):
            await loop.look()
            await forget(database)
        assert len(forge.requests) == 1
        # The rest is over, and nothing is better.
        loop._rests.clear()
        await loop.look()
    assert len(forge.requests) == 2
    (told,) = logs
    assert said in told["reason"]
    assert "forge-t0ken" not in str(logs)
    rows = await database.fetch("SELECT status, found_closed_at, requested_at FROM config_previews")
    assert {tuple(row) for row in rows} == {("planned", None, None)}
    forge.fault = None
    loop._rests.clear()
    await forget(database)
    await loop.look()
    assert await found_closed(database) == [7, 8, 9]
    await loop.drain()


async def test_a_rest_is_as_long_as_a_forge_asks(
    database: Database, services: Services, forge: FaultyForge
) -> None:
    await old(database)
    forge.fault = Fault(code=429, headers=(("Retry-After", "3600"),))
    loop = asking(services, at(forge))
    before = time.monotonic()
    await loop.look()
    assert loop._rests["default"] >= before + 3600
    await loop.drain()


async def test_one_that_the_forge_does_not_have_is_kept_and_the_others_go_on(
    database: Database, services: Services, forge: FaultyForge
) -> None:
    await old(database, 1, 40)
    await old(database, 2, 30)
    knows(forge, 2, state="merged")
    loop = asking(services, at(forge))
    with structlog.testing.capture_logs() as logs:
        await loop.look()
        assert await found_closed(database) == [2]
        for _ in range(3):
            await loop.look()
        assert len(forge.requests) == 2, "it is not asked about again and again"
        await forget(database)
        await loop.look()
    told = [one for one in logs if one["log_level"] == "warning"]
    assert [(one["number"], "no such pull request" in one["reason"]) for one in told] == [(1, True)]
    assert await database.fetchval("SELECT status FROM config_previews WHERE number = 1") == "planned"
    await loop.drain()


async def test_a_forge_that_hangs_holds_up_neither_the_others_nor_the_end(
    database: Database, services: Services, forge: FaultyForge, github: FakeGitHub
) -> None:
    await old(database)
    await old(database, 8, source="other")
    forge.fault = Fault(kind="hang")
    knows(github, 8, state="closed")
    loop = asking(services, at(forge), other=ReportSettings("github", REPOSITORY, "forge-token", github.url))
    assert not await loop.turn()
    while await found_closed(database) != [8]:
        await asyncio.sleep(0.01)
    assert not await loop.turn(), "the round is under way"
    await loop.drain()
    assert len(forge.requests) == 1
    forge.released.set()


async def test_an_app_asks_with_its_token_and_with_a_new_one_when_that_has_ended(
    database: Database, services: Services, github: FakeGitHub, tmp_path: Path
) -> None:
    (tmp_path / "secrets" / "app-key").write_text(KEY_PEM)
    app = AppSettings(APP, INSTALLATION, "app-key")
    loop = asking(services, ReportSettings("github", REPOSITORY, url=github.url, app=app))
    await old(database)
    knows(github)
    await loop.look()
    github.revoke()
    knows(github, state="closed")
    await forget(database)
    await loop.look()
    assert await found_closed(database) == [7]
    assert github.tokens_given == 2
    await loop.drain()


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (ReportSettings("github", REPOSITORY), "neither a token nor an App"),
        (ReportSettings("github", REPOSITORY, "absent"), "FC_SECRET_ABSENT"),
        (ReportSettings("github", "fc", "forge-token"), "owner/name"),
        (
            ReportSettings("github", REPOSITORY, app=AppSettings(APP, INSTALLATION, "absent")),
            "FC_SECRET_ABSENT",
        ),
        (ReportSettings("github", REPOSITORY, app=AppSettings(APP, 1, "app-key")), "check app.installation"),
    ],
)
async def test_settings_that_do_not_do_are_said_once(
    database: Database,
    services: Services,
    github: FakeGitHub,
    tmp_path: Path,
    report: ReportSettings,
    said: str,
) -> None:
    (tmp_path / "secrets" / "app-key").write_text(KEY_PEM)
    await old(database)
    loop = asking(services, msgspec.structs.replace(report, url=github.url))
    with structlog.testing.capture_logs() as logs:
        for _ in range(3):
            loop._rests.clear()
            await forget(database)
            await loop.look()
    (told,) = logs
    assert said in told["reason"]
    await loop.drain()


async def test_where_nothing_is_reported_nobody_is_asked(database: Database, services: Services) -> None:
    await old(database)
    loop = asking(services, None)
    assert not await loop.turn()
    assert loop._round is None
    await loop.drain()


async def test_a_round_that_fails_is_logged_and_followed_by_another(
    database: Database, services: Services, forge: FaultyForge, monkeypatch: pytest.MonkeyPatch
) -> None:
    await old(database)
    knows(forge, state="closed")
    loop = asking(services, at(forge))
    with monkeypatch.context() as patch, structlog.testing.capture_logs() as logs:
        patch.setattr(loop, "_sources", {"default": None})
        await loop.turn()
        assert loop._round is not None
        await asyncio.gather(loop._round, return_exceptions=True)
        await asyncio.sleep(0)
    assert logs[-1]["event"] == "pull requests cannot be looked after"
    await forget(database)
    await loop.turn()
    await loop._round
    assert await found_closed(database) == [7]
    await loop.drain()
