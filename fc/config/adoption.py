"""Taking over rows that were made by hand: only when somebody said so, and shown in the plan as what it is."""

from collections.abc import Iterable, Mapping
from itertools import groupby

import asyncpg

from fc.base.errors import ConflictError, NotFoundError
from fc.config.compile import Resource, ResourceId
from fc.config.language import Fields
from fc.config.previews import state_moved
from fc.config.rows import RULES

_CONSENT = """
INSERT INTO config_adoptions (kind, key, actor) VALUES ($1, $2, $3)
ON CONFLICT (kind, key) DO UPDATE SET actor = EXCLUDED.actor, created_at = now()
"""
_CONSENTS = """
SELECT a.kind, a.key FROM config_adoptions a
WHERE NOT EXISTS (SELECT FROM config_resources c WHERE c.kind = a.kind AND c.key = a.key)
ORDER BY a.kind, a.key
"""
_OWNER = "SELECT file, line FROM config_resources WHERE kind = $1 AND key = $2"
_DONE = """
DELETE FROM config_adoptions a USING unnest($1::text[], $2::text[]) AS done(kind, key)
WHERE a.kind = done.kind AND a.key = done.key
"""


async def allow_adoption(connection: asyncpg.Connection, kind: str, key: str, actor: str) -> None:
    """Let git take over one row as soon as it declares it.

    Args:
        connection: in a transaction.
        kind: such as ``jobset``.
        key: such as ``hello/main``.
        actor: who says so, as in the audit trail.

    Raises:
        NotFoundError: there is no such row.
        ConflictError: git owns it already.
    """
    owner = await connection.fetchrow(_OWNER, kind, key)
    if owner is not None:
        message = f"git owns {_called(kind)} {key!r} already: {owner['file']}:{owner['line']}"
        raise ConflictError(message)
    rule = RULES[kind]
    found = key.count("/") >= len(rule.key) - 1 and await connection.fetch(
        rule.current(), [rule.row(key, None, None)]
    )
    if not found:
        raise NotFoundError(_called(kind), key)
    await connection.execute(_CONSENT, kind, key, actor)
    await state_moved(connection)


async def adoptable(
    connection: asyncpg.Connection, resources: Mapping[ResourceId, Resource]
) -> dict[ResourceId, Fields]:
    """What git declares and may take over, with what it says now."""
    wanted = [
        (row["kind"], row["key"])
        for row in await connection.fetch(_CONSENTS)
        if (row["kind"], row["key"]) in resources
    ]
    found: dict[ResourceId, Fields] = {}
    for kind, ids in groupby(wanted, key=lambda one: one[0]):
        rule = RULES[kind]
        rows = [rule.row(key, resources[kind, key].fields, None) for _, key in ids]
        for row in await connection.fetch(rule.current(), rows):
            found[kind, row["key"]] = rule.declared(row["fields"])
    return found


async def forget_adoptions(connection: asyncpg.Connection, adopted: Iterable[ResourceId]) -> None:
    """What was taken over needs no consent any more."""
    done = list(adopted)
    if done:
        await connection.execute(_DONE, [kind for kind, _ in done], [key for _, key in done])


def _called(kind: str) -> str:
    return kind.replace("_", " ")
