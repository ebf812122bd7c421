"""Routes of one slice behind the real web server, inside the test's own event loop."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from granian.constants import Interfaces
from granian.server.embed import Server
from litestar import Litestar
from litestar.di import Provide

from tests.support.waiting import eventually


def _given(value: Any) -> Provide:
    return Provide(lambda: value, sync_to_thread=False)


@asynccontextmanager
async def serving(routes: Sequence[Any], **dependencies: Any) -> AsyncIterator[str]:
    """The address, without a slash at its end, at which ``routes`` answer while the block runs."""
    app = Litestar(
        route_handlers=list(routes),
        dependencies={name: _given(value) for name, value in dependencies.items()},
    )
    async with serving_app(app) as url:
        yield url


@asynccontextmanager
async def serving_app(app: Litestar) -> AsyncIterator[str]:
    """As ``serving``, of a whole application."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Server(
        app, address="127.0.0.1", port=port, interface=Interfaces.ASGI, websockets=False, log_enabled=False
    )
    running = asyncio.create_task(server.serve())

    async def answers() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    await eventually(answers, f"the server answers on port {port}")
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()  # type: ignore[no-untyped-call]  # granian leaves it untyped
        await running
