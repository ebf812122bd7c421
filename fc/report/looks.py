"""Which pull requests a forge is asked about next, and what is noted of its answer: rows of ``config_previews``."""

import uuid
from datetime import datetime
from typing import Literal

import msgspec

from fc.base.database import Database, affected
from fc.forge.pull_requests import PullRequestState

LOOK_SECONDS = 900.0
"""How long a lost hook goes unnoticed. A forge with a limit of 5,000 requests an hour hardly notices 200 pull requests."""

_CLAIM = """
UPDATE config_previews SET looked_at = clock_timestamp() WHERE id = (
    SELECT id FROM config_previews
    WHERE source = $1 AND status <> 'closed' AND found_closed_at IS NULL
      AND looked_at < now() - make_interval(secs => $2)
    ORDER BY looked_at, number LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING id, number, looked_at, head_hash AS head
"""
# Whatever a hook said meanwhile is newer than the answer.
_CLOSED = """
UPDATE config_previews SET found_closed_at = clock_timestamp()
WHERE id = $1 AND looked_at = $2 AND status <> 'closed'
"""
_MOVED = """
UPDATE config_previews SET requested_at = clock_timestamp()
WHERE id = $1 AND looked_at = $2 AND status <> 'closed' AND requested_at IS NULL
"""

Finding = Literal["closed", "elsewhere", "moved"]


class Look(msgspec.Struct, frozen=True):
    """The right to ask about one pull request. It is not asked about again soon, whatever becomes of this."""

    id: uuid.UUID
    number: int
    looked_at: datetime
    head: str
    """The commit it is known by."""


def find(state: PullRequestState, branch: str, head: str) -> Finding | None:
    """What no hook has said; none: all is as it is known. Pure.

    Args:
        state: how the pull request stands.
        branch: that is followed.
        head: the commit the pull request is known by.
    """
    if state.closed:
        return "closed"
    if state.base_ref and state.base_ref != branch.removeprefix("refs/heads/"):
        return "elsewhere"
    return "moved" if state.head_sha not in {None, head} else None


async def claim_look(database: Database, source: str) -> Look | None:
    """The open pull request of ``source`` that was not looked at for longest; none: all were lately."""
    row = await database.fetchrow(_CLAIM, source, LOOK_SECONDS)
    return None if row is None else msgspec.convert(dict(row), Look)


async def note(database: Database, look: Look, finding: Finding) -> bool:
    """Hand over to config what was found: it closes the preview, or plans it again; false: it is out of date."""
    statement = _MOVED if finding == "moved" else _CLOSED
    return affected(await database.execute(statement, look.id, look.looked_at)) > 0
