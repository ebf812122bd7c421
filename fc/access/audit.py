"""The audit trail: who did what through the API or the command line."""

from typing import Any

import asyncpg

from fc.base.database import Database


async def record_event(
    target: Database | asyncpg.Connection,
    *,
    actor: str,
    action: str,
    kind: str,
    key: str,
    details: dict[str, Any] | None = None,
) -> None:
    """Write one event. Given a connection inside a transaction, it stands or falls with the act itself.

    Args:
        target: the pool, or a connection.
        actor: ``api_key:<name>`` or ``cli:<user>``.
        action: the right that was used, such as ``eval-jobset``.
        kind: kind of the thing acted on, such as ``jobset``.
        key: its key, such as ``hello/main``.
        details: what else is worth knowing; never a secret.
    """
    await target.execute(
        "INSERT INTO audit_events (actor, action, kind, key, details) VALUES ($1, $2, $3, $4, $5)",
        actor,
        action,
        kind,
        key,
        details or {},
    )
