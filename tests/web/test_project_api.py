"""What programs are told of projects."""

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from tests.support.story_rows import Story

Client = AsyncTestClient[Litestar]


async def test_the_overview_is_told_as_data(client: Client, story: Story) -> None:
    answer = (await client.get("/api/v1/overview")).json()
    assert answer["load"]["builds_running"] == 3
    assert {build["job"] for build in answer["queue"]} >= {"image.x86_64-linux"}
    states = {(jobset["project"], jobset["name"]): jobset for jobset in answer["jobsets"]}
    assert states["nimbus", "main"]["latest"]["builds"] == {
        "total": 14,
        "pending": 4,
        "running": 3,
        "succeeded": 6,
        "failed": 1,
    }
    assert states["site", "legacy"]["latest"] is None


async def test_a_project_is_told_with_all_that_belongs_to_it(client: Client, story: Story) -> None:
    names = [project["name"] for project in (await client.get("/api/v1/projects")).json()["items"]]
    assert names == ["kestrel", "nimbus", "site"]
    answer = await client.get("/api/v1/projects/nimbus")
    project = answer.json()
    assert [jobset["name"] for jobset in project["jobsets"]] == ["main", "release-2.4"]
    assert project["channels"][0]["name"] == "stable"
    assert project["declared_in"] == {"source": "main", "file": "projects/nimbus.yaml", "line": 3}
    assert "secret" not in answer.text


async def test_a_jobset_is_told_with_its_inputs(client: Client, story: Story) -> None:
    jobset = (await client.get("/api/v1/projects/nimbus/jobsets/main")).json()
    assert [one["name"] for one in jobset["inputs"]] == ["nixpkgs"]
    assert jobset["latest"]["id"] == str(story.evaluations["nimbus/main"][-1])


async def test_changes_are_told_as_data(client: Client, story: Story) -> None:
    several = story.evaluations["nimbus/main"]
    newest = (await client.get(f"/api/v1/evaluations/{several[-1]}/changes")).json()
    assert newest["previous"] == str(several[-2])
    assert [job["job"] for job in newest["broken"]] == ["shards.x86_64-linux"]
    first = (await client.get(f"/api/v1/evaluations/{story.evaluations['site/main'][0]}/changes")).json()
    assert first == {"previous": None, "broken": [], "fixed": [], "added": [], "removed": []}


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/projects/none",
        "/api/v1/projects/nimbus/jobsets/none",
        "/api/v1/evaluations/00000000-0000-0000-0000-000000000001/changes",
    ],
)
async def test_what_is_not_there_is_not_found(client: Client, story: Story, path: str) -> None:
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
