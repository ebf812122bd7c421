"""Numbers for Prometheus."""

import re

from litestar import Litestar
from litestar.testing import AsyncTestClient

from fc.base.database import Database
from fc.web.exposition import Family, expose
from tests.support.story_rows import Story

Client = AsyncTestClient[Litestar]


async def test_the_numbers_are_those_of_the_story(client: Client, story: Story) -> None:
    answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    for line in (
        'fc_builds{status="running"} 3',
        'fc_builds{status="pending"} 4',
        'fc_derivations{status="ready"} 2',
        'fc_evaluations{status="running"} 1',
        'fc_builder_up{builder="anvil-2"} 0',
        'fc_builder_running{builder="graviton"} 1',
        'fc_configuration_source_status{source="main",status="synced"} 1',
        'fc_configuration_source_status{source="main",status="failed"} 0',
        'fc_configuration_sync_failures{source="main"} 0',
        'fc_configuration_paused{source="main"} 0',
        'fc_configuration_project_sources{status="failed"} 0',
        'fc_configuration_resources{kind="jobset"} 2',
        'fc_configuration_revisions_last_hour{status="applied"} 0',
        "fc_notifications_unsent 1",
        "fc_streams_open 0",
    ):
        assert f"\n{line}\n" in answer.text, line
    assert float(re.findall(r"^fc_queue_head_age_seconds (\S+)$", answer.text, re.MULTILINE)[0]) > 60
    assert float(re.findall(r"^process_resident_memory_bytes (\S+)$", answer.text, re.MULTILINE)[0]) > 1e6


async def test_numbers_are_kept_for_a_moment(client: Client, story: Story, database: Database) -> None:
    before = (await client.get("/metrics")).text
    await database.execute("DELETE FROM builds")
    assert (await client.get("/metrics")).text == before


async def test_an_empty_service_has_numbers_too(client: Client) -> None:
    text = (await client.get("/metrics")).text
    assert "fc_queue_head_age_seconds 0\n" in text
    for line in text.splitlines():
        assert re.fullmatch(r'# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? [-+.e\d]+', line), (
            line
        )


def test_labels_are_quoted() -> None:
    assert expose([Family("x", "gauge", "About.", [({"a": 'q"\\\n'}, 1.5)])]) == (
        '# HELP x About.\n# TYPE x gauge\nx{a="q\\"\\\\\\n"} 1.5\n'
    )
