"""Asking for checks: by a push, by a person."""

import uuid
from collections.abc import Iterable

import asyncpg
import msgspec

from fc.base.database import Database
from fc.forge.events import Forge, Push

_HOOK = """
SELECT w.secret FROM projects p LEFT JOIN webhook_configs w
    ON w.project_id = p.id AND w.forge_type = $2 AND w.enabled AND p.enabled
WHERE p.name = $1
"""

# Which branch a jobset without one follows is known by the repository alone: it is checked at every push.
_FOLLOWERS = """
SELECT j.id, j.name FROM jobsets j JOIN projects p ON p.id = j.project_id
WHERE p.name = $1 AND p.enabled AND j.enabled AND j.state <> 'disabled'
  AND (j.branch = ANY ($2::text[]) OR j.branch IS NULL AND $3)
ORDER BY j.name
"""
_REQUEST = "UPDATE jobsets SET check_requested_at = now(), next_check_at = now() WHERE id = ANY ($1)"
# Config looks at the repository itself; what the push says is not believed.
_OWN_FILE = """
SELECT s.id FROM config_sources s JOIN projects p ON p.id = s.project_id
WHERE p.name = $1 AND p.enabled AND s.branch IN ('HEAD', $2)
"""
_REQUEST_FILE = "UPDATE config_sources SET sync_requested_at = clock_timestamp() WHERE id = $1"
_RETRY = """
UPDATE evaluations SET status = 'pending', attempts = 0, next_attempt_at = now(), cause = 'manual', error_message = NULL,
    started_at = NULL, completed_at = NULL
WHERE status IN ('failed', 'timed_out', 'cancelled') AND id = (
    SELECT id FROM evaluations WHERE jobset_id = $1 AND pr_number IS NULL ORDER BY evaluation_time DESC, id DESC LIMIT 1
) RETURNING id
"""
_FORGET_ERRORS = "DELETE FROM evaluation_errors WHERE evaluation_id = $1"


class Hook(msgspec.Struct, frozen=True):
    """What is known of a forge's hook of a project."""

    project_exists: bool
    secret: dict[str, str] | None
    """Reference to the secret it is signed with; none: there is no such hook."""


async def find_hook(database: Database, project: str, forge: Forge) -> Hook:
    """The hook of a forge that a project has."""
    row = await database.fetchrow(_HOOK, project, forge)
    secret = None if row is None else row["secret"]
    return Hook(row is not None, secret if isinstance(secret, dict) else None)


async def followers(connection: asyncpg.Connection, project: str, push: Push) -> dict[uuid.UUID, str]:
    """Names of the jobsets that follow what was pushed, by id."""
    short = push.branch if push.branch is not None else push.tag
    followed = [name for name in (push.ref, short) if name is not None]
    rows = await connection.fetch(_FOLLOWERS, project, followed, push.branch is not None)
    return {row["id"]: row["name"] for row in rows}


async def request_checks(connection: asyncpg.Connection, jobsets: Iterable[uuid.UUID]) -> None:
    """Have jobsets checked at once."""
    await connection.execute(_REQUEST, list(jobsets))


async def own_file(connection: asyncpg.Connection, project: str, push: Push) -> uuid.UUID | None:
    """The source that is the project's own file; none: it has none, or another branch was pushed than it stands on."""
    found: uuid.UUID | None = await connection.fetchval(_OWN_FILE, project, push.branch)
    return found if push.branch is not None else None


async def request_file(connection: asyncpg.Connection, source: uuid.UUID) -> None:
    """Have a project's own file looked at, at once."""
    await connection.execute(_REQUEST_FILE, source)


async def request_evaluation(connection: asyncpg.Connection, jobset: uuid.UUID) -> uuid.UUID | None:
    """Have a jobset checked at once, and its newest evaluation tried again if that has failed; which that is."""
    await request_checks(connection, [jobset])
    retried: uuid.UUID | None = await connection.fetchval(_RETRY, jobset)
    if retried is not None:
        await connection.execute(_FORGET_ERRORS, retried)
    return retried
