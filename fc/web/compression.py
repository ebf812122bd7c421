"""Compresses whole responses of text. Streams pass as they are: an event must not wait in a compressor."""

import gzip
from typing import Any

from litestar.datastructures import MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

_SMALLEST = 1024
_LEVEL = 5
_TYPES = ("text/html", "text/plain", "application/json", "application/vnd.oai.openapi+json", "image/svg+xml")


def compress(app: ASGIApp) -> ASGIApp:
    """Middleware: gzip for clients that take it."""

    async def compressing(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or not _accepts(scope):
            await app(scope, receive, send)
            return
        held: list[Any] = []

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start" and _is_text(
                MutableScopeHeaders.from_message(message)
            ):
                held.append(message)
                return
            if message["type"] == "http.response.body" and held:
                start = held.pop()
                headers = MutableScopeHeaders.from_message(start)
                body = message.get("body", b"")
                if not message.get("more_body", False) and len(body) >= _SMALLEST:
                    body = gzip.compress(body, _LEVEL, mtime=0)
                    headers["content-encoding"] = "gzip"
                    headers["content-length"] = str(len(body))
                    headers.extend_header_value("vary", "Accept-Encoding")
                    message = {"type": "http.response.body", "body": body, "more_body": False}
                await send(start)
            await send(message)

        await app(scope, receive, sending)

    return compressing


def _accepts(scope: Scope) -> bool:
    return any(name == b"accept-encoding" and b"gzip" in value for name, value in scope["headers"])


def _is_text(headers: MutableScopeHeaders) -> bool:
    return headers.get("content-encoding") is None and headers.get("content-type", "").startswith(_TYPES)
