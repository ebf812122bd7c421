"""Resources made by hand through the API: the language's own checks, and never what git owns."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from fc.base.database import Database
from fc.base.settings import Settings
from fc.config.errors import ConfigurationError
from tests.config.test_apply import confirm_and_put, put, state
from tests.support.by_hand import by_hand
from tests.support.config_client import config_client
from tests.support.configuration import WHOLE, project, value_of

BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("user", "alice"): {"email": "alice@example.org", "role": "read-only"},
    ("role", "project-admin:*"): {"description": "d", "scopes": ["fc:*:<..>/*"]},
    ("role", "weird//id/%2F/../?x=#y&:*"): {"description": "d"},
    ("remote_builder", "big-1"): {"ssh_uri": "ssh://b@big-1.example.org", "systems": ["x86_64-linux"]},
    ("worker_pool", "nix/linux"): {
        "provider_id": "ssh",
        "owner": "ops@example.org",
        "config": {"builders": ["big-1"]},
    },
    ("api_key", "bot"): {"key": {"secret": "bot-key"}, "role": "restart-jobs", "user": "alice"},
    ("project", "hello"): {"repository_url": "https://git.example.org/hello.git"},
    ("jobset", "hello/main"): {"nix_expression": "release.nix", "check_interval": "5m", "flake_mode": False},
    ("input", "hello/main/release"): {"type": "boolean", "value": True},
    ("channel", "hello/stable"): {"jobset": "main"},
    ("webhook", "hello/github"): {"secret": {"secret": "hook"}},
    ("notification", "hello/github_status:tools/hello"): {
        "type": "github_status",
        "repository": "tools/hello",
        "token": {"secret": "token"},
    },
    ("notification", "hello/mine"): {"type": "webhook", "url": "https://example.org/x"},
    ("member", "hello/alice"): {"role": "maintainer"},
}


@pytest.fixture
async def client(database: Database, settings: Settings, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    for name in ("bot-key", "hook", "deploy-key"):
        (tmp_path / name).write_text(value_of(name), encoding="utf-8")
    async with config_client(database, settings, tmp_path) as made:
        yield made


def url(kind: str, key: str) -> str:
    return f"/api/v1/resources/{kind}/{quote(key, safe='')}"


async def make_all(client: httpx.AsyncClient) -> None:
    for (kind, key), body in BODIES.items():
        answer = await client.put(url(kind, key), json=body)
        assert (answer.status_code, answer.json()) == (
            200,
            {"kind": kind, "key": key, "created": True},
        ), answer.text


async def test_every_kind_is_made_shown_replaced_and_removed(
    database: Database, client: httpx.AsyncClient
) -> None:
    await make_all(client)
    for (kind, key), body in BODIES.items():
        shown = (await client.get(url(kind, key))).json()
        assert (shown["kind"], shown["key"], shown["owner"], shown["history"]) == (kind, key, None, [])
        assert "value-of" not in repr(shown)
        again = await client.put(url(kind, key), json=body)
        assert again.json()["created"] is False
    assert await database.fetchval("SELECT check_interval FROM jobsets") == 300
    for kind, key in reversed(BODIES):
        assert (await client.delete(url(kind, key))).status_code == 204, (kind, key)
    left = await client.get("/api/v1/resources")
    assert [(one["kind"], one["key"]) for one in left.json()["items"]] == [
        ("api_key", "admin"),
        ("api_key", "restart-jobs"),
        ("jobset", "hello/main"),
        ("project", "hello"),
        ("remote_builder", "big-1"),
        ("user", "alice"),
    ]
    events = await database.fetch("SELECT actor, action FROM audit_events")
    assert len(events) == 3 * len(BODIES)
    assert {tuple(event) for event in events} == {("api_key:admin", "configure")}


async def test_a_row_made_by_hand_is_as_one_that_git_makes(
    database: Database, client: httpx.AsyncClient
) -> None:
    await put(database, project("p", main="x"))
    row = "SELECT to_jsonb(j) - 'id' - 'name' - 'created_at' - 'updated_at' - 'check_requested_at' - 'next_check_at' FROM jobsets j WHERE name = $1"
    answer = await client.put(url("jobset", "p/hand"), json={"branch": "x", "nix_expression": "release.nix"})
    assert answer.status_code == 200
    assert await database.fetchval(row, "hand") == await database.fetchval(row, "main")


async def test_the_list_comes_page_by_page(client: httpx.AsyncClient, database: Database) -> None:
    await put(database, "users: {zoe: {email: zoe@example.org}}")
    await make_all(client)
    everything = (await client.get("/api/v1/resources")).json()["items"]
    seen: list[Any] = []
    after = None
    while True:
        asked = {"limit": "4"} | ({"after": after} if after else {})
        page = (await client.get("/api/v1/resources", params=asked)).json()
        seen += page["items"]
        after = page["next"]
        if after is None:
            break
    assert seen == everything
    assert {(one["kind"], one["key"]) for one in seen} >= BODIES.keys()
    users = (await client.get("/api/v1/resources", params={"kind": "user"})).json()["items"]
    assert [(one["key"], one["owner"]) for one in users] == [
        ("alice", None),
        ("zoe", {"source": "default", "file": "fc.yaml", "line": 1}),
    ]


@pytest.mark.parametrize(
    ("kind", "key", "body", "said"),
    [
        (
            "jobset",
            "p/x",
            {"nix_expresion": "r"},
            "unknown key 'nix_expresion'; did you mean 'nix_expression'?",
        ),
        ("jobset", "p/x", {}, "missing 'nix_expression'"),
        ("jobset", "p", {}, "its name is written project/name"),
        ("jobset", "p/", {}, "its name is written project/name"),
        ("jobset", "nowhere/x", {"nix_expression": "r"}, "there is no project 'nowhere'"),
        ("jobset", "p/a b", {"nix_expression": "r"}, "name of jobset: expected letters"),
        ("jobset", "p/x", {"nix_expression": "r", "inputs": {}}, "'inputs' are resources of their own"),
        (
            "user",
            "u",
            {"email": "u@example.org", "protected": True},
            "'protected' is of declarations in git alone",
        ),
        ("user", "u", {"email": 5}, "expected text, found the number 5"),
        ("user", "u", {"email": "u@example.org", "full_name": "a\u0000b"}, "cannot be printed"),
        ("member", "p/nobody", {"role": "admin"}, "there is no user 'nobody'"),
        ("member", "p/nobody", {"rol": "admin"}, "unknown key 'rol'; did you mean 'role'?"),
        ("member", "p/nobody", {}, "missing 'role'"),
        ("channel", "p/c", {"jobset": "nowhere"}, "there is no jobset 'p/nowhere'"),
        (
            "worker_pool",
            "nix/l",
            {"provider_id": "ssh", "owner": "a@example.org", "config": {"builders": ["b"]}},
            "there is no remote builder 'b'",
        ),
        ("webhook", "p/github", {"secret": "s3cret in plain text"}, "a secret is never written here"),
        ("webhook", "p/github", {"secret": {"secret": "nowhere"}}, "secret 'nowhere' is not known"),
        (
            "webhook",
            "p/sourceforge",
            {"secret": {"secret": "hook"}},
            "expected forgejo, gitea, github, gitlab",
        ),
        (
            "notification",
            "p/x",
            {"type": "webhook", "url": "https://e.org", "name": "y"},
            "its name is 'x', not 'y'",
        ),
        (
            "remote_builder",
            "b",
            {"ssh_uri": "ssh://h", "systems": [], "max_jobs": 10**30},
            "systems: has 0 items",
        ),
        ("jobsets", "p/x", {}, "did you mean 'jobset'?"),
    ],
)
async def test_what_is_wrong_is_refused_with_every_reason(
    database: Database, client: httpx.AsyncClient, kind: str, key: str, body: Any, said: str
) -> None:
    await put(database, project("p", main="x"))
    before = await state(database)
    answer = await client.put(url(kind, key), json=body)
    assert answer.status_code == 400, answer.text
    assert said in answer.json()["message"]
    assert "plain text" not in answer.text
    assert await state(database) == before


async def test_a_body_that_is_hostile_is_refused(client: httpx.AsyncClient) -> None:
    deep = b'{"description": ' + b"[" * 200 + b"]" * 200 + b"}"
    for body in (
        deep,
        b"[]",
        b"5",
        b"{",
        b'{"description": 1e999}',
        b'{"description": ' + b"9" * 5000 + b"}",
    ):
        answer = await client.put(
            url("role", "r"), content=body, headers={"Content-Type": "application/json"}
        )
        assert answer.status_code == 400, (body[:40], answer.text[:200])


async def test_what_git_owns_is_refused_with_its_place(database: Database, client: httpx.AsyncClient) -> None:
    await put(database, WHOLE)
    before = await state(database)
    owned = await database.fetch("SELECT kind, key, line FROM config_resources")
    bodies = {kind: body for (kind, _), body in BODIES.items()}
    for row in owned:
        where = url(row["kind"], row["key"])
        body = bodies[row["kind"]]
        if row["kind"] == "notification":
            body = {"type": "github_status", "repository": "a/b", "token": {"secret": "token"}}
        for answer in (await client.put(where, json=body), await client.delete(where)):
            assert (answer.status_code, answer.json()) == (
                409,
                {
                    "code": "owned_by_git",
                    "message": f"git owns it: default fc.yaml:{row['line']}; change it there",
                },
            )
        shown = (await client.get(where)).json()
        assert shown["owner"] == {"source": "default", "file": "fc.yaml", "line": row["line"]}
        assert [one["action"] for one in shown["history"]] == ["create"]
        assert shown["last_revision"] == shown["history"][0]["revision_id"]
    assert await state(database) == before


async def test_nobody_without_the_right_may(client: httpx.AsyncClient) -> None:
    for key, status in (("", 401), ("Bearer restart-jobs", 403)):
        headers = {"Authorization": key}
        where = url("role", "r")
        for answer in (
            await client.put(where, json={"description": "d"}, headers=headers),
            await client.delete(where, headers=headers),
            await client.get(where, headers=headers),
            await client.get("/api/v1/resources", headers=headers),
        ):
            assert answer.status_code == status


async def test_an_address_that_another_has_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.put(url("user", "a"), json={"email": "a@example.org"})).status_code == 200
    answer = await client.put(url("user", "b"), json={"email": "a@example.org"})
    assert (answer.status_code, answer.json()["message"]) == (409, "another row has its email already")


async def test_what_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    for answer in (await client.get(url("role", "r")), await client.delete(url("role", "r"))):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_secrets_written_by_hand_into_rows_are_not_shown_or_audited(
    database: Database, database_url: str, client: httpx.AsyncClient
) -> None:
    await make_all(client)
    where = url("notification", "hello/github_status:tools/hello")
    await by_hand(
        database_url, 'UPDATE notification_configs SET config = config || \'{"token": "ghp_plain"}\''
    )
    assert "ghp_plain" not in (await client.get(where)).text
    body = BODIES["notification", "hello/github_status:tools/hello"]
    assert (await client.put(where, json=body)).status_code == 200
    assert "ghp_plain" not in repr(await database.fetch("SELECT details FROM audit_events"))


async def test_what_git_let_go_of_may_be_made_by_hand(database: Database, client: httpx.AsyncClient) -> None:
    await put(database, project("p", main="x"))
    await confirm_and_put(database, "roles: {}")
    body = {"repository_url": "https://git.example.org/p.git"}
    assert (await client.put(url("project", "p"), json=body)).json()["created"] is False
    assert await database.fetchval("SELECT enabled FROM projects")
    with pytest.raises(ConfigurationError, match="was not made from git"):
        await put(database, project("p", main="x"))


@pytest.mark.parametrize("first", ["hand", "git"])
async def test_a_hand_and_git_at_once_leave_one_owner(
    database: Database, client: httpx.AsyncClient, first: str
) -> None:
    """Whoever is first wins, and the other one is told."""
    body = {"email": "u@example.org", "full_name": "by hand"}

    async def hand(number: int) -> int:
        return (
            await client.put(url("user", f"u{number}"), json={**body, "email": f"u{number}@x.org"})
        ).status_code

    async def git(number: int) -> bool:
        text = "users:\n" + "".join(f"  u{one}: {{email: u{one}@x.org}}\n" for one in range(number + 1))
        try:
            await put(database, text)
        except ConfigurationError:
            return False
        return True

    for number in range(12):
        tasks = [hand(number), git(number)]
        done = await asyncio.gather(*(tasks if first == "hand" else reversed(tasks)))
        made, applied = done if first == "hand" else reversed(done)
        name = await database.fetchval("SELECT full_name FROM users WHERE username = $1", f"u{number}")
        owned = await database.fetchval("SELECT count(*) FROM config_resources WHERE key = $1", f"u{number}")
        assert (made, applied, name, owned) in {(200, False, "by hand", 0), (409, True, None, 1)}
        if not applied:
            assert (await client.delete(url("user", f"u{number}"))).status_code == 204
            await database.execute("DELETE FROM users WHERE username = $1", f"u{number}")
            assert await git(number)


async def test_removing_by_hand_and_git_at_once_leave_no_owner_without_a_row(
    database: Database, client: httpx.AsyncClient
) -> None:
    for number in range(8):
        role = url("role", f"r{number}")
        assert (await client.put(role, json={"description": "by hand"})).status_code == 200
        await database.execute(
            "INSERT INTO config_adoptions (kind, key, actor) VALUES ('role', $1, 'a')", f"r{number}"
        )
        text = "roles:\n" + "".join(f"  r{one}: {{description: git}}\n" for one in range(number + 1))
        answer, _ = await asyncio.gather(client.delete(role), put(database, text))
        assert answer.status_code in {204, 409}
        assert (
            await database.fetchval("SELECT description FROM roles WHERE role_id = $1", f"r{number}") == "git"
        )
