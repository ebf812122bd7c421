"""Names, texts and logs that attack: none of it becomes markup on any page."""

import re
from html.parser import HTMLParser
from urllib.parse import quote

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient
from typing_extensions import override

from fc.base.database import Database
from tests.support.story_rows import Story
from tests.support.story_sources import tell_sources

Client = AsyncTestClient[Litestar]
ATTACK = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{7*7}}javascript:alert(3)\x1b[31m"

_FORGE = re.compile(r"https://[a-z0-9.-]+/[A-Za-z0-9._~/%-]+(#L[0-9]+)?")
"""Pages of a forge, the only ones outside that are linked."""

COLUMNS: dict[str, tuple[str, ...]] = {
    "projects": ("description", "repository_url"),
    "jobsets": ("description", "nix_expression", "branch", "last_error"),
    "jobset_inputs": ("name", "value", "revision"),
    "evaluations": (
        "commit_subject",
        "commit_author",
        "error_message",
        "pr_head_branch",
        "pr_base_branch",
    ),
    "evaluation_errors": ("message",),
    "derivations": ("builder_name", "error_message", "system"),
    "builds": ("error_message", "system", "build_output_path"),
    "build_steps": ("command", "error_output", "builder_name"),
    "build_products": ("name", "path", "content_type"),
    "build_metrics": ("unit",),
    "remote_builders": ("ssh_uri", "last_error"),
    "config_sources": ("url", "branch", "path", "error_message"),
    "config_revisions": ("author", "subject", "signer"),
    "config_changes": ("file",),
    "config_pauses": ("reason", "paused_by"),
    "notification_configs": ("name",),
    "notification_tasks": ("last_error",),
    "channels": ("name",),
}
"""Columns whose text comes from outside."""


class Page(HTMLParser):
    """Collects what could run."""

    def __init__(self) -> None:
        super().__init__()
        self.dangers: list[str] = []

    @override
    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name.startswith("on") or name in {"style", "srcdoc", "formaction"}:
                self.dangers.append(f"{tag} {name}")
            if name in {"href", "src", "action", "xlink:href"} and not (value or "").startswith(
                ("/", "#", "?")
            ):
                # A link to a line of the log is relative to the build's page.
                relative = tag == "a" and "/log?line=" in (value or "") and ":" not in (value or "")
                forge = (
                    tag == "a" and _FORGE.fullmatch(value or "") and dict(attrs).get("rel") == "noreferrer"
                )
                if not relative and not forge and value != "/":
                    self.dangers.append(f"{tag} {name}={value}")
            if tag == "script" and name == "src" and not (value or "").startswith("/static/live."):
                self.dangers.append(f"script {value}")
        if tag in {"img", "iframe", "object", "embed", "base", "style"} or (
            tag == "script" and not dict(attrs).get("src")
        ):
            self.dangers.append(tag)


@pytest.fixture
async def attacked(database: Database, story: Story) -> Story:
    """The story with every text that comes from outside replaced."""
    await tell_sources(database, story, projects=3, changes=3)
    for table, columns in COLUMNS.items():
        # Names and systems are short columns: what does not fit is cut, which breaks no attack worth its name.
        await database.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        for column in columns:
            length = await database.fetchval(
                "SELECT character_maximum_length FROM information_schema.columns WHERE table_name = $1 AND column_name = $2",
                table, column,
            )  # fmt: skip
            await database.execute(f"UPDATE {table} SET {column} = $1", ATTACK[: length or None])
    await database.execute("UPDATE evaluation_errors SET job_name = job_name || $1", ATTACK)
    await database.execute(
        "UPDATE builds SET job_name = job_name || $1, meta = $2, outputs = $3",
        ATTACK,
        {"description": ATTACK},
        {ATTACK: ATTACK},
    )
    # A name has no slash: it is part of an address.
    await database.execute("UPDATE jobsets SET name = name || replace($1, '/', '')", ATTACK)
    await database.execute("UPDATE projects SET name = name || replace($1, '/', '')", ATTACK)
    await database.execute(
        "UPDATE remote_builders SET name = name || $1, systems = $2, supported_features = $2",
        ATTACK,
        [ATTACK],
    )
    await database.execute(
        "UPDATE evaluations SET inputs = $1", {ATTACK: {"value": ATTACK, "revision": ATTACK}}
    )
    await attack_configuration(database)
    for log in story.logs.values():
        log.write_text(f"{ATTACK}\n\x1b[1;31m{ATTACK}\n\x1b]8;;javascript:alert(4)\x07link\n")
    return story


async def attack_configuration(database: Database) -> None:
    """Names, contents, plans and errors of configuration."""
    await database.execute(
        "UPDATE config_changes SET before = $1, after = $2",
        {ATTACK: ATTACK},
        {ATTACK: [ATTACK, {"x": ATTACK}]},
    )
    await database.execute(
        "UPDATE config_sources SET errors = $1", [{"file": ATTACK, "line": 1, "column": 1, "message": ATTACK}]
    )
    await database.execute(
        "UPDATE config_sources SET name = name || $1, scope = $2",
        ATTACK,
        [{"kinds": [ATTACK], "names": [ATTACK]}],
    )
    await database.execute("UPDATE config_revisions SET source = source || $1", ATTACK)
    await database.execute(
        "UPDATE config_sources SET held = $1 WHERE status = 'held'",
        {"digest": ATTACK, "commit": ATTACK, "reasons": [ATTACK]},
    )
    planned = {
        "kind": ATTACK,
        "key": ATTACK,
        "action": "update",
        "before": {ATTACK: ATTACK},
        "after": {ATTACK: {ATTACK: 1}},
        "file": ATTACK,
        "line": 1,
    }
    await database.execute(
        "UPDATE config_revisions SET plan = $1 WHERE status = 'held'",
        {"digest": ATTACK, "reasons": [ATTACK], "changes": [planned], "more": 1},
    )
    for table in ("config_changes", "config_resources"):
        await database.execute(f"UPDATE {table} SET key = key || $1, kind = left(kind || $1, 50)", ATTACK)
    await database.execute(
        "UPDATE config_resources SET file = $1, content = $2, source = source || $1", ATTACK, {ATTACK: ATTACK}
    )


async def configuration_pages(attacked: Story) -> list[str]:
    """Pages of sources and resources, of those that there are and of those that there are not."""
    database = attacked.database
    sources = [row["name"] for row in await database.fetch("SELECT name FROM config_sources")]
    held = [
        row["id"] for row in await database.fetch("SELECT id FROM config_revisions WHERE status = 'held'")
    ]
    resources = [
        (row["kind"], row["key"])
        for table in ("config_resources", "config_changes")
        for row in await database.fetch(f"SELECT DISTINCT kind, key FROM {table}")
    ]
    assert held
    assert len(sources) > 9
    return [
        "/configuration/sources",
        "/configuration/sources?show=trouble",
        f"/configuration/sources?after={quote(ATTACK)}",
        *(f"/configuration/sources/{quote(name)}" for name in sources),
        *(f"/configuration/revisions/{revision}" for revision in held),
        *(f"/configuration/resources/{quote(kind, safe='')}/{quote(key)}" for kind, key in resources),
        *(f"/configuration/resources?kind={quote(kind)}" for kind in {kind for kind, _ in resources}),
        f"/configuration/resources?kind={quote(ATTACK)}&prefix={quote(ATTACK)}&after={quote(ATTACK)}",
        f"/configuration/resources/{quote(ATTACK, safe='')}/{quote(ATTACK)}",
        f"/configuration/resources/project/{quote(ATTACK)}",
    ]


async def test_no_text_from_outside_becomes_markup(client: Client, attacked: Story) -> None:
    overview = (await client.get("/")).text
    jobsets = {part.partition('"')[0] for part in overview.split('href="/projects/')[1:]}
    assert len(jobsets) >= 9
    running = attacked.build("nimbus/main", "gateway.x86_64-linux")
    paths = [
        "/",
        *(f"/projects/{jobset}" for jobset in jobsets),
        *(f"/evaluations/{several[-1]}" for several in attacked.evaluations.values()),
        *(
            f"/builds/{attacked.build('nimbus/main', job)}"
            for job in ("docs.x86_64-linux", "shards.x86_64-linux", "integration.x86_64-linux")
        ),
        f"/builds/{running}",
        f"/builds/{running}/log",
        "/builders",
        "/configuration",
        *(f"/configuration/revisions/{revision}" for revision in attacked.revisions),
        *await configuration_pages(attacked),
        "/notifications",
        f"/projects/{quote(ATTACK, safe='')}",
    ]
    for path in paths:
        answer = await client.get(path)
        assert answer.status_code in {200, 404}, (path, answer.text)
        assert answer.headers["content-type"].startswith("text/html")
        page = Page()
        page.feed(answer.text)
        assert page.dangers == [], path
        assert "<script>alert" not in answer.text
        assert "49javascript" not in answer.text


async def test_a_badge_is_no_place_for_markup_either(client: Client, attacked: Story) -> None:
    overview = (await client.get("/")).text
    for part in overview.split('href="/projects/')[1:]:
        path = part.partition('"')[0]
        if "/jobsets/" in path:
            answer = await client.get(f"/projects/{path}/badge.svg")
            assert answer.status_code == 200
            assert "<script" not in answer.text
            assert "<img" not in answer.text
