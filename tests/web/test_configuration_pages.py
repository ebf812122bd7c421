"""Pages of configuration: sources in every state, revisions of every size, resources with their history."""

import re
import uuid
from urllib.parse import quote

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from fc.base.database import Database
from tests.support.story_rows import Story, commit_hash
from tests.support.story_sources import Several, tell_sources

Client = AsyncTestClient[Litestar]


@pytest.fixture
async def several(database: Database, story: Story) -> Several:
    """The story with several sources."""
    return await tell_sources(database, story)


async def text(client: Client, path: str, status: int = 200) -> str:
    answer = await client.get(path)
    assert answer.status_code == status, (path, answer.text)
    return answer.text


def words(html: str) -> str:
    """What a page says, without its markup, on one line."""
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def card(page: str, name: str) -> str:
    """What the card of a source says."""
    after = page.partition(f'<a href="/configuration/sources/{name}">')[2]
    return words(after.partition("</section>")[0])


async def test_each_source_says_how_it_is(client: Client, several: Several) -> None:
    page = await text(client, "/configuration")
    assert "archive not followed any more" in words(page)
    assert "Nothing names this source any more." in card(page, "archive")
    assert "edge waits for its sync window git@codeberg.org:weather/edge.git" in words(page)
    assert "A plan waits for its sync window, which opens in 5 h" in card(page, "edge")
    hardware = card(page, "hardware")
    assert "failed" in hardware
    assert "The last try failed, 3 times in a row." in hardware
    assert ".yaml:41:7 remote_builder &#39;anvil-9&#39;" in hardware
    assert "May declare remote builders named anvil-*" in hardware
    assert "paused" in card(page, "lab")
    assert "The lab moves to the new building (cli:mei" in card(page, "lab")
    assert "not read yet" in card(page, "new")
    release = card(page, "release")
    assert "pinned by a rollback" in release
    assert "The branch was moved by force 1 d ago ." in release
    held = card(page, "team-data")
    assert "held until confirmed" in held
    assert "it removes 6 of 9 projects project &#39;team-data-archive&#39; is protected" in held
    assert "fcctl confirm 4f1c9a7be02d" in held
    assert "projects named team-data-* and shared; all users" in held
    assert "by Ana Duarte, signed by ana@example.org" in held


async def test_one_source_needs_no_more_than_its_card(client: Client, story: Story) -> None:
    page = await text(client, "/configuration")
    assert page.count('<section class="card"') == 1
    assert "Projects&#39; own files" not in page
    assert "May declare" not in page
    assert "main · " not in words(page)


async def test_files_of_projects_are_counted_and_only_those_with_trouble_shown(
    client: Client, several: Several
) -> None:
    page = await text(client, "/configuration")
    section = page.partition('id="h-projects"')[2].partition("</section>")[0]
    assert "3 failed" in words(section)
    assert "127 synced" in words(section)
    assert section.count('<li class="tall">') == 3
    assert "unknown key" in section


async def test_files_of_projects_are_turned_over_page_by_page(client: Client, several: Several) -> None:
    seen: list[str] = []
    path = "/configuration/sources"
    while path:
        page = await text(client, path)
        seen += re.findall(r'class="name" href="/configuration/sources/([^"]+)"', page)
        following = re.search(r'<a rel="next" href="([^"]+)"', page)
        path = f"/configuration/sources{following[1]}" if following else ""
    assert seen == several.projects
    trouble = await text(client, "/configuration/sources?show=trouble")
    assert trouble.count('class="name"') == 3


async def test_a_source_has_a_page_whatever_its_name(client: Client, several: Several) -> None:
    page = words(await text(client, "/configuration/sources/project/station-007"))
    assert "project/station-007 failed" in page
    assert "It owns nothing" in page
    main = await text(client, "/configuration/sources/main")
    assert 'href="/configuration/resources?kind=jobset&amp;source=main"' in main
    owned = await text(client, "/configuration/resources?kind=remote_builder&source=main")
    assert owned.count('class="name"') == 3
    other = words(await text(client, "/configuration/resources?kind=jobset&source=lab"))
    assert "lab owns no jobset." in other
    assert "team-data" not in main
    for name in ("none", "none/at/all", "a//b", "%2e%2e/x", quote("ü <b>")):
        await text(client, f"/configuration/sources/{name}", 404)


async def test_revisions_of_a_source_are_turned_over_page_by_page(
    client: Client, several: Several, database: Database
) -> None:
    await database.execute(
        """INSERT INTO config_revisions (source, status, subject, created_at)
        SELECT 'lab', 'applied', 'no ' || number, now() - make_interval(mins => number) FROM generate_series(1, 64) AS number"""
    )
    seen: list[str] = []
    path = "/configuration/sources/lab"
    while path:
        page = await text(client, path)
        seen += re.findall(r'class="name" href="/configuration/revisions/([^"]+)"', page)
        following = re.search(r'<a rel="next" href="([^"]+)"', page)
        path = f"/configuration/sources/lab{following[1]}" if following else ""
    assert len(seen) == len(set(seen)) == 65


async def test_a_huge_revision_is_counted_and_turned_over(client: Client, several: Several) -> None:
    first = await text(client, f"/configuration/revisions/{several.huge}")
    assert "120 added" in words(first)
    assert first.count("<article") == 50
    seen: list[str] = []
    path = f"/configuration/revisions/{several.huge}?kind=project"
    while path:
        page = await text(client, path)
        seen += re.findall(r'<a href="/configuration/resources/project/([^"]+)"', page)
        following = re.search(r'<a rel="next" href="([^"]+)"', page)
        path = (
            f"/configuration/revisions/{several.huge}{following[1].replace('&amp;', '&')}"
            if following
            else ""
        )
    assert seen == [f"station-{number:05}" for number in range(1, 121)]
    for query in (
        "kind=nonsense",
        "after=nonsense",
        f"after={uuid.UUID(int=1)}",
        "skip=-1",
        "skip=99999999999",
    ):
        await text(client, f"/configuration/revisions/{several.huge}?{query}")


async def test_a_revision_that_waits_shows_what_it_would_change(client: Client, several: Several) -> None:
    html = await text(client, f"/configuration/revisions/{several.held}")
    page = words(html)
    assert "Why it waits to be confirmed it removes 6 of 9 projects" in page
    assert "If it is meant: fcctl confirm 4f1c9a7be02d" in page
    assert "would be removed project team-data-5" in page
    assert "<ins><span>keep_nr: 9</span></ins>" in html
    assert "2 more changes are not kept" in page
    commit = commit_hash("team-data")
    assert f'href="https://gitlab.com/weather/team-data/-/blob/{commit}/shared.yaml#L8"' in html
    assert "would be" in words(await text(client, f"/configuration/revisions/{several.held}?skip=3"))


async def test_a_resource_shows_what_is_in_force_and_where_it_comes_from(
    client: Client, several: Several
) -> None:
    page = await text(client, "/configuration/resources/jobset/kestrel/next")
    assert "Jobset kestrel/next in force" in words(page)
    assert "projects/kestrel.yaml:9" in page
    assert "inputs_token: «secret» edge-token" in page
    assert "by Ana Duarte signed by ana@example.org" in words(page)
    assert 'href="/projects/kestrel/jobsets/next"' in page
    assert "renamed from kestrel/edge" in words(page)
    assert "<del><span>branch: edge</span></del>" in page
    gone = words(await text(client, "/configuration/resources/jobset/kestrel/edge"))
    assert "not in force any more" in gone
    assert "renamed to kestrel/next" in gone
    assert "added Build the edge" in gone


async def test_what_pages_show_leads_to_its_declaration(client: Client, several: Several) -> None:
    assert 'href="/configuration/resources/project/nimbus"' in await text(client, "/projects/nimbus")
    jobset = await text(client, "/projects/nimbus/jobsets/main")
    assert 'href="/configuration/resources/jobset/nimbus/main"' in jobset
    builders = await text(client, "/builders")
    assert 'href="/configuration/resources/remote_builder/anvil-2"' in builders
    builder = await text(client, "/configuration/resources/remote-builder/anvil-2")
    assert 'href="/builders"' in builder


async def test_a_history_is_turned_over_page_by_page(
    client: Client, story: Story, database: Database
) -> None:
    await database.execute(
        """INSERT INTO config_changes (revision_id, kind, key, action, before, after, created_at)
        SELECT $1, 'role', 'project-admin:*', 'update', '{}', jsonb_build_object('number', number),
               now() - make_interval(mins => number / 2) FROM generate_series(1, 45) AS number""",
        story.revisions[0],
    )
    seen: list[str] = []
    address = f"/configuration/resources/role/{quote('project-admin:*')}"
    path = address
    while path:
        page = await text(client, path)
        seen += re.findall(r"<ins><span>number: (\d+)", page)
        following = re.search(r'<a rel="next" href="([^"]+)"', page)
        path = f"{address}{following[1]}" if following else ""
    assert sorted(map(int, seen)) == list(range(1, 46))


async def test_resources_are_found_by_how_they_begin(client: Client, several: Several) -> None:
    page = await text(client, "/configuration/resources?kind=jobset&prefix=nimbus/")
    assert re.findall(r'class="name" href="([^"]+)"', page) == [
        "/configuration/resources/jobset/nimbus/main",
        "/configuration/resources/jobset/nimbus/release-2.4",
    ]
    seen: list[str] = []
    path = "/configuration/resources?kind=project&prefix=station-"
    while path:
        page = await text(client, path)
        seen += re.findall(r'class="name" href="/configuration/resources/project/([^"]+)"', page)
        following = re.search(r'<a rel="next" href="([^"]+)"', page)
        path = f"/configuration/resources{following[1].replace('&amp;', '&')}" if following else ""
    assert seen == [f"station-{number:05}" for number in range(1, 121)]
    for nothing in (
        "prefix=%25",
        "prefix=_",
        "prefix=%00",
        "kind=nonsense",
        "kind=%27",
        f"after={'z' * 3000}",
    ):
        await text(client, f"/configuration/resources?kind=project&{nothing}")
    assert "No project that git owns begins with" in words(
        await text(client, "/configuration/resources?kind=project&prefix=%25")
    )


async def test_what_was_never_declared_is_not_found_and_told_what_there_is(
    client: Client, several: Several, database: Database
) -> None:
    near = await text(client, "/configuration/resources/jobset/nimbus/mian", 404)
    assert 'href="/configuration/resources/jobset/nimbus/main"' in near
    unknown = words(await text(client, "/configuration/resources/widget/x", 404))
    assert "Git declares nothing of the kind widget" in unknown
    by_hand = words(await text(client, "/configuration/resources/project/station-001", 404))
    assert "made by hand" in by_hand
    for path in (
        "project/%00",
        "project/a//b",
        "project/%F0%9F%92%A9",
        "%27/%27",
        f"project/{'x' * 4000}",
        "role/a%2F%2Fb",
    ):
        await text(client, f"/configuration/resources/{path}", 404)


async def test_an_empty_service_says_what_to_do(client: Client) -> None:
    assert "No configuration repository is set." in words(await text(client, "/configuration"))
    assert "Git owns nothing yet." in words(await text(client, "/configuration/resources"))
    assert "No project has a file of its own." in words(await text(client, "/configuration/sources"))
    await text(client, "/configuration/resources/project/x", 404)


async def test_the_overview_tells_of_several_sources(client: Client, several: Several) -> None:
    page = await text(client, "/")
    told = words(page)
    assert "Configuration 1 of 7" in told
    assert "own files" not in told
    assert "waits to be confirmed" in told
    assert "rolled back and not followed: The new pools starve" in told
    assert 'href="/configuration/sources/hardware"' in page


async def test_a_page_asks_no_more_the_more_there_is(
    client: Client, story: Story, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    for name in ("fetch", "fetchrow", "fetchval"):
        original = getattr(Database, name)

        def counted(self: Database, sql: str, *arguments: object, original: object = original) -> object:
            asked.append(sql)
            return original(self, sql, *arguments)  # type: ignore[operator]  # one of the three methods

        monkeypatch.setattr(Database, name, counted)

    async def queries(path: str) -> int:
        asked.clear()
        await text(client, path)
        return len(asked)

    paths = (
        "/configuration",
        "/configuration/sources/main",
        "/configuration/resources?kind=jobset",
        "/configuration/resources/jobset/nimbus/main",
        f"/configuration/revisions/{story.revisions[0]}",
        "/builders",
    )
    few = [await queries(path) for path in paths]
    await tell_sources(database, story, projects=20, changes=300)
    many = [await queries(path) for path in paths]
    assert max(few) <= 9
    # Where projects have files of their own, those with trouble are asked for too.
    assert all(more <= less + 1 for less, more in zip(few, many, strict=True)), (few, many)
