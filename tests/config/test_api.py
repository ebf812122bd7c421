"""The hook of the configuration repository, and what the API tells."""

import hashlib
import hmac
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide

from fc.access.keys import hash_key
from fc.base.database import Database
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.base.source_settings import ConfigurationSettings, SourceSettings
from fc.config import sources
from fc.config.api import ROUTES
from fc.config.sync import Synchronizer
from fc.web.failures import HANDLERS
from tests.config.test_apply import put
from tests.config.test_guards import roles
from tests.support.configuration import WHOLE, project
from tests.support.repository import Repository

KEY = "s3cret of the hook"
HOOK = "/hooks/configuration"
Open = Callable[..., httpx.AsyncClient]


def _giving(value: object) -> Callable[[], Any]:
    return lambda: value


def push(branch: str = "main", after: str = "a" * 40) -> bytes:
    return msgspec.json.encode(
        {
            "ref": f"refs/heads/{branch}",
            "before": "b" * 40,
            "after": after,
            "deleted": set(after) == {"0"},
            "forced": False,
            "repository": {"full_name": "ops/fc", "clone_url": "https://git.example.org/ops/fc.git"},
        }
    )


def signed(body: bytes, key: str = KEY, **changes: str) -> dict[str, str]:
    """Headers as Gitea sends them."""
    headers = {
        "Content-Type": "application/json",
        "X-Gitea-Event": "push",
        "X-Gitea-Delivery": str(uuid.uuid4()),
        "X-Gitea-Signature": hmac.new(key.encode(), body, hashlib.sha256).hexdigest(),
    }
    return headers | {name.replace("_", "-"): value for name, value in changes.items()}


@pytest.fixture
async def opened(database: Database, settings: Settings, tmp_path: Path) -> AsyncIterator[Open]:
    """Opens a client of the routes, with settings of one's own."""
    (tmp_path / "hook").write_text(KEY, encoding="utf-8")
    clients = []

    def open_client(**changes: Any) -> httpx.AsyncClient:
        values: dict[str, Any] = {
            "url": "https://git.example.org/ops/fc.git",
            "webhook_secret": "hook",
        } | changes
        changed = msgspec.structs.replace(settings, configuration=ConfigurationSettings(**values))
        held = {"database": database, "settings": changed, "secrets": Secrets(tmp_path)}
        app = Litestar(
            ROUTES,
            dependencies={
                name: Provide(_giving(value), sync_to_thread=False) for name, value in held.items()
            },
            exception_handlers=HANDLERS,
            state=State({"database": database}),
        )
        transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # the two describe ASGI in different types
        clients.append(httpx.AsyncClient(transport=transport, base_url="http://fc.example.org"))
        return clients[-1]

    await sources.register(
        database, sources.SOURCE, ConfigurationSettings(url="https://git.example.org/ops/fc.git")
    )
    await database.execute("UPDATE config_sources SET next_sync_at = now() + interval '1 day'")
    yield open_client
    for client in clients:
        await client.aclose()


async def requested(database: Database) -> bool:
    return bool(await database.fetchval("SELECT sync_requested_at IS NOT NULL FROM config_sources"))


async def log(database: Database) -> list[tuple[str, str, str]]:
    rows = await database.fetch("SELECT target, event, status FROM webhook_deliveries ORDER BY received_at")
    return [tuple(row) for row in rows]


async def send(
    client: httpx.AsyncClient, body: bytes, headers: Mapping[str, str], forge: str = "gitea"
) -> httpx.Response:
    return await client.post(f"{HOOK}/{forge}", content=body, headers=dict(headers))


async def test_a_push_to_the_branch_asks_for_a_synchronisation(database: Database, opened: Open) -> None:
    answer = await send(opened(), push(), signed(push()))
    assert (answer.status_code, answer.json()["status"]) == (202, "accepted")
    assert await requested(database)
    assert await log(database) == [("configuration", "push", "accepted")]


async def test_the_same_delivery_again_does_nothing(database: Database, opened: Open) -> None:
    client, headers = opened(), signed(push())
    await send(client, push(), headers)
    await database.execute("UPDATE config_sources SET sync_requested_at = NULL")
    answer = await send(client, push(), headers)
    assert (answer.status_code, answer.json()["status"]) == (202, "duplicate")
    assert not await requested(database)
    assert len(await log(database)) == 1


@pytest.mark.parametrize(
    ("body", "event", "why"),
    [
        (push("feature"), "push", "only the branch 'main' is followed"),
        (push(after="0" * 40), "push", "the branch was deleted"),
        (b"{}", "fork", "only pushes and pull requests matter here"),
    ],
)
async def test_what_does_not_concern_the_branch_is_ignored(
    database: Database, opened: Open, body: bytes, event: str, why: str
) -> None:
    answer = await send(opened(), body, signed(body, X_Gitea_Event=event))
    assert (answer.status_code, answer.json()) == (202, {"status": "ignored", "detail": why})
    assert not await requested(database)
    assert await log(database) == [("configuration", event, "ignored")]


@pytest.mark.parametrize("forge", ["github", "gitea", "forgejo", "gitlab"])
async def test_an_unsigned_post_is_refused_for_every_forge(
    database: Database, opened: Open, forge: str
) -> None:
    headers = {name: value for name, value in signed(push()).items() if "Signature" not in name}
    headers |= {"X-GitHub-Event": "push", "X-Forgejo-Event": "push", "X-Gitlab-Event": "Push Hook"}
    answer = await send(opened(), push(), headers, forge)
    assert (answer.status_code, answer.json()["code"]) == (401, "signature")
    assert not await requested(database)
    assert await log(database) == [("configuration", "", "refused")]


async def test_a_wrong_signature_is_refused_and_may_come_again_rightly(
    database: Database, opened: Open
) -> None:
    client, right = opened(), signed(push())
    wrong = right | {"X-Gitea-Signature": signed(push(), "another key")["X-Gitea-Signature"]}
    assert (await send(client, push(), wrong)).status_code == 401
    assert (await send(client, push("other"), right)).status_code == 401
    assert (await send(client, push(), right)).json()["status"] == "accepted"


async def test_without_a_secret_every_hook_is_refused(database: Database, opened: Open) -> None:
    for missing in (None, "nowhere"):
        answer = await send(opened(webhook_secret=missing), push(), signed(push(), ""))
        assert answer.status_code == 401
        assert "hooks of this configuration repository are refused" in answer.json()["message"]
    assert not await requested(database)


async def test_every_source_has_a_hook_of_its_own(database: Database, opened: Open) -> None:
    team = SourceSettings(url="/srv/team", webhook_secret="hook")
    client = opened(sources={"team": team})
    await sources.register(database, "team", team)
    await database.execute("UPDATE config_sources SET sync_requested_at = NULL")
    accepted = await client.post(f"{HOOK}/team/gitea", content=push(), headers=signed(push()))
    assert accepted.status_code == 202
    assert (
        await database.fetchval("SELECT name FROM config_sources WHERE sync_requested_at IS NOT NULL")
        == "team"
    )
    assert await log(database) == [("configuration/team", "push", "accepted")]
    unknown = await client.post(f"{HOOK}/nobody/gitea", content=push(), headers=signed(push()))
    assert unknown.status_code == 401
    assert len(await log(database)) == 1


async def test_a_signed_post_that_is_no_push_event_is_refused(database: Database, opened: Open) -> None:
    body = b'{"ref": 5}'
    assert (await send(opened(), body, signed(body))).status_code == 400
    assert await log(database) == [("configuration", "", "refused")]


async def test_there_is_no_hook_for_other_forges(opened: Open) -> None:
    assert (await send(opened(), push(), signed(push()), "sourceforge")).status_code == 400


async def test_the_state_of_the_source_is_told(database: Database, opened: Open) -> None:
    await put(database, WHOLE)
    state = (await opened().get("/api/v1/configuration")).json()
    (source,) = state["sources"]
    assert (source["name"], source["branch"], source["status"]) == ("default", "main", "pending")
    assert source["applied_commit"] == "c" * 40
    assert sum(state["resources"].values()) == 13


async def test_revisions_are_told_newest_first_page_by_page(database: Database, opened: Open) -> None:
    client = opened()
    for branch in ("a", "b", "c"):
        await put(database, project("p", main=branch))
    first = (await client.get("/api/v1/configuration/revisions", params={"limit": 2})).json()
    second = (
        await client.get("/api/v1/configuration/revisions", params={"limit": 2, "before": first["next"]})
    ).json()
    revisions = first["items"] + second["items"]
    assert [(one["created"], one["updated"]) for one in revisions] == [(0, 1), (0, 1), (2, 0)]
    assert (len(first["items"]), second["next"]) == (2, None)


async def test_a_revision_is_told_with_its_changes(database: Database, opened: Open) -> None:
    client = opened()
    await put(database, project("p", main="a"))
    applied = await put(database, project("p", main="b"))
    detail = (await client.get(f"/api/v1/configuration/revisions/{applied.revision}")).json()
    assert detail["revision"]["subject"] == "Say hello"
    (change,) = detail["changes"]
    assert (change["action"], change["key"]) == ("update", "p/main")
    assert (change["before"]["branch"], change["after"]["branch"]) == ("a", "b")


async def test_an_unknown_revision_is_not_found(opened: Open) -> None:
    answer = await opened().get(f"/api/v1/configuration/revisions/{uuid.uuid4()}")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


async def test_a_broken_commit_is_told_with_every_problem(
    database: Database, opened: Open, settings: Settings, tmp_path: Path
) -> None:
    repository = Repository(tmp_path / "repository")
    repository.commit({"fc.yaml": "users: {u: {emial: x}}\n"})
    followed = msgspec.structs.replace(settings, configuration=ConfigurationSettings(url=repository.url))
    synchronizer = Synchronizer(followed, database, Secrets(None))
    await synchronizer.register()
    await synchronizer.synchronize()
    client = opened()
    (source,) = (await client.get("/api/v1/configuration")).json()["sources"]
    assert [(one["line"], one["column"]) for one in source["errors"]] == [(1, 12), (1, 13)]
    (revision,) = (await client.get("/api/v1/configuration/revisions")).json()["items"]
    assert (revision["status"], revision["errors"]) == ("failed", source["errors"])


async def test_an_admin_confirms_a_plan_that_is_held_and_nobody_else(
    database: Database, opened: Open
) -> None:
    for role in ("admin", "restart-jobs"):
        await database.execute(
            "INSERT INTO api_keys (name, key_hash, role) VALUES ($1, $2, $1)", role, hash_key(role)
        )
    waiting = {
        "digest": "ab" * 32,
        "commit": "c" * 40,
        "reasons": ["it would remove much"],
        "by_commit": True,
    }
    await database.execute("UPDATE config_sources SET status = 'held', held = $1", waiting)
    client = opened()
    assert (await client.get("/api/v1/configuration")).json()["sources"][0]["held"] == waiting

    async def confirm(digest: str, key: str | None) -> int:
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        answer = await client.post(
            "/api/v1/configuration/confirmations", json={"digest": digest}, headers=headers
        )
        return answer.status_code

    assert await confirm("ab" * 6, None) == 401
    assert await confirm("ab" * 6, "restart-jobs") == 403
    assert await confirm("cd" * 6, "admin") == 409
    assert not await requested(database)
    assert await confirm("ab" * 6, "admin") == 202
    assert await requested(database)
    assert await database.fetchval("SELECT confirmed_digest FROM config_sources") == "ab" * 32
    assert (
        await database.fetchval("SELECT actor || ' ' || action FROM audit_events")
        == "api_key:admin configure"
    )


async def test_a_plan_that_was_not_applied_is_shown_whole(
    opened: Open, database: Database, settings: Settings, tmp_path: Path
) -> None:
    repository = Repository(tmp_path / "configuration")
    followed = ConfigurationSettings(url=repository.url)
    synchronizer = Synchronizer(
        msgspec.structs.replace(settings, configuration=followed), database, Secrets(None)
    )
    await synchronizer.register()
    repository.commit({"fc.yaml": roles(8)})
    assert await synchronizer.synchronize()
    repository.commit({"fc.yaml": roles(1)})
    await sources.request_sync(database)
    assert await synchronizer.synchronize()
    client = opened()
    newest = (await client.get("/api/v1/configuration/revisions")).json()["items"][0]
    assert newest["status"] == "held"
    detail = (await client.get(f"/api/v1/configuration/revisions/{newest['id']}")).json()
    assert [one["action"] for one in detail["changes"]] == ["delete"] * 7
    assert detail["more"] == 0
