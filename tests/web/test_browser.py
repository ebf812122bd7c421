"""The pages in a real Chromium, served by the real server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from fc.base.database import Database
from tests.support.browser import chromium, every_picture, screenshots, watched_page
from tests.support.story_rows import Story
from tests.support.story_sources import Several, tell_sources

CONTRAST = (Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")
PATIENCE = 30_000
SIZES = {"wide": (1280, 800), "narrow": (360, 740)}


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as opened:
        yield opened


def paths(story: Story) -> dict[str, str]:
    """Every kind of page, at its most interesting."""
    main = "nimbus/main"
    return {
        "overview": "/",
        "project": "/projects/nimbus",
        "jobset": "/projects/nimbus/jobsets/main",
        "jobset-disabled": "/projects/site/jobsets/legacy",
        "evaluation": f"/evaluations/{story.evaluations[main][-1]}",
        "evaluation-errors": f"/evaluations/{story.evaluations['kestrel/main'][-1]}",
        "evaluation-failed": f"/evaluations/{story.evaluations['kestrel/next'][-1]}",
        "build-running": f"/builds/{story.build(main, 'gateway.x86_64-linux')}",
        "build-failed": f"/builds/{story.build(main, 'shards.x86_64-linux')}",
        "build-waiting": f"/builds/{story.build(main, 'integration.x86_64-linux')}",
        "build-succeeded": f"/builds/{story.build(main, 'docs.x86_64-linux')}",
        "log": f"/builds/{story.build(main, 'gateway.x86_64-linux')}/log?line=120#L120",
        "builders": "/builders",
        "configuration": "/configuration",
        "configuration-source": "/configuration/sources/main",
        "configuration-resource": "/configuration/resources/jobset/nimbus/main",
        "configuration-resources": "/configuration/resources?kind=remote_builder",
        "revision": f"/configuration/revisions/{story.revisions[2]}",
        "revision-failed": f"/configuration/revisions/{story.revisions[3]}",
        "notifications": "/notifications",
        "api": "/api",
    }


def paths_of_several(several: Several) -> dict[str, str]:
    """Pages of configuration out of several sources."""
    return {
        "sources": "/configuration",
        "sources-overview": "/",
        "sources-failed": "/configuration/sources/hardware",
        "sources-held": "/configuration/sources/team-data",
        "sources-project": "/configuration/sources/project/station-007",
        "sources-projects": "/configuration/sources",
        "sources-revision-held": f"/configuration/revisions/{several.held}",
        "sources-revision-huge": f"/configuration/revisions/{several.huge}",
        "sources-resource": "/configuration/resources/jobset/kestrel/next",
        "sources-resource-gone": "/configuration/resources/jobset/kestrel/edge",
        "sources-resources": "/configuration/resources?kind=project&prefix=station",
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_of_several_sources_are_sound_and_legible(
    browser: Browser, server: str, story: Story, database: Database, tmp_path: Path, scheme: str
) -> None:
    several = await tell_sources(database, story)
    for size, (width, height) in (SIZES | {"phone": (390, 844)}).items():
        async with watched_page(
            browser, server, viewport={"width": width, "height": height}, color_scheme=scheme
        ) as watched:
            for name, path in paths_of_several(several).items():
                await _look(watched.page, path, screenshots(tmp_path) / f"{name}-{scheme}-{size}.png")
            answer = await watched.page.goto("/configuration/resources/jobset/kestrel/nxt")
            assert answer is not None
            assert answer.status == 404
            assert await watched.page.evaluate(CONTRAST) == []
            picture = screenshots(tmp_path) / f"sources-unknown-{scheme}-{size}.png"
            await watched.page.screenshot(path=picture)
            assert picture.read_bytes().startswith(b"\x89PNG")


async def _look(page: Page, path: str, picture: Path) -> None:
    """Open a page, and see that it is as wide as the window, and legible."""
    answer = await page.goto(path)
    assert answer is not None
    assert answer.status == 200, path
    overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert overflow <= 0, f"{path} is {overflow} pixels too wide"
    assert await page.evaluate(CONTRAST) == [], path
    if every_picture():
        await page.screenshot(path=picture, full_page=True)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_page_is_sound_and_legible(
    browser: Browser, server: str, story: Story, tmp_path: Path, scheme: str
) -> None:
    directory = screenshots(tmp_path)
    for size, (width, height) in SIZES.items():
        async with watched_page(
            browser, server, viewport={"width": width, "height": height}, color_scheme=scheme
        ) as watched:
            page = watched.page
            for name, path in paths(story).items():
                await _look(page, path, directory / f"{name}-{scheme}-{size}.png")
            await page.set_viewport_size({"width": width, "height": 1010})
            await page.goto("/")
            await page.screenshot(path=directory / f"top-{scheme}-{size}.png")
            assert watched.complaints == []


async def test_every_page_can_be_found_one_s_way_in_without_eyes(
    browser: Browser, server: str, story: Story
) -> None:
    async with watched_page(browser, server) as watched:
        page = watched.page
        for name, path in paths(story).items():
            await page.goto(path)
            assert await page.locator("h1").count() == 1, name
            for landmark in ("main", "header", "nav[aria-label=Main]", "footer"):
                assert await page.locator(landmark).count() == 1, (name, landmark)
            unnamed = await page.evaluate(
                """[...document.querySelectorAll('a, button, input:not([type=hidden]), section, [role=region]')].filter(one =>
                    !(one.textContent.trim() || one.getAttribute('aria-label') || one.getAttribute('aria-labelledby')
                      || (one.labels && one.labels.length) || one.querySelector('[role=img][aria-label]'))).map(one => one.outerHTML)"""
            )
            assert unnamed == [], name
            broken = await page.evaluate(
                """[...document.querySelectorAll('[aria-labelledby]')].map(one => one.getAttribute('aria-labelledby'))
                    .filter(id => !document.getElementById(id))"""
            )
            assert broken == [], name
            twice = await page.evaluate(
                "(() => { const ids = [...document.querySelectorAll('[id]')].map(one => one.id);"
                " return ids.filter((id, index) => ids.indexOf(id) !== index) })()"
            )
            assert twice == [], name
        await page.goto("/")
        await page.keyboard.press("Tab")
        assert await page.evaluate("document.activeElement.className") == "skip"
        await page.keyboard.press("Enter")
        assert await page.evaluate("document.activeElement.id") == "content"


async def test_everything_is_there_without_scripts(browser: Browser, server: str, story: Story) -> None:
    async with watched_page(browser, server, java_script_enabled=False) as watched:
        page = watched.page
        for path in paths(story).values():
            answer = await page.goto(path)
            assert answer is not None
            assert answer.status == 200
        await page.goto("/")
        await page.get_by_role("link", name="nimbus", exact=True).click()
        await page.get_by_role("link", name="main", exact=True).first.click()
        await page.get_by_role("link", name="Failing now").click()
        await page.get_by_role("link", name="failed", exact=True).first.click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("shards.x86_64-linux")
        await expect(page.locator("#log-lines")).to_contain_text("the reader saw <half> a shard")
        await expect(page.get_by_text("Follow")).to_be_hidden()
        await page.get_by_role("link", name="Whole log").click()
        await page.get_by_label("Line", exact=True).fill("12")
        await page.get_by_role("button", name="Go").click()
        await expect(page.locator("#L12")).to_be_visible()
        assert watched.complaints == []


async def test_a_log_grows_before_one_s_eyes(browser: Browser, server: str, story: Story) -> None:
    build = story.build("nimbus/main", "gateway.x86_64-linux")
    async with watched_page(browser, server, viewport={"width": 1280, "height": 800}) as watched:
        page = watched.page
        await page.goto(f"/builds/{build}")
        await _mark(page)
        log = page.locator("#log-lines")
        before = await log.locator(".l").count()
        story.grow_log(build, "\x1b[31mred <img src=x onerror=alert(1)> line\x1b[0m\n")
        await expect(log.locator(".l").last).to_contain_text(
            "red <img src=x onerror=alert(1)> line", timeout=PATIENCE
        )
        await expect(log.locator(".l").last.locator(".a-f1")).to_be_visible()
        assert await log.locator(".l").count() == before + 1
        assert await log.locator("img").count() == 0
        # Who reads the end stays at the end; who reads further up stays there.
        at_end = "(box => box.scrollHeight - box.scrollTop - box.clientHeight < 40)(document.getElementById('log-lines'))"
        assert await page.evaluate(at_end)
        await log.evaluate("box => { box.scrollTop = 0 }")
        await expect(page.get_by_label("Follow")).not_to_be_checked()
        story.grow_log(build, "another line\n")
        await expect(log).to_contain_text("another line", timeout=PATIENCE)
        assert await log.evaluate("box => box.scrollTop") == 0
        await page.get_by_label("Follow").check()
        await page.wait_for_function(at_end)
        number = await log.locator(".l").last.get_attribute("id")
        await log.locator(".l").last.locator("a").click()
        await expect(page.locator(f"#{number}")).to_contain_text("another line")
        await expect(page).to_have_url(f"{server}/builds/{build}/log?line={(number or '')[1:]}#{number}")
        assert watched.complaints == []


async def test_a_status_changes_without_loading_again(browser: Browser, server: str, story: Story) -> None:
    build = story.build("nimbus/main", "gateway.x86_64-linux")
    async with (
        watched_page(browser, server) as detail,
        watched_page(browser, server) as overview,
        watched_page(browser, server) as evaluation,
    ):
        await detail.page.goto(f"/builds/{build}")
        await overview.page.goto("/")
        await evaluation.page.goto(f"/evaluations/{story.evaluations['nimbus/main'][-1]}")
        for watched in (detail, overview, evaluation):
            await _mark(watched.page)
            await expect(watched.page.locator("#pulse")).to_have_text("Live", timeout=PATIENCE)
        story.grow_log(build, "the last word\n")
        await story.finish(build, "failed")
        await expect(detail.page.locator(".title .chip")).to_have_text("failed", timeout=PATIENCE)
        await expect(detail.page.locator("#log-lines")).to_contain_text("the last word", timeout=PATIENCE)
        await expect(detail.page.locator("#announce")).to_have_text("gateway.x86_64-linux: failed")
        await expect(overview.page.locator("#running")).not_to_contain_text("gateway", timeout=PATIENCE)
        await expect(overview.page.locator("#finished")).to_contain_text("gateway", timeout=PATIENCE)
        await expect(evaluation.page.locator("#changes")).to_contain_text("Newly failing 2", timeout=PATIENCE)
        for watched in (detail, overview, evaluation):
            assert await _is_marked(watched.page)
            assert watched.complaints == []


async def test_what_was_opened_and_focused_stays_so(
    browser: Browser, server: str, story: Story, database: Database
) -> None:
    evaluation = story.evaluations["kestrel/main"][-1]
    async with watched_page(browser, server) as watched:
        page = watched.page
        await page.goto(f"/evaluations/{evaluation}")
        await expect(page.locator("#pulse")).to_have_text("Live", timeout=PATIENCE)
        await page.locator("#error-1 > summary").click()
        await expect(page.locator("#error-1")).not_to_have_attribute("open", "")
        await page.locator("#error-1 > summary").focus()
        await database.execute(
            "INSERT INTO evaluation_errors (evaluation_id, job_name, message) VALUES ($1, 'second', 'error: another')",
            evaluation,
        )
        await expect(page.locator("#errors")).to_contain_text("second", timeout=PATIENCE)
        await expect(page.locator("#error-1")).not_to_have_attribute("open", "")
        assert await page.evaluate("document.activeElement.parentElement.id") == "error-1"


async def test_a_page_comes_back_when_the_server_was_away(
    browser: Browser, server: str, story: Story
) -> None:
    async with watched_page(browser, server) as watched:
        page = watched.page
        await page.goto("/builders")
        await expect(page.locator("#pulse")).to_have_text("Live", timeout=PATIENCE)
        await page.context.set_offline(True)
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await expect(page.locator("#pulse")).to_have_text("Reconnecting…", timeout=PATIENCE)
        await page.context.set_offline(False)
        await expect(page.locator("#pulse")).to_have_text("Live", timeout=PATIENCE)


async def _mark(page: Page) -> None:
    """Leave something behind that loading the page again would wipe away."""
    await page.evaluate("window.marked = true")


async def _is_marked(page: Page) -> bool:
    return bool(await page.evaluate("window.marked === true"))
