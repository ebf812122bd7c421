"""Server-sent events: topics that changed, logs that grow. One message in memory for each reader, however slow."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import structlog
from litestar.response import Stream

from fc.base.errors import FcError
from fc.web.topics import Topics

log = structlog.get_logger(__name__)

HEARTBEAT = 15.0
"""Seconds of silence after which a comment is sent: proxies close silent connections, and a dead one shows."""
_MOST_STREAMS = 1000
_RETRY_MILLISECONDS = 2000


class TooManyStreamsError(FcError):
    """This process holds as many open streams as it may."""

    status = 503
    code = "too_many_streams"


class Streams:
    """Every open stream of this process: counted, bounded, ended together."""

    def __init__(self, most: int = _MOST_STREAMS, heartbeat: float = HEARTBEAT) -> None:
        self.open = 0
        self.heartbeat = heartbeat
        self._most = most
        self.stopping = asyncio.Event()

    def stop(self) -> None:
        """End every stream: the process stops. Browsers come back to the next one by themselves."""
        self.stopping.set()

    def response(self, messages: AsyncIterator[bytes]) -> Stream:
        """A response that sends ``messages`` while they come.

        Raises:
            TooManyStreamsError: there are too many already.
        """
        if self.open >= self._most:
            error = f"there are {self.open} open streams; the page works without, loaded again"
            raise TooManyStreamsError(error)
        return Stream(
            self._counted(messages),
            media_type="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )

    async def _counted(self, messages: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        self.open += 1
        try:
            yield f"retry: {_RETRY_MILLISECONDS}\n\n".encode()
            async for message in messages:
                yield message
        except Exception as error:
            # The response has begun, so nothing can be answered any more; the browser comes back by itself.
            log.exception("a stream broke", error=str(error))
        finally:
            self.open -= 1

    async def wait(self, event: asyncio.Event, seconds: float) -> bool:
        """Wait for ``event``; false when the time is over or the process stops first."""
        waits = {asyncio.ensure_future(event.wait()), asyncio.ensure_future(self.stopping.wait())}
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        return event.is_set()

    async def topic(self, topics: Topics, topic: str, seen: str) -> AsyncIterator[bytes]:
        """A ``change`` each time ``topic`` has another version than the one seen last."""
        async with contextlib.AsyncExitStack() as stack:
            subscription = await stack.enter_async_context(topics.subscribe(topic, seen))
            current = await topics.version(topic)
            if current is not None and current != seen:
                subscription.version = current
                subscription.changed.set()
            while not self.stopping.is_set():
                if await self.wait(subscription.changed, self.heartbeat):
                    subscription.changed.clear()
                    yield message("change", subscription.version, identifier=subscription.version)
                elif not self.stopping.is_set():
                    yield COMMENT


COMMENT = b": \n\n"


def message(event: str, data: Any, *, identifier: str | None = None) -> bytes:
    """One event; ``data`` is sent as JSON, so it has no line ends (HTML standard, section 9.2)."""
    head = f"id: {identifier}\n" if identifier is not None else ""
    return f"{head}event: {event}\ndata: ".encode() + msgspec.json.encode(data) + b"\n\n"
