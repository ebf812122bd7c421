"""The lock of the build graph: one transaction at a time changes what depends on what."""

import asyncpg

GRAPH_LOCK = 0x4643_0002
"""Key of the advisory lock. Taken by evaluate when it adds derivations, and by build when some come to an end."""


async def lock_graph(connection: asyncpg.Connection) -> None:
    """Be the one transaction that changes the graph, until it ends.

    Ends meet in the graph from all sides at once; a lock for each row would have to be taken in one order by
    everybody, and a count could still be made from a state that is about to change.
    """
    await connection.execute("SELECT pg_advisory_xact_lock($1)", GRAPH_LOCK)
