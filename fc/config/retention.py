"""Retention: what git removed and FC only archived is deleted with its history when its time is over."""

from typing import NamedTuple

import asyncpg

from fc.access.audit import record_event
from fc.base.database import Database
from fc.config.language import KINDS
from fc.config.rows import RULES

ACTOR = "fc:retention"
_ARCHIVED = [kind.name for kind in reversed(KINDS) if kind.archived]
"""What stands inside something before that."""
_BATCH = 20
"""How many are deleted in a turn: each may have a long history."""

_DUE = """
UPDATE config_turns SET done_at = now() WHERE name = 'retention' AND (done_at IS NULL OR done_at < now() - interval '1 day')
"""
_AGAIN = "UPDATE config_turns SET done_at = NULL WHERE name = 'retention'"
# Whoever made the row again by hand keeps it, or a jobset in it. A user for whom a key acts stays: without it the key would work again.
_OVER = """
SELECT last.key, last.created_at, last.revision_id FROM (
    SELECT DISTINCT ON (key) key, action, after, created_at, revision_id FROM config_changes
    WHERE kind = $1 AND ($3::text IS NULL OR key = $3) ORDER BY key, created_at DESC
) last
WHERE last.action = 'delete' AND last.created_at < now() - make_interval(secs => $2)
  AND NOT EXISTS (SELECT FROM config_resources c WHERE c.kind = $1 AND c.key = last.key)
  AND NOT EXISTS (SELECT FROM config_adoptions a WHERE a.kind = $1 AND a.key = last.key)
  AND NOT EXISTS (
      SELECT FROM audit_events e WHERE e.kind = $1 AND e.key = last.key AND e.action IN ('configure', 'retire')
        AND e.created_at > last.created_at
  )
  AND NOT ($1 = 'user' AND EXISTS (
      SELECT FROM api_keys k JOIN users u ON u.id = k.user_id WHERE u.username = last.key
  ))
  AND NOT ($1 = 'project' AND EXISTS (
      SELECT FROM jobsets j JOIN projects p ON p.id = j.project_id WHERE p.name = last.key AND j.enabled
  ))
ORDER BY last.created_at
"""


class Retired(NamedTuple):
    """Something that was deleted for good."""

    kind: str
    key: str


async def retire(database: Database, retention: float) -> list[Retired]:
    """Once a day, delete a batch of what git removed longer ago than ``retention`` seconds; it is due again if more is left.

    Only rows that are still disabled, that git does not own, and that nobody has made again since. With 0 everything
    stays for ever.
    """
    if retention <= 0 or await database.execute(_DUE) == "UPDATE 0":
        return []
    done: list[Retired] = []
    for kind in _ARCHIVED:
        rule = RULES[kind]
        keys = [row["key"] for row in await database.fetch(_OVER, kind, retention, None)]
        there = await database.fetch(rule.existing(), [rule.row(key, None, None) for key in keys])
        for key in sorted(row["key"] for row in there if row["archived"]):
            if len(done) == _BATCH:
                await database.execute(_AGAIN)
                return done
            async with database.transaction() as connection:
                if await _retire_one(connection, kind, key, retention):
                    done.append(Retired(kind, key))
    return done


async def _retire_one(connection: asyncpg.Connection, kind: str, key: str, retention: float) -> bool:
    """Delete one row, if all still holds once nobody else can change it: git takes it back, or we are first."""
    rule = RULES[kind]
    rows = [rule.row(key, None, None)]
    if await connection.fetchval(rule.lock_archived(), rows) is None:
        return False
    over = await connection.fetchrow(_OVER, kind, retention, key)
    if over is None:
        return False
    await connection.execute(rule.remove(archive=False), rows)
    details = {"removed_at": over["created_at"].isoformat(), "revision": str(over["revision_id"])}
    await record_event(connection, actor=ACTOR, action="retire", kind=kind, key=key, details=details)
    return True
