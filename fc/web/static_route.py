"""``/static``: files whose names change with their content."""

from typing import Any

from litestar import Request, Response

from fc.base.errors import NotFoundError
from fc.web.routing import page
from fc.web.static_files import StaticFiles

_FOREVER = "public, max-age=31536000, immutable"


@page("/static/{name:str}")
async def static_file(request: Request[Any, Any, Any], static: StaticFiles, name: str) -> Response[bytes]:
    """One file."""
    found = static.find(name)
    if found is None:
        kind = "file"
        raise NotFoundError(kind, name)
    headers = {"Cache-Control": _FOREVER, "Vary": "Accept-Encoding"}
    if found.compressed is not None and "gzip" in request.headers.get("accept-encoding", ""):
        return Response(
            found.compressed, media_type=found.media_type, headers=headers | {"Content-Encoding": "gzip"}
        )
    return Response(found.content, media_type=found.media_type, headers=headers)


@page("/favicon.ico")
async def favicon(static: StaticFiles) -> Response[bytes]:
    """The icon, where browsers look when no page has told them."""
    found = static.find(static.url("icon.svg").rpartition("/")[2])
    assert found is not None
    return Response(
        found.content, media_type=found.media_type, headers={"Cache-Control": "public, max-age=86400"}
    )
