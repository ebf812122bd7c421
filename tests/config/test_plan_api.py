"""Plans of working copies that are sent: what the service answers, what it never tells, what it refuses."""

import base64
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide

from fc import __version__
from fc.access.keys import hash_key
from fc.base.database import Database
from fc.base.errors import InvalidInputError
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.base.source_settings import ConfigurationSettings, ScopeRule, SourceSettings
from fc.config.api import ROUTES
from fc.config.planning import tree_of
from fc.web.failures import HANDLERS
from tests.config.test_apply import put
from tests.support.configuration import WHOLE, project, value_of

PLANS = "/api/v1/configuration/plans"
TOKEN = "an admin's"
Ask = Callable[..., Any]


def sent(files: Mapping[str, str | bytes], **more: Any) -> dict[str, Any]:
    return {
        "files": [
            {
                "path": path,
                "content": base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode(),
            }
            for path, text in files.items()
        ],
        **more,
    }


@pytest.fixture
async def client(
    database: Database, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[httpx.AsyncClient]:
    for name in ("hello-webhook", "github-token", "deploy-key"):
        (tmp_path / name).write_text(value_of(name))
    (tmp_path / "outside.txt").write_text("hunter2")
    monkeypatch.setenv("FC_PLAN_BRANCH", "from-here")
    monkeypatch.setenv("FC_PLAN_OTHER", "hunter2")
    changed = msgspec.structs.replace(
        settings,
        configuration=ConfigurationSettings(
            environment=("FC_PLAN_BRANCH",),
            sources={
                "team": SourceSettings(
                    url="file:///srv/team", scope=(ScopeRule(kinds=("project",), names=("team-*",)),)
                )
            },
        ),
    )
    held = {"database": database, "settings": changed, "secrets": Secrets(tmp_path)}
    app = Litestar(
        ROUTES,
        dependencies={name: Provide(_giving(value), sync_to_thread=False) for name, value in held.items()},
        exception_handlers=HANDLERS,
        state=State({"database": database}),
    )
    for name, role in (("root", "admin"), ("reader", "read-only"), ("restarter", "restart-jobs")):
        token = TOKEN if role == "admin" else role
        await database.execute(
            "INSERT INTO api_keys (name, key_hash, role) VALUES ($1, $2, $3)", name, hash_key(token), role
        )
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # the two describe ASGI in different types
    async with httpx.AsyncClient(
        transport=transport, base_url="http://fc.example.org", headers={"Authorization": f"Bearer {TOKEN}"}
    ) as opened:
        yield opened


def _giving(value: object) -> Callable[[], Any]:
    return lambda: value


async def plan(client: httpx.AsyncClient, files: Mapping[str, str | bytes], **more: Any) -> dict[str, Any]:
    answer = await client.post(PLANS, json=sent(files, **more))
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    assert found["version"] == __version__
    return found


async def problems(client: httpx.AsyncClient, files: Mapping[str, str | bytes], **more: Any) -> list[str]:
    found = await plan(client, files, **more)
    assert found["plan"] is None
    return [f"{one['file']}:{one['line']}:{one['column']}: {one['message']}" for one in found["problems"]]


async def stored(database: Database) -> list[int]:
    tables = (
        "config_revisions",
        "config_resources",
        "config_changes",
        "audit_events",
        "projects",
        "config_sources",
    )
    return [await database.fetchval(f"SELECT count(*) FROM {table}") for table in tables]


async def test_a_plan_is_made_of_what_is_sent_and_nothing_is_stored(
    client: httpx.AsyncClient, database: Database
) -> None:
    await put(database, project("p", main="a"))
    before = await stored(database)
    found = await plan(client, {"fc.yaml": project("p", main="b"), "more/q.yml": project("q")})
    assert found["problems"] == []
    assert found["plan"]["summary"] == {"create": 1, "update": 1, "delete": 0}
    assert [(one["key"], one["file"], one["line"]) for one in found["plan"]["changes"]] == [
        ("q", "more/q.yml", 2),
        ("p/main", "fc.yaml", 5),
    ]
    assert found["plan"]["changes"][1]["fields"] == [{"field": "branch", "before": "a", "after": "b"}]
    assert len(found["plan"]["digest"]) == 64
    assert await stored(database) == before
    assert (await plan(client, {"fc.yaml": project("p", main="a")}))["plan"]["changes"] == []


async def test_a_plan_that_would_be_held_says_why(client: httpx.AsyncClient, database: Database) -> None:
    await put(database, project("p", main="a"))
    found = await plan(client, {})
    assert "it would remove everything that git owns here" in found["plan"]["held"][0]


async def test_problems_are_all_told(client: httpx.AsyncClient, database: Database) -> None:
    assert await problems(client, {"a.yaml": "nope: 1", "b/c.yaml": "users: {u: {}}", "d.yaml": b"\xff"}) == [
        "a.yaml:1:1: document: unknown key 'nope'; known are api_keys, defaults, projects, remote_builders, roles, users, worker_pools",
        "b/c.yaml:1:12: user: missing 'email'",
        "d.yaml:1:1: byte 0xff is not UTF-8; save the file as UTF-8",
    ]
    await database.execute("INSERT INTO projects (name, repository_url) VALUES ('p', '/srv/p')")
    (taken,) = await problems(client, {"fc.yaml": project("p")})
    assert taken.startswith("fc.yaml:2:3: project 'p' is there already and was not made from git")


async def test_files_that_are_taken_in_are_sent_too_and_variables_are_those_allowed(
    client: httpx.AsyncClient,
) -> None:
    text = project("p", main="!env FC_PLAN_BRANCH") + "    description: !file texts/p.md\n"
    found = await plan(client, {"fc.yaml": text, "texts/p.md": "Told elsewhere\n"})
    values = {field["field"]: field["after"] for one in found["plan"]["changes"] for field in one["fields"]}
    assert (values["description"], values["branch"]) == ("Told elsewhere", "from-here")
    (refused,) = await problems(client, {"fc.yaml": project("p", main="!env FC_PLAN_OTHER")})
    assert "is not among those that configuration.environment in the settings allows" in refused


@pytest.mark.parametrize(
    "path", ["../outside.txt", "outside.txt", "/etc/passwd", ".env", "a/../../outside.txt", "."]
)
async def test_no_file_of_the_service_is_read(client: httpx.AsyncClient, path: str) -> None:
    text = project("p") + f"    description: !file {path}\n"
    for file in ("fc.yaml", "a/b/fc.yaml"):
        answer = await client.post(PLANS, json=sent({file: text}))
        assert "!file: " in answer.json()["problems"][0]["message"]
        assert "hunter2" not in answer.text


async def test_secrets_are_the_services_and_come_back_as_names(
    client: httpx.AsyncClient, database: Database
) -> None:
    answer = await client.post(PLANS, json=sent({"fc.yaml": WHOLE}))
    found = answer.json()
    assert found["problems"] == []
    assert "«secret» deploy-key" in answer.text
    for name in ("hello-webhook", "github-token", "deploy-key"):
        assert value_of(name) not in answer.text
        assert hash_key(value_of(name)) not in answer.text
    # The digest holds their hashes: with it guesses could be tried without asking.
    assert found["plan"]["digest"] == ""
    await put(database, WHOLE)
    assert (await plan(client, {"fc.yaml": WHOLE}))["plan"]["changes"] == []
    removed = await plan(client, {"fc.yaml": WHOLE.replace("api_keys", "# api_keys")})
    assert (removed["plan"]["summary"]["delete"], removed["plan"]["digest"]) == (1, "")
    (missing,) = await problems(client, {"fc.yaml": "api_keys: {k: {key: !secret nowhere}}"})
    assert "secret 'nowhere' is not known" in missing


@pytest.mark.parametrize(
    "text",
    [
        "users: {u: {email: !secret deploy-key}}",
        "roles: {r: {description: !secret deploy-key}}",
        "api_keys: {!secret deploy-key : {key: !secret deploy-key}}",
        "projects: {p: {repository_url: !secret deploy-key}}",
        "defaults: {roles: {description: !secret deploy-key}}\nroles: {r: {}}",
        "api_keys: {k: {key: !secret ../deploy-key}}",
        "api_keys: {k: {key: !secret outside.txt, role: !secret deploy-key}}",
        "x: !secret deploy-key",
        "roles: {r: {description: !age deploy-key}}",
    ],
)
async def test_a_hostile_tree_learns_no_secret(client: httpx.AsyncClient, text: str) -> None:
    answer = await client.post(PLANS, json=sent({"fc.yaml": text}))
    assert answer.status_code == 200
    assert answer.json()["plan"] is None
    for value in (value_of("deploy-key"), hash_key(value_of("deploy-key")), "hunter2"):
        assert value not in answer.text


async def test_the_source_decides_what_may_be_declared(client: httpx.AsyncClient, database: Database) -> None:
    await put(database, project("p"))
    team = await plan(client, {"fc.yaml": project("team-a")}, source="team")
    assert [one["key"] for one in team["plan"]["changes"]] == ["team-a"]
    (strayed,) = await problems(client, {"fc.yaml": project("q")}, source="team")
    assert "project 'q' is outside of what this source may declare" in strayed
    answer = await client.post(PLANS, json=sent({}, source="nowhere"))
    assert (answer.status_code, answer.json()["message"]) == (
        404,
        "there is no configuration source 'nowhere'",
    )


@pytest.mark.parametrize(
    ("token", "status"), [(None, 401), ("wrong", 401), ("read-only", 403), ("restart-jobs", 403)]
)
async def test_only_admins_may_ask(client: httpx.AsyncClient, token: str | None, status: int) -> None:
    client.headers.pop("Authorization")
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    assert (await client.post(PLANS, json=sent({}), headers=headers)).status_code == status


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b'{"files": 1}',
        b'{"files": [], "extra": 1}',
        b'{"files": [{"path": "a.yaml", "content": "!"}]}',
        b'{"files": [{"path": "a.yaml"}]}',
        b'{"files": [{"path": "a.yaml", "content": ""}, {"path": "a.yaml", "content": ""}]}',
        b"[" * 100_000,
    ],
)
async def test_what_is_no_request_is_refused(client: httpx.AsyncClient, body: bytes) -> None:
    answer = await client.post(PLANS, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["code"] == "invalid_input"


@pytest.mark.parametrize(
    "path",
    ["", "/a.yaml", "../a.yaml", "a/../../b.yaml", "a//b.yaml", "./a.yaml", ".", "..", "a/", "a\\b.yaml",
     ".git/a.yaml", "a/.b.yaml", "a\n.yaml", "a\0.yaml", "\u202e.yaml", "a" * 2000],
)  # fmt: skip
async def test_paths_that_no_tree_has_are_refused(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(PLANS, json=sent({path: "{}"}))
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_input")


async def test_giants_are_refused(client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch) -> None:
    (large,) = await problems(client, {"a.yaml": " " * (5 << 20)})
    assert "at most" in large
    bomb = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"{two}: &{two} [*{one}, *{one}, *{one}, *{one}, *{one}, *{one}, *{one}, *{one}]\n"
        for one, two in zip("abcdefgh", "bcdefghi", strict=True)
    )
    assert "aliases add more than" in "\n".join(await problems(client, {"a.yaml": bomb}))
    with pytest.raises(InvalidInputError, match="more than"):
        tree_of({f"{number}.yaml": b"" for number in range(20_001)})


def test_only_yaml_is_read_and_nothing_is_looked_for_on_disk() -> None:
    tree, contents = tree_of({"b.yaml": b"{}", "a.yml": b"x", "etc/passwd": b"sent"})
    assert [one.path for one in tree.files] == ["a.yml", "b.yaml"]
    assert contents[tree.locate("etc/passwd").blob] == b"sent"
    assert tree.locate("etc").problem == "'etc' is no file"
    assert "there is no file" in tree.locate("etc/hosts").problem
