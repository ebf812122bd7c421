"""The page of a pull request on a configuration repository."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from fc.base.database import Database
from fc.tables.preview_queries import config_preview
from fc.web.preview_page import file_link
from tests.support.browser import chromium, screenshots, watched_page
from tests.support.story_rows import Story
from tests.web.test_browser import CONTRAST, PATIENCE, SIZES
from tests.web.test_hostile import ATTACK, Page
from tests.web.test_pages import Client, text, words

HEAD = "5e1f" * 10
PAGE = "/configuration/previews/main"
CHANGE: dict[str, Any] = {
    "action": "update",
    "kind": "jobset",
    "key": "nimbus/main",
    "effect": "updated",
    "file": "projects/nimbus.yaml",
    "line": 9,
    "fields": [],
    "was": None,
    "before": {"branch": "main", "nix_expression": "release.nix", "keep_nr": 3},
    "after": {"branch": "next", "nix_expression": "release.nix", "keep_nr": 3},
}
GONE = CHANGE | {"action": "delete", "key": "nimbus/old", "after": None, "line": 30}
NEW = CHANGE | {"action": "create", "key": "nimbus/nightly", "before": None, "line": 20}
REASON = "it would remove 4 of 5 jobsets, more than 25%"


def plan(*changes: dict[str, Any], reasons: tuple[str, ...] = (), more: int = 0) -> dict[str, Any]:
    summary = {"create": 0, "update": 0, "delete": 0}
    for change in changes:
        summary[change["action"]] += 1
    return {
        "digest": "ab" * 32,
        "summary": summary,
        "reasons": list(reasons),
        "changes": changes,
        "more": more,
    }


async def tell(database: Database, number: int, status: str, title: str, **columns: Any) -> None:
    """Put a pull request there."""
    values = {
        "source": "main",
        "number": number,
        "title": title,
        "author": "grace",
        "url": f"https://github.com/ops/fc-config/pull/{number}",
        "head_hash": HEAD,
        "base_hash": "c0de" * 10,
        "status": status,
        **columns,
    }
    places = ", ".join(f"${one}" for one in range(1, len(values) + 1))
    await database.execute(
        f"INSERT INTO config_previews ({', '.join(values)}, planned_at) VALUES ({places}, now())",
        *values.values(),
    )


async def previews(database: Database) -> None:
    """One of every status."""
    await tell(
        database, 31, "planned", "Follow the next branch of nimbus", message="1 to create, 1 to update",
        plan=plan(CHANGE, NEW),
    )  # fmt: skip
    await tell(
        database, 32, "held", "Remove what nobody builds any more", message=f"the plan would be held: {REASON}",
        plan=plan(GONE, reasons=(REASON,), more=3),
    )  # fmt: skip
    errors = [
        {"file": "projects/nimbus.yaml", "line": 7, "column": 12, "message": "jobset: unknown key 'brunch'"}
    ]
    await tell(
        database, 33, "failed", "Add a jobset", message="the configuration would have 1 problem: …", errors=errors
    )  # fmt: skip
    await tell(database, 34, "pending", "Just opened")
    await tell(database, 30, "closed", "Merged long ago", message="1 to update", plan=plan(CHANGE))


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as opened:
        yield opened


async def test_a_plan_is_shown_in_full(client: Client, story: Story, database: Database) -> None:
    await previews(database)
    page = await text(client, f"{PAGE}/31")
    said = words(page)
    assert "Follow the next branch of nimbus" in said
    assert "can be merged" in said
    assert "would change jobset nimbus/main" in said
    assert "<del><span>branch: main</span></del>" in page
    assert "<ins><span>branch: next</span></ins>" in page
    assert f"https://github.com/ops/fc-config/blob/{HEAD}/projects/nimbus.yaml#L20" in page


async def test_what_would_be_held_and_what_is_wrong_is_said(
    client: Client, story: Story, database: Database
) -> None:
    await previews(database)
    held = words(await text(client, f"{PAGE}/32"))
    assert REASON in held
    assert "There are 3 more changes." in held
    failed = await text(client, f"{PAGE}/33")
    assert "jobset: unknown key &#39;brunch&#39;" in failed
    assert f"/blob/{HEAD}/projects/nimbus.yaml#L7" in failed
    assert "being planned" in words(await text(client, f"{PAGE}/34"))
    assert "closed" in words(await text(client, f"{PAGE}/30"))


async def test_the_configuration_page_lists_those_that_are_open(
    client: Client, story: Story, database: Database
) -> None:
    assert "Pull requests" not in words(await text(client, "/configuration"))
    await previews(database)
    page = words(await text(client, "/configuration"))
    assert "Remove what nobody builds any more would be held" in page
    assert "Merged long ago" not in page


@pytest.mark.parametrize("path", ["main/99", "other/31", f"main/{10**12}", "main/0"])
async def test_one_that_is_not_known_is_not_found(
    client: Client, story: Story, database: Database, path: str
) -> None:
    await previews(database)
    assert (await client.get(f"/configuration/previews/{path}")).status_code == 404


async def test_no_text_of_a_stranger_becomes_markup(client: Client, story: Story, database: Database) -> None:
    change = CHANGE | {
        "key": ATTACK, "file": ATTACK, "was": ATTACK, "before": {ATTACK: ATTACK}, "after": {ATTACK: [ATTACK]},
    }  # fmt: skip
    errors = [{"file": ATTACK, "line": 1, "column": 1, "message": ATTACK}]
    await tell(
        database, 1, "failed", ATTACK, message=ATTACK, author=ATTACK, url="javascript:alert(1)", errors=errors,
        plan=plan(change, reasons=(ATTACK,)),
    )  # fmt: skip
    for path in (f"{PAGE}/1", "/configuration"):
        page = Page()
        page.feed(await text(client, path))
        assert page.dangers == [], path


@pytest.mark.parametrize(
    ("url", "path", "link"),
    [
        ("https://github.com/ops/fc/pull/1", ".", f"https://github.com/ops/fc/blob/{HEAD}/a%20b.yaml#L3"),
        (
            "https://github.com/ops/fc/pull/1",
            "fc/",
            f"https://github.com/ops/fc/blob/{HEAD}/fc/a%20b.yaml#L3",
        ),
        ("https://g.example/x/fc/pulls/1", ".", f"https://g.example/x/fc/src/commit/{HEAD}/a%20b.yaml#L3"),
        (
            "https://gl.example/a/b/fc/-/merge_requests/1",
            ".",
            f"https://gl.example/a/b/fc/-/blob/{HEAD}/a%20b.yaml#L3",
        ),
        ("https://elsewhere.example/1", ".", None),
        ("javascript:alert(1)//x/pull/1", ".", None),
        (None, ".", None),
    ],
)
async def test_a_line_is_linked_where_the_forge_is_known(
    database: Database, url: str | None, path: str, link: str | None
) -> None:
    await database.execute(
        "INSERT INTO config_sources (name, url, branch, path) VALUES ('main', 'x', 'main', $1)", path
    )
    await tell(database, 1, "failed", "x", url=url)
    found = await config_preview(database, "main", 1)
    assert found is not None
    assert file_link(found.preview, "a b.yaml", 3) == link


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_the_pages_are_sound_and_legible(
    browser: Browser, server: str, story: Story, database: Database, tmp_path: Path, scheme: str
) -> None:
    await previews(database)
    directory = screenshots(tmp_path)
    for size, (width, height) in SIZES.items():
        async with watched_page(
            browser, server, viewport={"width": width, "height": height}, color_scheme=scheme
        ) as watched:
            page = watched.page
            for path in ("/configuration", *(f"{PAGE}/{number}" for number in range(30, 35))):
                answer = await page.goto(path)
                assert answer is not None
                assert answer.status == 200, path
                assert await page.locator("h1").count() == 1
                overflow = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert overflow <= 0, f"{path} is {overflow} pixels too wide at {width}"
                assert await page.evaluate(CONTRAST) == [], path
                name = path.strip("/").replace("/", "-")
                await page.screenshot(path=directory / f"{name}-{scheme}-{size}.png", full_page=True)
            assert watched.complaints == []


async def test_a_plan_comes_to_the_page_by_itself(
    browser: Browser, server: str, story: Story, database: Database
) -> None:
    await previews(database)
    async with watched_page(browser, server) as watched:
        await watched.page.goto(f"{PAGE}/34")
        await database.execute(
            "UPDATE config_previews SET status = 'planned', message = 'nothing would change' WHERE number = 34"
        )
        await expect(watched.page.locator("#preview")).to_contain_text("can be merged", timeout=PATIENCE)
