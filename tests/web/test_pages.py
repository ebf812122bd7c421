"""Every page answers, from a full database and from an empty one."""

from litestar import Litestar
from litestar.testing import AsyncTestClient

from tests.support.story_rows import Story

Client = AsyncTestClient[Litestar]


async def test_every_page_of_the_story_answers(client: Client, story: Story) -> None:
    newest = story.evaluations["nimbus/main"][-1]
    running = story.build("nimbus/main", "gateway.x86_64-linux")
    for path in (
        "/",
        "/projects/nimbus",
        "/projects/nimbus/jobsets/main",
        "/projects/nimbus/jobsets/main?show=failing&job=sh",
        f"/evaluations/{newest}",
        *(f"/builds/{build}" for build in story.builds.values()),
        f"/builds/{running}/log",
        f"/builds/{running}/steps/1/log?line=200",
        "/builders",
        "/configuration",
        *(f"/configuration/revisions/{revision}" for revision in story.revisions),
        "/notifications",
        "/notifications?status=failed",
        "/api",
        "/api/v1/openapi.json",
        "/health",
        "/metrics",
        "/projects/nimbus/jobsets/main/badge.svg",
    ):
        answer = await client.get(path)
        assert answer.status_code == 200, (path, answer.text)
