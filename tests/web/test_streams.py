"""Event streams as a browser reads them: changes, logs that grow, ends, and readers that go."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from litestar import Litestar

from fc.base.database import Database
from fc.web.streams import Streams
from tests.support.story_rows import Story
from tests.support.waiting import eventually


@dataclass
class Event:
    kind: str
    data: Any
    identifier: str | None


async def events(response: httpx.Response) -> AsyncIterator[Event]:
    """The events of a stream, as the HTML standard says they are to be read."""
    kind, data, identifier = "message", "", None
    async for line in response.aiter_lines():
        name, _, value = line.partition(": ")
        if name == "event":
            kind = value
        elif name == "data":
            data = value
        elif name == "id":
            identifier = value
        elif line.startswith(":"):
            yield Event("comment", None, None)
        elif not line and data:
            yield Event(kind, json.loads(data), identifier)
            kind, data = "message", ""


async def following(stream: AsyncIterator[Event], kind: str) -> Event:
    """The next event of a kind."""
    async with asyncio.timeout(60):
        async for event in stream:
            if event.kind == kind:
                return event
    pytest.fail(f"the stream ended without {kind}")


@pytest.fixture
async def http(server: str) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=server, timeout=60, trust_env=False) as client:
        yield client


async def test_a_change_of_what_a_page_shows_is_told(http: httpx.AsyncClient, story: Story) -> None:
    build = story.build("nimbus/main", "gateway.x86_64-linux")
    async with http.stream("GET", f"/events?topic=build:{build}") as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        stream = events(response)
        first = await following(stream, "change")
        await story.finish(build, "succeeded")
        second = await following(stream, "change")
    assert first.data != second.data
    assert second.identifier == second.data


async def test_who_has_seen_the_current_version_is_not_told_again(
    http: httpx.AsyncClient, app: Litestar, story: Story
) -> None:
    build = story.build("nimbus/main", "gateway.x86_64-linux")
    version = await app.state["topics"].version(f"build:{build}")
    async with http.stream(
        "GET", f"/events?topic=build:{build}&seen=other", headers={"Last-Event-ID": version}
    ) as response:
        stream = events(response)
        await story.finish(build, "failed")
        event = await following(stream, "change")
    assert event.data != version


async def test_a_page_that_loads_while_something_changes_misses_nothing(
    http: httpx.AsyncClient, story: Story
) -> None:
    build = story.build("nimbus/main", "gateway.x86_64-linux")
    page = (await http.get(f"/builds/{build}")).text
    version = page.partition('data-version="')[2].partition('"')[0]
    await story.finish(build, "succeeded")
    async with http.stream("GET", f"/events?topic=build:{build}&seen={version}") as response:
        assert (await following(events(response), "change")).data != version


@pytest.mark.parametrize(
    "topic", ["", "nothing", "overview:x", "build", "build:1", "build:" + "0" * 36, "a b"]
)
async def test_there_are_no_other_topics(http: httpx.AsyncClient, topic: str) -> None:
    answer = await http.get("/events", params={"topic": topic})
    assert answer.status_code == 404
    assert answer.json()["code"] == "not_found"


async def test_a_reader_that_goes_leaves_nothing_behind(http: httpx.AsyncClient, app: Litestar) -> None:
    async with http.stream("GET", "/events?topic=overview") as response:
        stream = events(response)
        await following(stream, "change")
        assert app.state["topics"].watched == {"overview": 1}
        assert app.state["streams"].open == 1

    async def gone() -> bool:
        return not app.state["topics"].watched and not app.state["streams"].open

    await eventually(gone, "the stream is forgotten")


async def test_the_log_of_a_running_build_is_followed_to_its_end(
    http: httpx.AsyncClient, story: Story
) -> None:
    build = story.build("nimbus/main", "gateway.x86_64-linux")
    page = (await http.get(f"/builds/{build}")).text
    cursor = page.partition('data-cursor="')[2].partition('"')[0]
    last = int(page.rpartition('id="L')[2].partition('"')[0])
    async with http.stream("GET", f"/builds/{build}/log/live?from={cursor}") as response:
        stream = events(response)
        story.grow_log(build, "\x1b[32mfresh <b>\x1b[0m\nhalf of")
        assert (await following(stream, "lines")).data == [
            [last + 1, '<span class="a-f2">fresh &lt;b&gt;</span>']
        ]
        story.grow_log(build, " a line\n")
        assert (await following(stream, "lines")).data == [[last + 2, "half of a line"]]
        story.grow_log(build, "no end")
        await story.finish(build, "failed")
        assert (await following(stream, "lines")).data == [[last + 3, "no end"]]
        await following(stream, "end")
        assert [event async for event in stream] == []


async def test_a_log_is_resumed_where_it_was_lost(http: httpx.AsyncClient, story: Story) -> None:
    build = story.build("nimbus/main", "nimbus.x86_64-linux")
    async with http.stream("GET", f"/builds/{build}/log/live") as response:
        first = await following(events(response), "lines")
    story.grow_log(build, "after the break\n")
    async with http.stream(
        "GET", f"/builds/{build}/log/live?from=0", headers={"Last-Event-ID": first.identifier or ""}
    ) as response:
        second = await following(events(response), "lines")
    assert second.data == [[first.data[-1][0] + 1, "after the break"]]


async def test_the_log_of_a_build_that_waits_begins_when_the_build_does(
    http: httpx.AsyncClient, story: Story, database: Database
) -> None:
    build = story.build("nimbus/main", "nimbus.aarch64-linux")
    async with http.stream("GET", f"/builds/{build}/log/live?from=") as response:
        stream = events(response)
        path = story.data_dir / "logs" / "new.drv.log"
        await database.execute(
            "UPDATE builds SET status = 'running', started_at = now(), log_path = 'logs/new.drv.log' WHERE id = $1",
            build,
        )
        path.write_text("hello\n")
        assert (await following(stream, "lines")).data == [[1, "hello"]]


async def test_a_log_that_moves_to_another_file_begins_anew(
    http: httpx.AsyncClient, story: Story, database: Database
) -> None:
    build = story.build("nimbus/main", "nimbus.x86_64-linux")
    async with http.stream("GET", f"/builds/{build}/log/live") as response:
        stream = events(response)
        await following(stream, "lines")
        (story.data_dir / "logs" / "second.log").write_text("again\n")
        await database.execute("UPDATE builds SET log_path = 'logs/second.log' WHERE id = $1", build)
        await following(stream, "reset")
        assert (await following(stream, "lines")).data == [[1, "again"]]


async def test_the_log_of_a_finished_build_comes_whole_and_ends(
    http: httpx.AsyncClient, story: Story
) -> None:
    build = story.build("nimbus/main", "shards.x86_64-linux")
    async with http.stream("GET", f"/builds/{build}/log/live") as response:
        kinds = [event.kind async for event in events(response)]
    assert kinds == ["lines", "end"]


async def test_the_log_of_a_step_is_followed_too(http: httpx.AsyncClient, story: Story) -> None:
    build = story.build("nimbus/main", "shards.x86_64-linux")
    async with http.stream("GET", f"/builds/{build}/steps/1/log/live") as response:
        assert [event.kind async for event in events(response)] == ["lines", "end"]
    assert (await http.get(f"/builds/{build}/steps/9/log/live")).status_code == 404


async def test_the_log_of_a_build_that_is_removed_ends(
    http: httpx.AsyncClient, story: Story, database: Database
) -> None:
    build = story.build("nimbus/main", "nimbus.x86_64-linux")
    async with http.stream("GET", f"/builds/{build}/log/live") as response:
        stream = events(response)
        await following(stream, "lines")
        await database.execute("DELETE FROM builds WHERE id = $1", build)
        await following(stream, "end")


async def test_silence_is_broken_by_comments(http: httpx.AsyncClient, app: Litestar, story: Story) -> None:
    app.state["streams"].heartbeat = 0.05
    build = story.build("nimbus/main", "nimbus.x86_64-linux")
    for path in ("/events?topic=builders", f"/builds/{build}/log/live"):
        async with http.stream("GET", path) as response:
            await following(events(response), "comment")


async def test_streams_end_when_the_process_stops(
    http: httpx.AsyncClient, app: Litestar, story: Story
) -> None:
    build = story.build("nimbus/main", "nimbus.x86_64-linux")
    for path, kind in (("/events?topic=overview", "change"), (f"/builds/{build}/log/live", "lines")):
        app.state["streams"].stopping.clear()
        async with http.stream("GET", path) as response:
            stream = events(response)
            await following(stream, kind)
            app.state["streams"].stop()
            assert [event async for event in stream] == []


async def test_there_is_a_limit_to_open_streams(http: httpx.AsyncClient, app: Litestar) -> None:
    app.state["streams"]._most = 1
    async with http.stream("GET", "/events?topic=overview") as response:
        stream = events(response)
        await following(stream, "change")
        answer = await http.get("/events?topic=overview")
    assert answer.status_code == 503
    assert answer.json()["code"] == "too_many_streams"


async def test_waiting_ends_with_the_event_or_the_process() -> None:
    streams = Streams()
    event = asyncio.Event()
    assert not await streams.wait(event, 0)
    event.set()
    assert await streams.wait(event, 60)
    event.clear()
    streams.stop()
    assert not await streams.wait(event, 60)
