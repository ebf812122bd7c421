"""What pages, API and commands ask about pauses of configuration."""

import uuid
from datetime import datetime

import msgspec

from fc.base.database import Database


class ConfigPause(msgspec.Struct, frozen=True):
    """A pause that lasts: its source is not synchronised."""

    source: str
    reason: str
    paused_by: str
    paused_until: datetime | None
    """None: until somebody resumes."""
    pinned_revision_id: uuid.UUID | None
    """The earlier revision that was put back and stays in force; none: only paused."""
    created_at: datetime


async def config_pauses(database: Database) -> list[ConfigPause]:
    """The pauses that last now, by source."""
    rows = await database.fetch(
        """SELECT source, reason, paused_by, paused_until, pinned_revision_id, created_at FROM config_pauses
        WHERE ended_at IS NULL AND (paused_until IS NULL OR paused_until > now()) ORDER BY source"""
    )
    return msgspec.convert([dict(row) for row in rows], list[ConfigPause])
