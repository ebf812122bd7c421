"""What the API tells of notifications."""

from collections.abc import AsyncIterator

import httpx
import pytest
from litestar import Litestar
from litestar.di import Provide

from fc.base.database import Database
from fc.base.settings import Settings
from fc.report.api import ROUTES
from fc.report.planner import plan_batch
from tests.report.rows import COMMIT, TOKEN, Rows

PATH = "/api/v1/notifications"


@pytest.fixture
async def client(database: Database) -> AsyncIterator[httpx.AsyncClient]:
    app = Litestar(ROUTES, dependencies={"database": Provide(lambda: database, sync_to_thread=False)})
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # the two describe ASGI in different types
    async with httpx.AsyncClient(transport=transport, base_url="http://fc.example.org") as opened:
        yield opened


async def test_messages_are_listed_newest_first_with_what_they_say(
    client: httpx.AsyncClient, rows: Rows, settings: Settings
) -> None:
    jobset = await rows.jobset()
    await rows.notification("github_status", {"repository": "tools/hello", "token": TOKEN})
    await rows.notification(
        "webhook", {"url": "https://chat.example.org/hook/s3cret-path", "secret": {"secret": "hook"}}
    )
    evaluation = await rows.evaluation(jobset)
    await rows.builds(evaluation, 1, "failed")
    await plan_batch(rows.database, settings)
    await rows.database.execute(
        "UPDATE notification_tasks SET status = 'failed', last_error = 'HTTP 404' WHERE build_id IS NULL"
    )
    answer = await client.get(PATH)
    assert answer.status_code == 200
    page = answer.json()
    found = {(item["kind"], item["job"]): item for item in page["items"]}
    assert set(found) == {
        ("github_status", None),
        ("github_status", "job-1"),
        ("webhook", None),
        ("webhook", "job-1"),
    }
    status = found["github_status", "job-1"]
    assert (status["project"], status["jobset"], status["commit"]) == ("hello", "main", COMMIT)
    assert (status["context"], status["state"], status["status"]) == (
        "fc/hello/main/job-1",
        "failure",
        "pending",
    )
    assert (status["destination"], status["notification"]) == ("api.github.com:443", "github_status")
    assert found["webhook", None]["last_error"] == "HTTP 404"
    assert page["next"] is None
    sequences = [item["sequence"] for item in page["items"]]
    assert sequences == sorted(sequences, reverse=True)
    for hidden in ("s3cret-path", "forge-token", '"hook"'):
        assert hidden not in answer.text


async def test_pages_follow_one_another(client: httpx.AsyncClient, rows: Rows) -> None:
    for _ in range(5):
        await rows.task()
    first = (await client.get(PATH, params={"limit": 3})).json()
    second = (await client.get(PATH, params={"limit": 3, "before": first["next"]})).json()
    assert [len(first["items"]), len(second["items"]), second["next"]] == [3, 2, None]
    assert len({item["id"] for item in first["items"] + second["items"]}) == 5


async def test_messages_are_found_by_project_and_state(client: httpx.AsyncClient, rows: Rows) -> None:
    for project in ("hello", "other"):
        evaluation = await rows.evaluation(await rows.jobset(project))
        await rows.task(evaluation_id=evaluation, status="failed")
        await rows.task(evaluation_id=evaluation)
    found = (await client.get(PATH, params={"project": "other", "status": "failed"})).json()["items"]
    assert [(item["project"], item["status"]) for item in found] == [("other", "failed")]


@pytest.mark.parametrize(
    "query",
    [{"limit": 0}, {"limit": 201}, {"limit": "x"}, {"before": 0}, {"before": 2**63}, {"status": "lost"}],
)
async def test_a_question_that_makes_no_sense_is_refused(
    client: httpx.AsyncClient, query: dict[str, str | int]
) -> None:
    assert (await client.get(PATH, params=query)).status_code == 400


async def test_an_empty_queue_is_an_empty_list(client: httpx.AsyncClient) -> None:
    assert (await client.get(PATH)).json() == {"items": [], "next": None}
