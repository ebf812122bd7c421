"""What every page's route has in common."""

import uuid
from collections.abc import Callable
from typing import Any

from litestar import HttpMethod, Request, route
from litestar.handlers import HTTPRouteHandler

from fc.web.rendering import Live
from fc.web.topics import Topics


def page(path: str) -> Callable[[Callable[..., Any]], HTTPRouteHandler]:
    """A route that is read by people: GET and HEAD, and no part of the API's description."""
    return route(path, http_method=[HttpMethod.GET, HttpMethod.HEAD], include_in_schema=False)


async def live(topics: Topics, kind: str, key: uuid.UUID | None = None, *, unfinished: bool = False) -> Live:
    """How a page about ``kind`` (and ``key``) keeps itself current; call it before the page's data is read."""
    topic = kind if key is None else f"{kind}:{key}"
    return Live(topic=topic, version=await topics.version(topic) or "", unfinished=unfinished)


def cursor(text: str | None) -> uuid.UUID | None:
    """The id in a page's query, where the next page begins; none when there is none, or it is no id."""
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        return None


def rest_of_path(request: Request[Any, Any, Any], prefix: str) -> str:
    """What follows ``prefix`` in the address, just as it was asked for: names may hold slashes, even two in a row."""
    path: str = request.scope["path"]
    return path.removeprefix(prefix)
