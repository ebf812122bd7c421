"""Asking for checks: by a push, by a person."""

import uuid

import asyncpg

from fc.base.database import Database
from fc.forge.events import Forge, Push

_HOOK = """
SELECT w.secret FROM webhook_configs w JOIN projects p ON p.id = w.project_id
WHERE p.name = $1 AND w.forge_type = $2 AND w.enabled AND p.enabled
"""

# Which branch a jobset without one follows is known by the repository alone: it is checked at every push.
_REQUEST = """
UPDATE jobsets j SET check_requested_at = now(), next_check_at = now()
FROM projects p
WHERE p.id = j.project_id AND p.name = $1 AND p.enabled AND j.enabled AND j.state <> 'disabled'
  AND (j.branch = ANY ($2::text[]) OR j.branch IS NULL AND $3)
RETURNING j.name
"""
_REQUEST_ONE = "UPDATE jobsets SET check_requested_at = now(), next_check_at = now() WHERE id = $1"
_RETRY = """
UPDATE evaluations SET status = 'pending', attempts = 0, next_attempt_at = now(), cause = 'manual', error_message = NULL,
    started_at = NULL, completed_at = NULL
WHERE status IN ('failed', 'timed_out', 'cancelled') AND id = (
    SELECT id FROM evaluations WHERE jobset_id = $1 AND pr_number IS NULL ORDER BY evaluation_time DESC, id DESC LIMIT 1
) RETURNING id
"""
_FORGET_ERRORS = "DELETE FROM evaluation_errors WHERE evaluation_id = $1"


async def find_hook(database: Database, project: str, forge: Forge) -> str | None:
    """Name of the secret that a forge's hooks of a project are signed with; none: there is no such hook."""
    secret = await database.fetchval(_HOOK, project, forge)
    name = secret.get("secret") if isinstance(secret, dict) else None
    return name if isinstance(name, str) else None


async def request_checks(connection: asyncpg.Connection, project: str, push: Push) -> list[str]:
    """Have the jobsets checked at once that follow what was pushed; their names."""
    short = push.branch if push.branch is not None else push.tag
    followed = [name for name in (push.ref, short) if name is not None]
    rows = await connection.fetch(_REQUEST, project, followed, push.branch is not None)
    return sorted(row["name"] for row in rows)


async def request_evaluation(connection: asyncpg.Connection, jobset: uuid.UUID) -> uuid.UUID | None:
    """Have a jobset checked at once, and its newest evaluation tried again if that has failed; which that is."""
    await connection.execute(_REQUEST_ONE, jobset)
    retried: uuid.UUID | None = await connection.fetchval(_RETRY, jobset)
    if retried is not None:
        await connection.execute(_FORGET_ERRORS, retried)
    return retried
