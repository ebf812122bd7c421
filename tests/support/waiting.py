"""Waiting for something to become true, instead of sleeping and hoping."""

import asyncio
import time
from collections.abc import Awaitable, Callable


async def eventually(condition: Callable[[], Awaitable[bool]], what: str, within: float = 60) -> None:
    """Return once ``condition`` holds; ``what`` says in the failure what never came."""
    deadline = time.monotonic() + within
    while not await condition():
        assert time.monotonic() < deadline, f"never came true: {what}"
        await asyncio.sleep(0.02)
