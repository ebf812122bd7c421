"""Leases: kept up while somebody works, so that only the dead lose theirs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import asyncpg
import structlog

log = structlog.get_logger(__name__)


@asynccontextmanager
async def kept(renew: Callable[[], Awaitable[bool]], seconds: float) -> AsyncIterator[None]:
    """Renew a lease while the block runs.

    Args:
        renew: lengthens it; false: it is lost, and is renewed no more.
        seconds: how long it lasts without being renewed.
    """
    task = asyncio.create_task(_renew(renew, seconds), name="lease")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _renew(renew: Callable[[], Awaitable[bool]], seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds / 3)
        try:
            if not await renew():
                return
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            # The database may be back before the lease ends.
            log.warning("a lease could not be renewed", error=str(error))
