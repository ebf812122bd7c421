"""The hooks of projects, evaluations for programs, and a check at once."""

import asyncio
import hashlib
import hmac
import uuid
from collections.abc import AsyncIterator
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
from fc.base.looping import Services
from fc.base.secrets import Secrets
from fc.evaluate.api import ROUTES
from fc.web.failures import HANDLERS
from tests.support.evaluating import Jobsets, evaluating, release

KEY = "s3cret of the hook"
ZEROS = "0" * 40


@pytest.fixture
async def client(database: Database, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "hook").write_text(KEY)
    held: dict[str, Any] = {"database": database, "secrets": Secrets(secrets)}

    def giving(value: Any) -> Provide:
        return Provide(lambda: value, sync_to_thread=False)

    app = Litestar(
        ROUTES,
        dependencies={name: giving(value) for name, value in held.items()},
        exception_handlers=HANDLERS,
        state=State({"database": database}),
    )
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # the two describe ASGI in different types
    async with httpx.AsyncClient(transport=transport, base_url="http://fc.example.org") as opened:
        yield opened


@pytest.fixture
async def jobset(jobsets: Jobsets) -> uuid.UUID:
    """hello/main follows main; hello/default the default branch; hello/stable a tag; all were just checked."""
    _, found = await jobsets.add({"release.nix": release('{ a = make "a" { }; }')})
    project = await jobsets.database.fetchval("SELECT id FROM projects")
    await jobsets.add_jobset(project, "default", branch=None)
    await jobsets.add_jobset(project, "stable", branch="refs/tags/stable")
    await jobsets.add_jobset(project, "off", enabled=False)
    await jobsets.database.execute(
        """INSERT INTO webhook_configs (project_id, forge_type, secret) VALUES ($1, 'gitea', '{"secret": "hook"}'),
        ($1, 'github', '{"secret": "hook"}'), ($1, 'forgejo', '{"secret": "absent"}')""",
        project,
    )
    await jobsets.database.execute("UPDATE jobsets SET next_check_at = now() + interval '1 hour'")
    return found


def push(ref: str = "refs/heads/main", after: str = "a" * 40) -> bytes:
    repository = {"full_name": "tools/hello", "clone_url": "https://git.example.org/tools/hello.git"}
    sent = {"ref": ref, "before": "b" * 40, "after": after, "deleted": after == ZEROS, "forced": False}
    return msgspec.json.encode(sent | {"repository": repository})


def signed(body: bytes, event: str = "push", delivery: str | None = None, key: str = KEY) -> dict[str, str]:
    """Headers as Gitea sends them."""
    return {
        "Content-Type": "application/json",
        "X-Gitea-Event": event,
        "X-Gitea-Delivery": delivery or str(uuid.uuid4()),
        "X-Gitea-Signature": hmac.new(key.encode(), body, hashlib.sha256).hexdigest(),
    }


async def send(
    client: httpx.AsyncClient, body: bytes, headers: dict[str, str], to: str = "hello/gitea"
) -> httpx.Response:
    return await client.post(f"/hooks/{to}", content=body, headers=headers)


async def requested(database: Database) -> list[str]:
    rows = await database.fetch("SELECT name FROM jobsets WHERE check_requested_at IS NOT NULL ORDER BY name")
    return [row["name"] for row in rows]


async def log(database: Database) -> list[tuple[str, ...]]:
    rows = await database.fetch(
        "SELECT target, event, status FROM webhook_deliveries ORDER BY received_at, id"
    )
    return [tuple(row) for row in rows]


@pytest.mark.usefixtures("jobset")
@pytest.mark.parametrize(
    ("ref", "checked"),
    [
        ("refs/heads/main", ["default", "main"]),
        ("refs/heads/other", ["default"]),
        ("refs/tags/stable", ["stable"]),
    ],
)
async def test_a_push_has_the_jobsets_checked_that_follow_it(
    database: Database, client: httpx.AsyncClient, ref: str, checked: list[str]
) -> None:
    answer = await send(client, push(ref), signed(push(ref)))
    assert answer.status_code == 202
    assert answer.json() == {"status": "accepted", "detail": f"checked at once: {', '.join(checked)}"}
    assert await requested(database) == checked
    assert await log(database) == [("project/hello", "push", "accepted")]


async def test_a_push_is_the_cause_of_its_evaluation(
    services: Services, jobsets: Jobsets, client: httpx.AsyncClient, jobset: uuid.UUID
) -> None:
    async with evaluating(services):
        await send(client, push(), signed(push()))
        (evaluation,) = await jobsets.settled(jobset)
    assert (evaluation["status"], evaluation["cause"]) == ("completed", "push")


@pytest.mark.usefixtures("jobset")
async def test_the_same_delivery_again_does_nothing(database: Database, client: httpx.AsyncClient) -> None:
    headers = signed(push())
    await send(client, push(), headers)
    await database.execute("UPDATE jobsets SET check_requested_at = NULL")
    answers = await asyncio.gather(*(send(client, push(), headers) for _ in range(5)))
    assert {(answer.status_code, answer.json()["status"]) for answer in answers} == {(200, "duplicate")}
    assert await requested(database) == []
    assert len(await log(database)) == 1


@pytest.mark.usefixtures("jobset")
@pytest.mark.parametrize(
    ("body", "event", "why"),
    [
        (push("refs/tags/v1"), "push", "no jobset follows it"),
        (push("refs/notes/x"), "push", "neither a branch nor a tag"),
        (push(after=ZEROS), "push", "was deleted"),
        (b"{}", "fork", "only pushes matter here"),
    ],
)
async def test_what_concerns_no_jobset_is_ignored_and_logged(
    database: Database, client: httpx.AsyncClient, body: bytes, event: str, why: str
) -> None:
    answer = await send(client, body, signed(body, event))
    assert (answer.status_code, answer.json()["status"]) == (200, "ignored")
    assert why in answer.json()["detail"]
    assert await requested(database) == []
    assert await log(database) == [("project/hello", event, "ignored")]


@pytest.mark.usefixtures("jobset")
async def test_a_ping_is_answered(client: httpx.AsyncClient) -> None:
    body = b'{"zen": "Speak like a human.", "hook_id": 1}'
    signature = "sha256=" + hmac.new(KEY.encode(), body, hashlib.sha256).hexdigest()
    headers = {"X-GitHub-Event": "ping", "X-GitHub-Delivery": "1", "X-Hub-Signature-256": signature}
    answer = await send(client, body, headers, "hello/github")
    assert (answer.status_code, answer.json()["detail"]) == (200, "the hook works")


@pytest.mark.usefixtures("jobset")
@pytest.mark.parametrize(
    ("to", "headers"),
    [
        ("hello/gitea", {"X-Gitea-Event": "push"}),
        ("hello/gitea", signed(push(), key="wrong")),
        ("hello/gitea", signed(b"something else")),
        ("hello/forgejo", signed(push())),
        ("hello/gitlab", signed(push())),
        ("absent/gitea", signed(push())),
        ("absent/gitea", {}),
    ],
)
async def test_what_is_not_signed_is_refused(
    database: Database, client: httpx.AsyncClient, to: str, headers: dict[str, str]
) -> None:
    answer = await send(client, push(), headers, to)
    assert answer.status_code == 401
    assert "FC_SECRET" not in answer.text
    assert KEY not in answer.text
    assert await requested(database) == []
    assert [row[2] for row in await log(database)] == ([] if to.startswith("absent") else ["refused"])


@pytest.mark.usefixtures("jobset")
async def test_a_refused_delivery_may_come_again(database: Database, client: httpx.AsyncClient) -> None:
    await send(client, push(), signed(push(), delivery="1", key="wrong"))
    answer = await send(client, push(), signed(push(), delivery="1"))
    assert answer.status_code == 202
    assert [row[2] for row in await log(database)] == ["refused", "accepted"]


@pytest.mark.usefixtures("jobset")
async def test_a_hook_of_a_disabled_project_is_refused(database: Database, client: httpx.AsyncClient) -> None:
    await database.execute("UPDATE projects SET enabled = false")
    assert (await send(client, push(), signed(push()))).status_code == 401


@pytest.mark.usefixtures("jobset")
async def test_what_is_signed_but_not_understood_is_refused(
    database: Database, client: httpx.AsyncClient
) -> None:
    for body in (b"{", b'{"ref": 1}', b"\xff"):
        assert (await send(client, body, signed(body))).status_code == 400
    assert {row[2] for row in await log(database)} == {"refused"}
    assert (await send(client, push(), signed(push()), "hello/sourcehut")).status_code == 400


@pytest.mark.usefixtures("jobset")
async def test_a_body_that_is_too_large_is_refused(client: httpx.AsyncClient, database: Database) -> None:
    answer = await send(client, b"x" * (26 << 20), signed(b""))
    assert answer.status_code == 413
    assert await log(database) == []


async def test_evaluations_are_listed_page_by_page(
    jobsets: Jobsets, client: httpx.AsyncClient, jobset: uuid.UUID
) -> None:
    for number in range(3):
        await jobsets.database.execute(
            "INSERT INTO evaluations (jobset_id, commit_hash, status, evaluation_time) VALUES ($1, $2, 'failed', now() + make_interval(secs => $3))",
            jobset, f"{number:040x}", number,
        )  # fmt: skip
    path = "/api/v1/projects/hello/jobsets/main/evaluations"
    first = (await client.get(path, params={"limit": 2})).json()
    assert [row["commit_hash"][-1] for row in first["items"]] == ["2", "1"]
    second = (await client.get(path, params={"before": first["next"], "limit": 2})).json()
    assert [row["commit_hash"][-1] for row in second["items"]] == ["0"]
    assert second["next"] is None
    assert (await client.get("/api/v1/projects/hello/jobsets/absent/evaluations")).status_code == 404
    assert (await client.get(path, params={"limit": 1000})).status_code == 400


async def test_an_evaluation_tells_its_errors(
    jobsets: Jobsets, client: httpx.AsyncClient, jobset: uuid.UUID
) -> None:
    evaluation = await jobsets.database.fetchval(
        "INSERT INTO evaluations (jobset_id, commit_hash, status) VALUES ($1, 'x', 'completed') RETURNING id",
        jobset,
    )
    await jobsets.database.execute(
        "INSERT INTO evaluation_errors (evaluation_id, job_name, message) VALUES ($1, 'a', 'why')", evaluation
    )
    answer = (await client.get(f"/api/v1/evaluations/{evaluation}")).json()
    assert answer["errors"] == [{"job": "a", "message": "why"}]
    assert answer["detail"]["evaluation"]["jobset"] == "main"
    assert (await client.get(f"/api/v1/evaluations/{uuid.uuid4()}")).status_code == 404


async def _key(database: Database, role: str) -> dict[str, str]:
    await database.execute(
        "INSERT INTO api_keys (name, key_hash, role) VALUES ($1, $2, $1)", role, hash_key(role * 3)
    )
    return {"Authorization": f"Bearer {role * 3}"}


EVALUATE = "/api/v1/projects/hello/jobsets/main/evaluate"


@pytest.mark.usefixtures("jobset")
async def test_asking_for_an_evaluation_needs_the_right(
    database: Database, client: httpx.AsyncClient
) -> None:
    assert (await client.post(EVALUATE)).status_code == 401
    assert (await client.post(EVALUATE, headers=await _key(database, "read-only"))).status_code == 403
    assert await requested(database) == []
    answer = await client.post(EVALUATE, headers=await _key(database, "eval-jobset"))
    assert (answer.status_code, answer.json()) == (202, {"status": "requested", "evaluation": None})
    assert await requested(database) == ["main"]
    event = await database.fetchrow("SELECT actor, action, kind, key FROM audit_events")
    assert event is not None
    assert tuple(event) == ("api_key:eval-jobset", "eval-jobset", "jobset", "hello/main")
    absent = EVALUATE.replace("main", "absent")
    assert (await client.post(absent, headers=await _key(database, "admin"))).status_code == 404


async def test_a_failed_evaluation_is_tried_again_when_asked_for(
    services: Services, jobsets: Jobsets, client: httpx.AsyncClient, jobset: uuid.UUID
) -> None:
    key = await _key(jobsets.database, "admin")
    async with evaluating(services):
        await client.post(EVALUATE, headers=key)
        (evaluation,) = await jobsets.settled(jobset)
        assert (evaluation["status"], evaluation["cause"]) == ("completed", "manual")
        await jobsets.database.execute(
            "WITH gone AS (DELETE FROM builds) UPDATE evaluations SET status = 'failed', error_message = 'x', cause = 'poll'"
        )
        await jobsets.database.execute(
            "INSERT INTO evaluation_errors (evaluation_id, job_name, message) VALUES ($1, 'a', 'old')",
            evaluation["id"],
        )
        answer = await client.post(EVALUATE, headers=key)
        assert answer.json() == {"status": "retried", "evaluation": str(evaluation["id"])}
        (again,) = await jobsets.settled(jobset)
    assert (again["id"], again["status"], again["cause"]) == (evaluation["id"], "completed", "manual")
    assert again["error_message"] is None
    assert await jobsets.errors(again["id"]) == {}
    assert set(await jobsets.builds(again["id"])) == {"a"}


@pytest.mark.usefixtures("jobset")
@pytest.mark.parametrize(
    ("ref", "event", "looked_at"),
    [
        ("refs/heads/trunk", "push", True),
        ("refs/heads/other", "push", False),
        ("refs/tags/trunk", "push", False),
    ],
)
async def test_a_push_to_the_default_branch_has_the_project_s_own_file_looked_at(
    database: Database, client: httpx.AsyncClient, ref: str, event: str, looked_at: bool
) -> None:
    await database.execute("UPDATE jobsets SET enabled = false")
    await database.execute(
        """INSERT INTO config_sources (name, url, branch, path, project_id)
        SELECT 'project/hello', repository_url, 'trunk', '.fc.yaml', id FROM projects"""
    )
    headers = signed(push(ref), event)
    answer = await send(client, push(ref), headers)
    asked = await database.fetchval("SELECT sync_requested_at FROM config_sources")
    assert (asked is not None) == looked_at
    assert answer.json()["detail"] == ("checked at once: .fc.yaml" if looked_at else "no jobset follows it")
    assert (await send(client, push(ref), headers)).json()["status"] == "duplicate"
    assert await database.fetchval("SELECT sync_requested_at FROM config_sources") == asked
