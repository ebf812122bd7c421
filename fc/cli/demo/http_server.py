"""A small HTTP/1.1 server on 127.0.0.1 for the forge that the demo brings along."""

import asyncio
import contextlib
from collections.abc import Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Self

import msgspec

_LARGEST_BODY = 1 << 20
_LONGEST_LINE = 1 << 16


class HttpRequest(msgspec.Struct, frozen=True):
    """One request."""

    method: str
    path: str
    """As it came: percent-encoded, with its query."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class HttpAnswer(msgspec.Struct, frozen=True):
    """One answer."""

    code: int
    body: bytes = b"{}"
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()
    """More of them."""


class HttpServer:
    """Serves what ``answer`` answers, on a free port, while its ``async with`` block runs.

    It reads what well-behaved clients send (a body has a ``Content-Length``); anything else ends the connection.
    """

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """``http://127.0.0.1:port``."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def answer(self, request: HttpRequest) -> HttpAnswer:
        """What to say to ``request``."""
        return HttpAnswer(404, msgspec.json.encode({"message": f"nothing at {request.path}"}))

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._on_connection, "127.0.0.1", 0, limit=_LONGEST_LINE)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for connection in list(self._connections):
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        await self._server.wait_closed()

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            # A client that goes away or talks nonsense ends its connection, nothing else.
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
                while (request := await _read(reader)) is not None:
                    await self.respond(request, writer)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def respond(self, request: HttpRequest, writer: asyncio.StreamWriter) -> None:
        """Deal with one request."""
        await self.write(await self.answer(request), writer)

    async def write(self, answer: HttpAnswer, writer: asyncio.StreamWriter) -> None:
        """Send ``answer``."""
        lines = [f"HTTP/1.1 {answer.code} {HTTPStatus(answer.code).phrase}"]
        lines += [f"Content-Type: {answer.content_type}", f"Content-Length: {len(answer.body)}"]
        lines += [f"{name}: {value}" for name, value in answer.headers]
        writer.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + answer.body)
        await writer.drain()


async def _read(reader: asyncio.StreamReader) -> HttpRequest | None:
    """The next request of a connection; none: it has ended.

    Raises:
        ValueError: it is no HTTP, or larger than this server takes.
    """
    first = (await reader.readline()).decode("latin-1").split()
    if not first:
        return None
    method, path, _version = first
    headers = {}
    while line := (await reader.readline()).decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    length = int(headers.get("content-length", "0"))
    if not 0 <= length <= _LARGEST_BODY:
        message = f"a body of {length} bytes"
        raise ValueError(message)
    return HttpRequest(method, path, headers, await reader.readexactly(length))
