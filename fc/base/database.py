"""The connection pool every process holds: plain SQL through asyncpg, JSON as Python values."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

from fc.base.errors import DatabaseUnavailableError

OWN_SESSION = {"application_name": "fc"}
"""Server settings of every connection of FC: by them triggers tell its writes from those made by hand."""

_OLDEST = (14,)
_CLOSE_SECONDS = 10.0


class Database:
    """A pool of connections to one PostgreSQL. Passed in, never global."""

    def __init__(self, pool: asyncpg.Pool, url: str) -> None:
        self._pool = pool
        self.url = url

    @classmethod
    async def connect(cls, url: str, size: int = 8) -> "Database":
        """Open a pool of at most ``size`` connections.

        Raises:
            DatabaseUnavailableError: nothing answers at ``url``, it refuses us, or it is older than 14.
        """
        try:
            pool = await asyncpg.create_pool(
                url,
                min_size=1,
                max_size=size,
                init=_prepare,
                command_timeout=300,
                timeout=10,
                server_settings=OWN_SESSION,
            )
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            raise unavailable(url, error) from None
        async with pool.acquire() as connection:
            version = connection.get_server_version()
        if version < _OLDEST:
            await pool.close()
            message = (
                f"PostgreSQL at {redact_url(url)} is version {version.major}; FC needs {_OLDEST[0]} or newer"
            )
            raise DatabaseUnavailableError(message)
        return cls(pool, url)

    async def close(self) -> None:
        """Close the pool; connections in use are given up after ten seconds."""
        try:
            await asyncio.wait_for(self._pool.close(), timeout=_CLOSE_SECONDS)
        except TimeoutError:
            self._pool.terminate()

    async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """Every row."""
        rows: list[asyncpg.Record] = await self._pool.fetch(sql, *args)
        return rows

    async def fetchrow(self, sql: str, *args: Any) -> asyncpg.Record | None:
        """The first row, or none."""
        return await self._pool.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """The first column of the first row, or none."""
        return await self._pool.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        """Run a statement; the command tag, such as ``UPDATE 1``."""
        tag: str = await self._pool.execute(sql, *args)
        return tag

    async def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement once for each row of arguments, in one transaction."""
        await self._pool.executemany(sql, rows)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[asyncpg.Connection]:
        """A connection inside a transaction: committed at the end of the block, rolled back by an error."""
        async with self._pool.acquire() as connection, connection.transaction():
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[asyncpg.Connection]:
        """As ``transaction``, but all its statements see the database as it was at the first of them."""
        async with self._pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
            yield connection


def unavailable(url: str, error: BaseException) -> DatabaseUnavailableError:
    """What to raise when no connection to ``url`` could be made; without the password."""
    if isinstance(error, asyncpg.InterfaceError) or not isinstance(error, ValueError):
        reason = str(error) or type(error).__name__
    else:
        # A parser's own words quote what it could not read, which may be a piece of the password.
        reason = (
            "it is not written as postgresql://user:password@host:port/database, special characters as %40"
        )
    return DatabaseUnavailableError(
        f"PostgreSQL at {redact_url(url)} cannot be used: {reason}; check database.url"
    )


def redact_url(url: str) -> str:
    """``url`` without its password, wherever that stands in it; for messages."""
    scheme, separator, rest = url.partition("://")
    if not separator or "@" in rest.partition("?")[2]:
        # It may be anything, a password alone among them.
        return "(no valid URL)"
    address, question, query = rest.partition("?")
    credentials, at, place = address.rpartition("@")
    kept = [part for part in query.split("&") if part and "password" not in part.partition("=")[0].lower()]
    return f"{scheme}://{credentials.partition(':')[0]}{at}{place}" + (
        question + "&".join(kept) if kept else ""
    )


def affected(tag: str) -> int:
    """How many rows a command tag such as ``UPDATE 3`` speaks of."""
    return int(tag.rsplit(" ", 1)[-1])


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


async def _prepare(connection: asyncpg.Connection) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(
            kind, encoder=_encode, decoder=msgspec.json.decode, schema="pg_catalog"
        )
