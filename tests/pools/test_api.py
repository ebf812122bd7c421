"""The API of builders and pools, behind the real web server."""

from collections.abc import AsyncIterator

import httpx
import pytest

from fc.base.database import Database
from fc.pools.api import ROUTES
from tests.support.farm import add_builder
from tests.support.web_app import serving


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        serving(ROUTES, database=database) as address,
        httpx.AsyncClient(base_url=address, trust_env=False) as opened,
    ):
        yield opened


async def test_builders_are_shown_with_their_health_but_not_their_keys(
    client: httpx.AsyncClient, database: Database
) -> None:
    for name, columns in {
        "fresh": {},
        "off": {"enabled": False},
        "good": {"last_seen_at": await database.fetchval("SELECT now()")},
        "trial": {"consecutive_failures": 2},
    }.items():
        await add_builder(database, name, ssh_uri=f"ssh://{name}", ssh_key_file="/etc/fc/key", **columns)
    waiting = await add_builder(database, "waiting", ssh_uri="ssh://waiting", consecutive_failures=1)
    await database.execute(
        "UPDATE remote_builders SET disabled_until = now() + interval '1 minute', last_error = 'no route' WHERE id = $1",
        waiting,
    )
    await database.execute(
        """INSERT INTO derivations (drv_path, name, system, status, builder_id, started_at)
        VALUES ('/nix/store/x.drv', 'x', 'x86_64-linux', 'running', $1, now())""",
        waiting,
    )
    text = (await client.get("/api/v1/builders")).text
    answer = (await client.get("/api/v1/builders")).json()
    assert "/etc/fc/key" not in text
    assert {item["name"]: item["health"] for item in answer["items"]} == {
        "fresh": "unknown",
        "good": "ok",
        "off": "disabled",
        "trial": "failing",
        "waiting": "backing_off",
    }
    one = (await client.get("/api/v1/builders/waiting")).json()
    assert (one["running"], one["last_error"]) == (1, "no route")
    assert one["disabled_until"] is not None
    assert [(item["name"], item["builder"]) for item in answer["running"]] == [("x", "waiting")]


async def test_worker_pools_are_listed(client: httpx.AsyncClient, database: Database) -> None:
    await database.execute(
        """INSERT INTO worker_pools (worker_pool_id, provider_id, owner, description, email_on_error, created, last_modified,
        config, provider_data, previous_provider_ids)
        VALUES ('nix/linux', 'ssh', 'ops@example.org', 'Linux builders', false, now(), now(), $1, '{}', '[]')""",
        {"builders": ["big-1"]},
    )
    (pool,) = (await client.get("/api/v1/worker-pools")).json()["items"]
    assert (pool["worker_pool_id"], pool["config"]) == ("nix/linux", {"builders": ["big-1"]})
