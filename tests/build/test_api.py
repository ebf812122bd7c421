"""The API of builds, behind the real web server."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from fc.base.database import Database
from fc.base.settings import Settings
from fc.build.api import ROUTES
from fc.build.logs import log_path_of
from fc.tables.build_queries import Position, decode_position, encode_position
from tests.build.rows import Rows, drv_path, insert_graph
from tests.support.web_app import serving


@pytest.fixture
async def client(database: Database, settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        serving(ROUTES, database=database, settings=settings) as address,
        httpx.AsyncClient(base_url=address, trust_env=False) as opened,
    ):
        yield opened


@pytest.fixture
async def rows(database: Database) -> Rows:
    names = [f"job{number}" for number in range(7)]
    return await insert_graph(database, {**{name: [] for name in names}, "top": names}, [*names, "top"])


async def write_log(database: Database, settings: Settings, name: str, text: bytes) -> Path:
    path = log_path_of(drv_path(name))
    await database.execute("UPDATE builds SET log_path = $1 WHERE job_name = $2", path, name)
    file = settings.data_dir / path
    file.parent.mkdir(parents=True)
    file.write_bytes(text)
    return file


async def test_builds_come_in_pages_that_lose_and_repeat_nothing(
    client: httpx.AsyncClient, rows: Rows
) -> None:
    seen: list[str] = []
    after: dict[str, str] = {}
    while True:
        answer = (await client.get("/api/v1/builds", params={"limit": "3"} | after)).json()
        seen += [item["job"] for item in answer["items"]]
        if answer["next"] is None:
            break
        after = {"after": answer["next"]}
    assert sorted(seen) == sorted(rows.builds)


async def test_builds_are_filtered(client: httpx.AsyncClient, database: Database, rows: Rows) -> None:
    await database.execute(
        "UPDATE builds SET status = 'failed', system = 'x86_64-linux' WHERE job_name = 'job3'"
    )

    async def jobs(**filters: str) -> list[str]:
        answer = await client.get("/api/v1/builds", params=filters)
        assert answer.status_code == 200, answer.text
        return [item["job"] for item in answer.json()["items"]]

    assert await jobs(status="failed") == ["job3"]
    assert await jobs(job="job2", project="p", jobset="main") == ["job2"]
    assert await jobs(system="x86_64-linux") == ["job3"]
    assert await jobs(project="other") == []
    evaluation = await database.fetchval("SELECT id FROM evaluations")
    assert len(await jobs(evaluation=str(evaluation))) == 8


async def test_wrong_questions_are_refused(client: httpx.AsyncClient, rows: Rows) -> None:
    for query in ("status=done", "limit=0", "limit=999", "evaluation=x"):
        assert (await client.get(f"/api/v1/builds?{query}")).status_code == 400, query


def test_positions_survive_their_way_through_a_url() -> None:
    position = Position(datetime(2026, 11, 22, 12, 30, 1, 123457, tzinfo=UTC), uuid.uuid4())
    assert decode_position(encode_position(position)) == position
    for text in ("", "x", "1_x", "x_y", "9" * 40 + "_" + uuid.uuid4().hex):
        assert decode_position(text) is None


async def test_a_build_is_shown_with_its_neighbours_and_why_it_waits(
    client: httpx.AsyncClient, database: Database, rows: Rows
) -> None:
    await database.execute(
        "INSERT INTO build_dependencies (build_id, dependency_build_id) VALUES ($1, $2)",
        *(rows.builds["top"], rows.builds["job1"]),
    )
    answer = (await client.get(f"/api/v1/builds/{rows.builds['top']}")).json()
    assert (answer["build"]["project"], answer["build"]["job"]) == ("p", "top")
    assert answer["waiting"] == "It waits for 7 inputs: job0, job1, job2 and 4 more."
    assert [one["job"] for one in answer["dependencies"]] == ["job1"]
    other = (await client.get(f"/api/v1/builds/{rows.builds['job1']}")).json()
    assert [one["job"] for one in other["dependents"]] == ["top"]
    assert (other["steps"], other["products"], other["metrics"]) == ([], [], [])


async def test_a_log_is_served_whole_and_in_ranges(
    client: httpx.AsyncClient, database: Database, settings: Settings, rows: Rows
) -> None:
    text = b"".join(b"line %d\n" % number for number in range(50_000))
    file = await write_log(database, settings, "job0", text)
    url = f"/api/v1/builds/{rows.builds['job0']}/log"
    whole = await client.get(url)
    assert (whole.status_code, whole.content) == (200, text)
    assert whole.headers["content-type"] == "text/plain; charset=utf-8"
    part = await client.get(url, headers={"Range": "bytes=100000-"})
    assert (part.status_code, part.content) == (206, text[100_000:])
    assert part.headers["content-range"] == f"bytes 100000-{len(text) - 1}/{len(text)}"
    beyond = await client.get(url, headers={"Range": f"bytes={len(text)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(text)}")
    with file.open("ab") as opened:
        opened.write(b"more\n")
    more = await client.get(url, headers={"Range": f"bytes={len(text)}-"})
    assert (more.status_code, more.content) == (206, b"more\n")


async def test_an_empty_log_is_empty(
    client: httpx.AsyncClient, database: Database, settings: Settings, rows: Rows
) -> None:
    await write_log(database, settings, "job0", b"")
    answer = await client.get(f"/api/v1/builds/{rows.builds['job0']}/log")
    assert (answer.status_code, answer.content) == (200, b"")
