"""What pages ask about delegation: what a project delegates, and how all projects' own files stand."""

import uuid
from typing import Any

from fc.base.database import Database

_DELEGATE = "SELECT delegate FROM projects WHERE id = $1"
_STATUSES = """
SELECT status, count(*) AS files FROM config_sources WHERE project_id IS NOT NULL GROUP BY status ORDER BY status
"""


async def delegated_limits(database: Database, project: uuid.UUID) -> dict[str, Any]:
    """How far the own file of a project may go, by limit."""
    found = await database.fetchval(_DELEGATE, project)
    limits = found.get("limits") if isinstance(found, dict) else None
    return limits if isinstance(limits, dict) else {}


async def project_file_statuses(database: Database) -> dict[str, int]:
    """How many projects' own files have each status."""
    return {row["status"]: row["files"] for row in await database.fetch(_STATUSES)}
