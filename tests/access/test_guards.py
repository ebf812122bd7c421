"""Guards in front of a route, in the application as it is served."""

from collections.abc import AsyncIterator

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from fc.access.audit import record_event
from fc.access.guards import principal
from fc.access.keys import hash_key
from fc.app import create_app
from fc.base.database import Database
from fc.base.errors import UnauthenticatedError
from fc.base.settings import DatabaseSettings, Settings

ROUTE = "/api/v1/projects/hello/jobsets/main/evaluate"


@pytest.fixture
async def client(settings: Settings, database_url: str) -> AsyncIterator[AsyncTestClient[Litestar]]:
    served = msgspec.structs.replace(settings, database=DatabaseSettings(url=database_url, pool_size=3))
    async with AsyncTestClient(create_app(served)) as opened:
        yield opened


@pytest.fixture(autouse=True)
async def jobset(database: Database) -> None:
    await database.execute(
        "INSERT INTO projects (name, repository_url) VALUES ('hello', 'https://git.example.org/hello.git')"
    )
    await database.execute(
        "INSERT INTO jobsets (project_id, name, nix_expression) SELECT id, 'main', 'release.nix' FROM projects"
    )
    await database.executemany(
        "INSERT INTO api_keys (name, key_hash, role) VALUES ($1, $2, $3)",
        [("robot", hash_key("good-key"), "eval-jobset"), ("reader", hash_key("weak-key"), "read-only")],
    )


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "unauthenticated"),
        ({"Authorization": "Bearer wrong"}, 401, "unauthenticated"),
        ({"Authorization": "Basic Z29vZC1rZXk="}, 401, "unauthenticated"),
        ({"Authorization": "Bearer weak-key"}, 403, "forbidden"),
    ],
)
async def test_who_may_not_is_told_so_and_nothing_happens(
    client: AsyncTestClient[Litestar], database: Database, headers: dict[str, str], status: int, code: str
) -> None:
    answer = await client.post(ROUTE, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert "good-key" not in answer.text
    assert await database.fetchval("SELECT check_requested_at FROM jobsets") is None
    assert await database.fetchval("SELECT count(*) FROM audit_events") == 0


async def test_who_may_does_and_is_written_down(
    client: AsyncTestClient[Litestar], database: Database
) -> None:
    answer = await client.post(ROUTE, headers={"Authorization": "Bearer good-key"})
    assert answer.status_code == 202, answer.text
    assert await database.fetchval("SELECT check_requested_at FROM jobsets") is not None
    event = await database.fetchrow("SELECT actor, action, kind, key FROM audit_events")
    assert event is not None
    assert tuple(event) == ("api_key:robot", "eval-jobset", "jobset", "hello/main")


async def test_reading_needs_no_key(client: AsyncTestClient[Litestar]) -> None:
    assert (await client.get("/api/v1/projects")).status_code == 200


async def test_a_route_without_a_guard_has_no_principal(client: AsyncTestClient[Litestar]) -> None:
    class Unguarded:
        state: dict[str, object] = {}  # noqa: RUF012 - never written

    with pytest.raises(UnauthenticatedError):
        principal(Unguarded())  # type: ignore[arg-type]  # only its state is looked at


async def test_an_event_stands_or_falls_with_its_transaction(database: Database) -> None:
    async def act() -> None:
        async with database.transaction() as connection:
            await record_event(connection, actor="cli:root", action="apply", kind="project", key="hello")
            await connection.execute("SELECT 1 / 0")

    with pytest.raises(Exception, match="division by zero"):
        await act()
    assert await database.fetchval("SELECT count(*) FROM audit_events") == 0
    await record_event(
        database, actor="cli:root", action="apply", kind="project", key="hello", details={"created": 3}
    )
    assert await database.fetchval("SELECT details FROM audit_events") == {"created": 3}
