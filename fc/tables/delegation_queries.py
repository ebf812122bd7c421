"""What pages ask about delegation: how far the own file of a project may go."""

import uuid
from typing import Any

from fc.base.database import Database

_DELEGATE = "SELECT delegate FROM projects WHERE id = $1"


async def delegated_limits(database: Database, project: uuid.UUID) -> dict[str, Any]:
    """How far the own file of a project may go, by limit."""
    found = await database.fetchval(_DELEGATE, project)
    limits = found.get("limits") if isinstance(found, dict) else None
    return limits if isinstance(limits, dict) else {}
