"""``/health``: whether this process can serve."""

import asyncio

import asyncpg
import msgspec
from litestar import Response, get
from litestar.status_codes import HTTP_503_SERVICE_UNAVAILABLE

from fc.base.database import Database
from fc.tables.schema_version import schema_version

_PATIENCE = 3.0
"""Seconds that the database has to answer."""


class Health(msgspec.Struct, frozen=True, omit_defaults=True):
    """How this process is."""

    status: str
    """``ok`` or ``unavailable``."""
    reason: str | None = None


@get("/health", tags=["service"], summary="Whether the service can serve", raises=[])
async def health(database: Database) -> Response[Health]:
    """200 when the database answers and its schema is the one this program knows; else 503 with the reason."""
    reason = await why_unavailable(database)
    headers = {"Cache-Control": "no-store"}
    if reason is None:
        return Response(Health("ok"), headers=headers)
    return Response(Health("unavailable", reason), status_code=HTTP_503_SERVICE_UNAVAILABLE, headers=headers)


async def why_unavailable(database: Database) -> str | None:
    """Why requests cannot be answered now; none when they can."""
    try:
        async with asyncio.timeout(_PATIENCE), database.transaction() as connection:
            version = await schema_version(connection)
    except TimeoutError:
        return f"the database does not answer within {_PATIENCE:g} s"
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        # Nothing of the address: whoever asks need not know it.
        return f"the database does not answer: {type(error).__name__}"
    if version.unknown:
        return f"the database has the migration {version.unknown[-1]}, which this version of FC does not know"
    if version.pending:
        return f"the database lacks {len(version.pending)} migrations; run 'fcctl migrate up'"
    return None
