"""The page that lists the API, out of its own description."""

from typing import Any

from litestar import Request, Response

from fc.web.rendering import Pages
from fc.web.routing import page

_METHODS = ("get", "post", "put", "patch", "delete")


@page("/api")
async def api_page(request: Request[Any, Any, Any], pages: Pages) -> Response[str]:
    """Every operation of the API."""
    operations = [
        (method.upper(), path, operation.summary or operation.description or "")
        for path, item in sorted((request.app.openapi_schema.paths or {}).items())
        for method in _METHODS
        if (operation := getattr(item, method)) is not None
    ]
    return pages.response(request, "api.html", operations=operations)
