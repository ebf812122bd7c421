"""Compiling one source among others: what it needs may be declared by another one."""

import asyncio
from collections.abc import Callable, Collection

from fc.base.database import Database
from fc.config.compile import Compiled, ResourceId
from fc.config.inventory import owned_by_others


async def compile_among_others(
    database: Database, source: str, compiled_with: Callable[[Collection[ResourceId]], Compiled]
) -> Compiled:
    """What ``source`` declares, where what it needs and does not declare may be owned by another source.

    The database is asked only if something is missing.

    Args:
        database: where others own what they do.
        source: its name.
        compiled_with: compiles it, given what others declare; runs in a thread.
    """
    compiled = await asyncio.to_thread(compiled_with, ())
    if not compiled.dangling:
        return compiled
    others = await owned_by_others(database, source, compiled.dangling)
    return await asyncio.to_thread(compiled_with, others)
