"""Database connections that count what they are asked, or that fail at a certain statement."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from typing_extensions import override

from fc.base import database as base
from fc.base.database import Database


class Injected(Exception):  # noqa: N818 - what a test injects, not an error of FC's
    """The failure a test asked for."""


class Tally:
    """What the connections of one pool were asked, and where they are to fail."""

    def __init__(self) -> None:
        self.statements: list[str] = []
        self.rows = 0
        """Rows that were returned."""
        self.fail_at: int | None = None
        """Number of the statement, from 0, that fails; none: none does."""
        self.die = False
        """Fail by losing the connection, as when the server or the process is killed; else by an error."""

    def reset(self) -> None:
        """Count from nothing again."""
        self.statements = []
        self.rows = 0


@asynccontextmanager
async def counted_database(url: str, tally: Tally, size: int = 2) -> AsyncIterator[Database]:
    """A pool whose every statement goes through ``tally``."""

    class Connection(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
        def _note(self, sql: str) -> None:
            number = len(tally.statements)
            tally.statements.append(" ".join(sql.split()))
            if number == tally.fail_at:
                if tally.die:
                    self.terminate()
                    return
                raise Injected(sql)

        @override
        async def fetch(self, query: str, *args: Any, **options: Any) -> list[asyncpg.Record]:
            self._note(query)
            rows: list[asyncpg.Record] = await super().fetch(query, *args, **options)
            tally.rows += len(rows)
            return rows

        @override
        async def fetchrow(self, query: str, *args: Any, **options: Any) -> asyncpg.Record | None:
            self._note(query)
            row = await super().fetchrow(query, *args, **options)
            tally.rows += row is not None
            return row

        @override
        async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
            self._note(query)
            tally.rows += 1
            return await super().fetchval(query, *args, **options)

        @override
        async def execute(self, query: str, *args: Any, **options: Any) -> str:
            self._note(query)
            tag: str = await super().execute(query, *args, **options)
            return tag

    pool = await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=size,
        init=base._prepare,
        connection_class=Connection,
        server_settings=base.OWN_SESSION,
    )
    try:
        yield Database(pool, url)
    finally:
        pool.terminate()
