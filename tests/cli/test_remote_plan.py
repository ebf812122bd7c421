"""``fcctl plan --server``: a working copy is planned by a running service and shown as any plan."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import msgspec
import pytest
from click.testing import CliRunner, Result
from litestar import Litestar, Response, post

from fc.access.keys import hash_key
from fc.app import create_app
from fc.base.database import Database
from fc.base.settings import DatabaseSettings, Settings
from fc.cli.main import cli
from tests.config.test_apply import put
from tests.support.configuration import WHOLE, project, value_of, write
from tests.support.web_app import serving_app

Plan = Callable[..., Awaitable[Result]]
TOKEN = "an-admins"
PATH = "/api/v1/configuration/plans"


async def fcctl(*arguments: object, token: str | None = TOKEN) -> Result:
    """Runs it beside the loop that serves."""
    return await asyncio.to_thread(
        CliRunner(env={"FC_TOKEN": token}).invoke, cli, [str(one) for one in arguments]
    )


@pytest.fixture
async def server(
    settings: Settings, database: Database, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[str]:
    for name in ("HELLO_WEBHOOK", "GITHUB_TOKEN", "DEPLOY_KEY"):
        monkeypatch.setenv(f"FC_SECRET_{name}", value_of(name.lower().replace("_", "-")))
    await database.execute(
        "INSERT INTO api_keys (name, key_hash, role) VALUES ('root', $1, 'admin')", hash_key(TOKEN)
    )
    served = msgspec.structs.replace(settings, database=DatabaseSettings(url=database_url, pool_size=2))
    async with serving_app(create_app(served)) as url:
        yield url


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write(
        tmp_path / "configuration",
        {"fc.yaml": project("p", main="b") + "    description: !file p.md\n", "p.md": "Told\n"},
    )


async def test_it_is_shown_as_a_local_plan(
    server: str, database: Database, directory: Path, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put(database, project("p", main="a"))
    remote = await fcctl("plan", directory, "--server", server)
    assert remote.exit_code == 2, remote.output
    assert "    branch: a → b\n" in remote.stdout
    assert "    description: none → Told\n" in remote.stdout
    monkeypatch.setenv("FC_DATABASE__URL", database_url)
    for form in ("text", "json", "github"):
        remote = await fcctl("plan", directory, "--server", f"{server}/", "--format", form)
        local = await fcctl("plan", directory, "--format", form)
        assert (remote.exit_code, remote.stdout) == (local.exit_code, local.stdout)


async def test_nothing_to_change_and_problems_have_their_statuses(
    server: str, database: Database, tmp_path: Path
) -> None:
    await put(database, WHOLE)
    whole = write(tmp_path / "whole", {"fc.yaml": WHOLE})
    result = await fcctl("plan", whole, "--server", server)
    assert (result.exit_code, result.stdout) == (0, "nothing to change\n")
    write(whole, {"keys.yaml": "api_keys: {k: {key: !secret nowhere}}"})
    result = await fcctl("plan", whole, "--server", server)
    assert (result.exit_code, result.stdout) == (1, "")
    assert f"{whole}/keys.yaml:1:21: key: secret 'nowhere' is not known" in result.stderr
    result = await fcctl("plan", whole, "--server", server, "--format", "github")
    assert "keys.yaml,line=1,col=21" in result.stdout
    write(whole, {"keys.yaml": "nope: 1"})
    result = await fcctl("plan", whole, "--server", "http://127.0.0.1:9")
    assert f"{whole}/keys.yaml:1:1: document: unknown key 'nope'" in result.stderr


async def test_plans_with_keys_are_shown_without_a_digest(server: str, tmp_path: Path) -> None:
    whole = write(tmp_path / "whole", {"fc.yaml": WHOLE})
    result = await fcctl("plan", whole, "--server", server)
    assert result.stdout.endswith("13 to create, 0 to update, 0 to remove\n")
    assert "key: «secret» deploy-key\n" in result.stdout
    assert "value-of" not in result.output


async def test_the_token_is_in_a_file_or_a_variable(server: str, directory: Path, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    right = await fcctl(
        "plan", directory, "--server", server, "--token-file", tmp_path / "token", token="wrong"
    )
    assert right.exit_code == 2
    wrong = await fcctl("plan", directory, "--server", server, token="s3cret-wrong")
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert "refuses (401): the API key is not known" in wrong.stderr
    assert "s3cret" not in wrong.output
    for token in ("", "two\nlines", "nötig"):
        none = await fcctl("plan", directory, "--server", server, token=token)
        assert (none.exit_code, "give --token-file, or set FC_TOKEN" in none.stderr) == (1, True)
    missing = await fcctl("plan", directory, "--server", server, "--token-file", tmp_path / "nowhere")
    assert "cannot be read" in missing.stderr


async def test_the_api_describes_it(server: str) -> None:
    async with httpx.AsyncClient(base_url=server) as client:
        described = (await client.get("/api/v1/openapi.json")).json()
    operation = described["paths"][PATH]["post"]
    assert operation["summary"] == "Plan a working copy"
    asked = operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    told = operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
    schemas = described["components"]["schemas"]
    assert schemas[asked]["properties"].keys() == {"files", "source"}
    assert schemas[told]["properties"].keys() == {"version", "plan", "problems"}


async def test_another_source_is_asked_for(server: str, directory: Path) -> None:
    result = await fcctl("plan", directory, "--server", server, "--source", "nowhere")
    assert (result.exit_code, "there is no configuration source 'nowhere'" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    "server",
    ["http://127.0.0.1:9", "http://[", "https://me:s3cret@127.0.0.1:9", "fc.example.org", "file:///etc"],
)
async def test_a_server_that_cannot_be_reached_is_one_clear_message(server: str, directory: Path) -> None:
    result = await fcctl("plan", directory, "--server", server)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "--server" in result.stderr
    assert "s3cret" not in result.output


async def answering(directory: Path, status: int, body: bytes, path: str = PATH) -> Result:
    @post(path, request_max_body_size=None)
    async def answer() -> Response[bytes]:
        return Response(body, status_code=status, media_type="application/json")

    async with serving_app(Litestar([answer], openapi_config=None)) as url:
        return await fcctl("plan", directory, "--server", url)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"{}", "does not understand"),
        (200, b"<html>", "does not understand"),
        (200, b"[" * 100_000, "does not understand"),
        (200, b'{"version": "9", "plan": {"digest": "", "held": [], "summary": {}, "changes": [{"action": "melt"}]}, "problems": []}', "does not understand"),
        (200, b'{"version": "9", "plan": null, "problems": []}', "gives no plan, and no reason"),
        (302, b"", "refuses (302)"),
        (404, b"{}", "has no plans of working copies"),
        (413, b"{}", "too large to be sent"),
        (500, b'{"message": "\\u001b[2Jx"}', "refuses (500): \\x1b[2Jx"),
        (503, b"<html>", "refuses (503): without a reason"),
    ],
)  # fmt: skip
async def test_a_server_of_another_kind_or_version_is_one_clear_message(
    directory: Path, status: int, body: bytes, said: str
) -> None:
    result = await answering(directory, status, body)
    assert (result.exit_code, result.stdout) == (1, "")
    assert said in result.stderr
    assert "\x1b" not in result.output


async def test_a_newer_server_is_understood_as_far_as_it_says_the_same(directory: Path) -> None:
    plan = {
        "digest": "d" * 64,
        "held": [],
        "summary": {"create": 0, "update": 0, "delete": 0},
        "changes": [],
        "new": 1,
    }
    body = json.dumps({"version": "9.0.0", "plan": plan, "problems": [], "more": []}).encode()
    result = await answering(directory, 200, body)
    assert (result.exit_code, result.stdout) == (0, "nothing to change\n")
    assert "note: the service is FC 9.0.0" in result.stderr


async def test_nothing_outside_of_the_directory_is_sent(server: str, directory: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text(project("stolen"))
    (directory / "link.yaml").symlink_to("../secret.yaml")
    result = await fcctl("plan", directory, "--server", server)
    assert (result.exit_code, "this symbolic link leads out of the configuration" in result.stderr) == (
        1,
        True,
    )
    (directory / "link.yaml").unlink()
    write(
        directory,
        {
            "notes.txt": "not sent",
            ".hidden.yaml": "nope: 1",
            "q.yaml": project("q") + "    description: !file ../secret.yaml\n",
        },
    )
    result = await fcctl("plan", directory, "--server", server)
    assert (result.exit_code, "leads out of the configuration" in result.stderr) == (1, True)
