"""A client of configuration's routes alone, with keys of two roles."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide

from fc.access.keys import hash_key
from fc.base.database import Database
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.config.api import ROUTES
from fc.web.failures import HANDLERS


def _giving(value: object) -> Callable[[], Any]:
    return lambda: value


@asynccontextmanager
async def config_client(
    database: Database, settings: Settings, directory: Path
) -> AsyncIterator[httpx.AsyncClient]:
    """Asks with the key of an admin; the key ``restart-jobs`` is that of somebody else. Secrets are in ``directory``."""
    for role in ("admin", "restart-jobs"):
        await database.execute(
            "INSERT INTO api_keys (name, key_hash, role) VALUES ($1, $2, $1)", role, hash_key(role)
        )
    held = {"database": database, "settings": settings, "secrets": Secrets(directory)}
    app = Litestar(
        ROUTES,
        dependencies={name: Provide(_giving(value), sync_to_thread=False) for name, value in held.items()},
        exception_handlers=HANDLERS,
        state=State({"database": database}),
    )
    transport = httpx.ASGITransport(app)  # type: ignore[arg-type]  # the two describe ASGI in different types
    async with httpx.AsyncClient(
        transport=transport, base_url="http://fc.example.org", headers={"Authorization": "Bearer admin"}
    ) as client:
        yield client
