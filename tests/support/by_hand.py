"""A person with psql: a session that is not FC's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg


@asynccontextmanager
async def psql(url: str, program: str = "psql") -> AsyncIterator[asyncpg.Connection]:
    """A connection that calls itself ``program``."""
    connection = await asyncpg.connect(url, server_settings={"application_name": program})
    try:
        yield connection
    finally:
        await connection.close()


async def by_hand(url: str, *statements: str, program: str = "psql") -> None:
    """Run statements as a person would."""
    async with psql(url, program) as connection:
        for statement in statements:
            await connection.execute(statement)
