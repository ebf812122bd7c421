"""Running the loops of reporting in tests, and waiting for what they bring about."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from fc.base.looping import Services, run_loop
from fc.base.notify import Listener
from fc.report.loop import Planning, Sending, make_loops
from tests.report.rows import COMMIT, TOKEN, Rows
from tests.support.forge import FaultyForge, WebhookReceiver

SECRET = "forge-t0ken"


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    end = time.monotonic() + 60
    while not await condition():
        assert time.monotonic() < end, f"never came true: {what}"
        await asyncio.sleep(0.01)


async def turns(loop: Planning | Sending) -> None:
    """Turns until there is nothing to do and nothing under way, as the process would make them."""
    while True:
        loop.wake.clear()
        if await loop.turn():
            continue
        if not isinstance(loop, Sending) or not loop._under_way:
            return
        await loop.wake.wait()


async def turn_until_idle(loop: Sending) -> None:
    await asyncio.wait_for(turns(loop), 60)


def statuses(tasks: list[dict[str, Any]]) -> list[str]:
    return [task["status"] for task in tasks]


async def queue_status(
    rows: Rows, forge_url: str, number: int = 1, config: uuid.UUID | None = None
) -> uuid.UUID:
    """A task as the planner makes it, for a forge at ``forge_url``."""
    if config is None:
        if not await rows.database.fetchval("SELECT count(*) FROM projects"):
            await rows.jobset()
        config = await rows.notification("github_status", {}, name=f"n{uuid.uuid4()}")
    context = f"fc/hello/main/job-{number}"
    content = {
        "state": "success",
        "context": context,
        "description": "Built",
        "target_url": "https://x",
        "sha": COMMIT,
    }
    return await rows.task(
        config,
        f"{COMMIT} {context}",
        destination=forge_url.removeprefix("http://"),
        payload={
            "content": content,
            "target": {"url": forge_url, "repository": "tools/hello", "token": TOKEN},
        },
        max_attempts=12,
    )


async def shows(forge: FaultyForge, context: str, state: str) -> bool:
    status = forge.latest("tools/hello", COMMIT, context)
    return status is not None and status.state == state


async def arrived(receiver: WebhookReceiver, count: int) -> bool:
    return len(receiver.requests) >= count


async def at_least(forge: FaultyForge, count: int) -> bool:
    return len(forge.requests) >= count


@asynccontextmanager
async def running(services: Services) -> AsyncIterator[None]:
    """Both loops, as the process runs them."""
    listener = Listener(services.database.url)
    await listener.start()
    stop = asyncio.Event()
    loops = [asyncio.create_task(run_loop(loop, listener, stop)) for loop in make_loops(services)]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*loops)
        await listener.close()
