"""The log of incoming webhooks, which also tells a delivery that comes again."""

from typing import Literal

import asyncpg

from fc.base.database import Database
from fc.forge.events import Forge

_LONGEST_DETAIL = 500
_LONGEST_EVENT = 100

_INSERT = """
INSERT INTO webhook_deliveries (forge_type, target, delivery_id, event, status, detail)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (forge_type, target, delivery_id) WHERE status <> 'refused' DO NOTHING
RETURNING id
"""


async def log_delivery(
    connection: Database | asyncpg.Connection,
    forge: Forge,
    target: str,
    delivery: str,
    event: str,
    status: Literal["accepted", "ignored", "refused"],
    detail: str | None = None,
) -> bool:
    """Log a webhook; false: it was accepted or ignored before, and nothing is to be done for it again.

    Called in the transaction that acts on the webhook, so that neither happens without the other.

    Args:
        connection: of that transaction.
        forge: whose webhook it is.
        target: what it is for: ``configuration``, or the name of a project after ``project/``.
        delivery: its id, see ``fc.forge.webhooks.delivery_id``.
        event: what the forge calls it.
        status: what became of it. One that was refused may come again.
        detail: why, for people; never a secret.
    """
    shown = None if detail is None else detail[:_LONGEST_DETAIL]
    row = await connection.fetchrow(_INSERT, forge, target, delivery, event[:_LONGEST_EVENT], status, shown)
    return row is not None
