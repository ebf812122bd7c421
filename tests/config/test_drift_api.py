"""Drift as the API and the commands show it, and healing through them."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from fc.base.database import Database
from fc.base.settings import Settings
from fc.cli.main import cli
from fc.config.drift_log import look
from tests.config.test_apply import put
from tests.support.by_hand import by_hand
from tests.support.config_client import config_client
from tests.support.configuration import WHOLE, project, value_of

DRIFT = "/api/v1/configuration/drift"


@pytest.fixture
async def client(database: Database, settings: Settings, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    (tmp_path / "deploy-key").write_text(value_of("deploy-key"), encoding="utf-8")
    async with config_client(database, settings, tmp_path) as made:
        yield made


async def test_the_api_shows_what_has_drifted_since_when_and_by_whom(
    database: Database, database_url: str, client: httpx.AsyncClient
) -> None:
    await put(database, project("p", main="x"))
    assert (await client.get(DRIFT)).json() == {"items": [], "next": None, "compared_at": None}
    await by_hand(database_url, "UPDATE jobsets SET branch = 'y'")
    await look(database, 600, now=True)
    answer = (await client.get(DRIFT)).json()
    (one,) = answer["items"]
    assert (one["kind"], one["key"], one["file"], one["line"]) == ("jobset", "p/main", "fc.yaml", 5)
    assert one["fields"] == [{"field": "branch", "declared": "x", "found": "y"}]
    assert one["actor"].endswith(" (psql)")
    assert one["since"] < answer["compared_at"]


async def test_the_history_of_drift_comes_page_by_page(
    database: Database, database_url: str, client: httpx.AsyncClient
) -> None:
    await put(database, project("p", main="x"))
    for number in range(5):
        await by_hand(database_url, f"UPDATE jobsets SET branch = 'y{number}'")
        await look(database, 600, now=True)
        await by_hand(database_url, "UPDATE jobsets SET branch = 'x'")
        await look(database, 600, now=True)
    assert (await client.get(DRIFT)).json()["items"] == []
    seen: list[str] = []
    before = None
    while True:
        asked = {"ended": "true", "limit": "2"} | ({"before": before} if before else {})
        page = (await client.get(DRIFT, params=asked)).json()
        seen += [one["fields"][0]["found"] for one in page["items"]]
        assert {one["outcome"] for one in page["items"]} == {"gone"}
        before = page["next"]
        if before is None:
            break
    assert seen == ["y4", "y3", "y2", "y1", "y0"]


async def test_an_admin_heals_and_nobody_else(
    database: Database, database_url: str, client: httpx.AsyncClient
) -> None:
    await put(database, WHOLE)
    await by_hand(
        database_url, "DELETE FROM jobsets", "UPDATE api_keys SET key_hash = 'x' WHERE name = 'deploy-bot'"
    )
    asked = {"kind": "jobset", "key": "hello/main"}
    for key, status in ((None, 401), ("restart-jobs", 403)):
        headers = {"Authorization": f"Bearer {key}"} if key else {"Authorization": ""}
        assert (await client.post(f"{DRIFT}/heal", json=asked, headers=headers)).status_code == status
    assert await database.fetchval("SELECT count(*) FROM jobsets") == 0
    answer = await client.post(f"{DRIFT}/heal", json=asked)
    assert (answer.status_code, [one["kind"] for one in answer.json()["healed"]]) == (
        200,
        ["jobset", "input", "input", "channel"],
    )
    assert (await client.post(f"{DRIFT}/heal", json=asked)).json() == {"healed": []}
    bot = {"kind": "api-key", "key": "deploy-bot"}
    assert len((await client.post(f"{DRIFT}/heal", json=bot)).json()["healed"]) == 1
    actors = await database.fetch("SELECT DISTINCT actor FROM audit_events WHERE action = 'heal'")
    assert [row["actor"] for row in actors] == ["api_key:admin"]


async def test_what_cannot_be_healed_is_refused_with_the_reason(
    database: Database, database_url: str, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    await put(database, WHOLE)
    await by_hand(database_url, "UPDATE api_keys SET key_hash = 'x' WHERE name = 'deploy-bot'")
    (tmp_path / "deploy-key").write_text("rotated", encoding="utf-8")
    for asked, status, code in (
        ({"kind": "api_key", "key": "deploy-bot"}, 409, "unhealable"),
        ({"kind": "api_key", "key": "nobody"}, 404, "not_found"),
        ({"kind": "jobsets", "key": "hello/main"}, 400, "invalid_input"),
        ({"kind": "jobset"}, 400, None),
    ):
        answer = await client.post(f"{DRIFT}/heal", json=asked)
        assert (answer.status_code, answer.json().get("code") if code else None) == (status, code), (
            answer.text
        )
        assert "rotated" not in answer.text
    assert (
        "did you mean 'jobset'?"
        in (await client.post(f"{DRIFT}/heal", json={"kind": "jobsets", "key": ""})).text
    )


async def test_the_commands_show_and_heal(database: Database, database_url: str, tmp_path: Path) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        environment = {"FC_DATABASE__URL": database_url, "FC_DATA_DIR": str(tmp_path)}
        result = CliRunner().invoke(cli, arguments, env=environment)
        return result.exit_code, result.output

    await put(database, project("p", main="x"))
    await by_hand(database_url, "UPDATE jobsets SET branch = 'y'", program="ada's psql")
    # Commands have an event loop of their own.
    code, text = await asyncio.to_thread(run, "drift")
    assert code == 2
    assert "(ada's psql)" in text, "the service never looked, so the command compares"
    await database.execute("UPDATE config_turns SET done_at = now()")
    assert await asyncio.to_thread(run, "drift") == (0, "nothing has drifted\n")
    assert (await asyncio.to_thread(run, "drift", "--now"))[0] == 2
    await look(database, 600, now=True)
    assert "1 of them has drifted: see fcctl drift\n" in (await asyncio.to_thread(run, "status"))[1]
    code, text = await asyncio.to_thread(run, "drift")
    assert (code, text.splitlines()[:2]) == (
        2,
        ["jobset p/main  (fc.yaml:5)", '    branch: git says "x", the row says "y"'],
    )
    assert text.splitlines()[2].startswith("    since 20")
    assert text.endswith(" (ada's psql)\n")
    assert await asyncio.to_thread(run, "heal", "jobset", "p/main") == (0, "healed jobset p/main\n")
    assert await asyncio.to_thread(run, "heal", "jobset", "p/main") == (0, "jobset p/main is as git says\n")
    assert await asyncio.to_thread(run, "drift") == (0, "nothing has drifted\n")
    code, text = await asyncio.to_thread(run, "drift", "--ended", "--json")
    assert [(one["key"], one["outcome"]) for one in json.loads(text)] == [("p/main", "healed")]
    assert (await asyncio.to_thread(run, "heal", "jobset", "p/other"))[0] == 1
