"""The lock of the build graph: one transaction at a time changes what depends on what."""

import asyncpg

GRAPH_LOCK = 0x4643_0002
"""Key of the advisory lock. Taken by evaluate when it adds derivations, and by build when some come to an end."""


_LOCK = """
SELECT pg_advisory_xact_lock($1), set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
       set_config('enable_seqscan', 'off', true)
"""


async def lock_graph(connection: asyncpg.Connection) -> None:
    """Be the one transaction that changes the graph, until it ends.

    Ends meet in the graph from all sides at once; a lock for each row would have to be taken in one order by
    everybody, and a count could still be made from a state that is about to change.

    Until the end of the transaction, joins go by index. Such a transaction finds few rows by their keys; while the
    statistics of a table are young, the planner would rather read all of it, again for each row.
    """
    await connection.execute(_LOCK, GRAPH_LOCK)
