"""Who owns a row: git, at a file and a line, or nobody."""

import uuid
from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

import asyncpg

from fc.base.database import Database
from fc.base.errors import ConflictError
from fc.config.compile import ResourceId

_OWNER = """
SELECT source, kind, key, file, line, revision_id, updated_at FROM config_resources WHERE kind = $1 AND key = $2
"""
_INSIDE = """
SELECT c.source, c.kind, c.key, c.file, c.line, c.revision_id, c.updated_at FROM config_resources c
JOIN unnest($1::text[], $2::text[]) AS around(kind, key) ON CASE around.kind
    WHEN 'project' THEN c.kind = ANY('{jobset,input,channel,webhook,notification,member}')
        AND split_part(c.key, '/', 1) = around.key
    WHEN 'jobset' THEN c.kind = 'input' AND starts_with(c.key, around.key || '/')
        OR c.kind = 'channel' AND split_part(c.key, '/', 1) || '/' || (c.content ->> 'jobset') = around.key
    WHEN 'user' THEN c.kind = 'member' AND split_part(c.key, '/', 2) = around.key
        OR c.kind = 'api_key' AND c.content ->> 'user' = around.key
    END
ORDER BY c.kind, c.key
"""


class Owner(NamedTuple):
    """The declaration in git that owns a row."""

    source: str
    kind: str
    key: str
    file: str
    line: int
    revision_id: uuid.UUID | None
    """The revision that changed it last; none: it is forgotten."""
    updated_at: datetime

    @property
    def id(self) -> ResourceId:
        """Kind and key."""
        return (self.kind, self.key)

    @property
    def place(self) -> str:
        """Where it is declared."""
        return f"{self.source} {self.file}:{self.line}"


class OwnedError(ConflictError):
    """Git owns the row, so it is changed there."""

    code = "owned_by_git"

    def __init__(self, owner: Owner) -> None:
        self.owner = owner
        super().__init__(f"git owns it: {owner.place}; change it there")


async def owner_of(connection: asyncpg.Connection | Database, kind: str, key: str) -> Owner | None:
    """The declaration that owns a row; none: it was made by hand, or is not there."""
    row = await connection.fetchrow(_OWNER, kind, key)
    return None if row is None else Owner(**row)


async def owned_inside(connection: asyncpg.Connection, around: Collection[ResourceId]) -> list[Owner]:
    """Everything git owns that stands in one of ``around``, or refers to it: what goes, or is less, without it."""
    rows = await connection.fetch(_INSIDE, [kind for kind, _ in around], [key for _, key in around])
    return [Owner(**row) for row in rows]


async def refuse_owned(connection: asyncpg.Connection | Database, kind: str, key: str) -> None:
    """Nothing but git changes what git owns.

    Args:
        connection: in a transaction that holds ``lock_owners``, it stays true until its end; otherwise it is a first look.
        kind: of the row that is to be changed.
        key: likewise.

    Raises:
        OwnedError: git owns it; names source, file and line.
    """
    owner = await owner_of(connection, kind, key)
    if owner is not None:
        raise OwnedError(owner)
