"""The connection pool every process holds: plain SQL through asyncpg, JSON as Python values."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec

from fc.base.errors import DatabaseUnavailableError

_OLDEST = 140000


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
            pool = await asyncpg.create_pool(url, min_size=1, max_size=size, init=_prepare, command_timeout=300, timeout=10)
            version = int(await pool.fetchval("SHOW server_version_num"))
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, ValueError) as error:
            reason = str(error) or type(error).__name__
            message = f"PostgreSQL at {redact_url(url)} cannot be used: {reason}; check database.url"
            raise DatabaseUnavailableError(message) from error
        if version < _OLDEST:
            await pool.close()
            message = f"PostgreSQL at {redact_url(url)} is version {version // 10000}; FC needs 14 or newer"
            raise DatabaseUnavailableError(message)
        return cls(pool, url)

    async def close(self) -> None:
        """Close the pool; connections in use are given up after ten seconds."""
        try:
            await asyncio.wait_for(self._pool.close(), timeout=10)
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


def redact_url(url: str) -> str:
    """``url`` without a password, for messages."""
    scheme, separator, rest = url.partition("://")
    credentials, at, place = rest.rpartition("@")
    if not separator or not at:
        return url
    return f"{scheme}://{credentials.partition(':')[0]}@{place}"


def affected(tag: str) -> int:
    """How many rows a command tag such as ``UPDATE 3`` speaks of."""
    return int(tag.rsplit(" ", 1)[-1])


def _encode(value: Any) -> str:
    return msgspec.json.encode(value).decode()


async def _prepare(connection: asyncpg.Connection) -> None:
    for kind in ("json", "jsonb"):
        await connection.set_type_codec(kind, encoder=_encode, decoder=msgspec.json.decode, schema="pg_catalog")
