"""``/events``: tells a page that what it shows has changed."""

from typing import Any

from litestar import Request
from litestar.response import Stream

from fc.base.errors import NotFoundError
from fc.web.routing import page
from fc.web.streams import Streams
from fc.web.topics import Topics


@page("/events")
async def events(request: Request[Any, Any, Any], topics: Topics, streams: Streams) -> Stream:
    """A stream of the versions of one topic, beginning after the one that was seen."""
    topic = request.query_params.get("topic", "")
    if await topics.version(topic) is None:
        kind = "topic"
        raise NotFoundError(kind, topic)
    seen: str = request.headers.get("last-event-id") or request.query_params.get("seen") or ""
    return streams.response(streams.topic(topics, topic, seen))
