"""Rows of ``config_sources`` that are a project's own file: which there are, and which is synchronised next."""

import uuid

import msgspec

from fc.base.database import Database
from fc.config.delegate_fields import Delegate
from fc.config.inventory import PROJECT_SOURCE
from fc.config.sources import LEASE_SECONDS, Claim

POLL_SECONDS = 300
"""How long a lost hook goes unnoticed."""

# Hooks first. Whatever changes what a claim was made for takes the claim away, so it holds as it is returned.
_CLAIM = """
UPDATE config_sources s SET claim_token = $1, lease_until = now() + make_interval(secs => $2)
FROM projects p, (
    SELECT s.id FROM config_sources s JOIN projects p ON p.id = s.project_id
    WHERE p.enabled AND p.delegate IS NOT NULL AND (s.next_sync_at <= now() OR s.sync_requested_at IS NOT NULL)
      AND (s.claim_token IS NULL OR s.lease_until < now())
      AND ($3 OR s.failures = 0 AND s.last_synced_at IS NOT NULL)
      AND NOT EXISTS (
        SELECT 1 FROM config_pauses h WHERE h.source = s.name AND h.ended_at IS NULL
          AND (h.paused_until IS NULL OR h.paused_until > now())
      )
    ORDER BY s.sync_requested_at NULLS LAST, s.next_sync_at LIMIT 1 FOR UPDATE OF s SKIP LOCKED
) c
WHERE s.id = c.id AND p.id = s.project_id
RETURNING s.name, s.failures, s.last_synced_at, s.sync_requested_at, s.status, s.last_seen_commit, s.synced_commit, s.branch,
    p.name AS project, p.repository_url, p.delegate
"""
_PLACE = "SELECT source, file, line FROM config_resources WHERE kind = 'project' AND key = $1"
_BRANCH = "UPDATE config_sources SET branch = $3 WHERE name = $1 AND claim_token = $2"
_POSTPONE = """
UPDATE config_sources SET status = 'failed', error_message = $2, failures = failures + 1, sync_requested_at = NULL,
    next_sync_at = now() + make_interval(secs => $3)
WHERE name = $1 AND claim_token IS NULL
"""


class DueFile(msgspec.Struct, frozen=True):
    """A project's own file that this process synchronises now."""

    claim: Claim
    project: str
    repository_url: str
    delegate: Delegate
    branch: str
    """The default branch as it was last seen; ``HEAD``: not known yet."""
    last_commit: str | None
    proven: bool
    """Its repository could be read the last time."""
    settled: bool
    """The last commit is in force, and nobody asked for another look."""


async def claim_next(database: Database, *, unproven: bool) -> DueFile | None:
    """Claim the file that is due for longest, requested ones first; none: none is due.

    Args:
        database: where.
        unproven: also one whose repository could not be read the last time, or never was; such ones may hang.
    """
    token = uuid.uuid4()
    row = await database.fetchrow(_CLAIM, token, LEASE_SECONDS, unproven)
    if row is None:
        return None
    requested = row["sync_requested_at"]
    return DueFile(
        Claim(row["name"], token, row["failures"], requested, row["synced_commit"]),
        row["project"],
        row["repository_url"],
        _delegate(row["delegate"]),
        row["branch"],
        row["last_seen_commit"],
        row["failures"] == 0 and row["last_synced_at"] is not None,
        row["status"] == "synced" and requested is None,
    )


def _delegate(stored: object) -> Delegate:
    """What a row says; one that was changed by hand to something else delegates nothing."""
    try:
        return msgspec.convert(stored, Delegate)
    except msgspec.ValidationError:
        return Delegate()


async def place_of(database: Database, project: str) -> str:
    """Where it stands what a project delegates, for people."""
    row = await database.fetchrow(_PLACE, project)
    where = "" if row is None else f", {row['source']}: {row['file']}:{row['line']}"
    return f"project {project!r}{where}"


async def note_branch(database: Database, due: DueFile, branch: str) -> None:
    """Remember the name of the default branch."""
    await database.execute(_BRANCH, due.claim.source, due.claim.token, branch)


async def postpone(database: Database, due: DueFile, message: str) -> None:
    """It went wrong in a way nobody foresaw: try again, but later."""
    await database.execute(_POSTPONE, due.claim.source, message.replace("\0", ""), POLL_SECONDS)


def is_project_file(source: str) -> bool:
    """Whether the source of that name is a project's own file."""
    return source.startswith(PROJECT_SOURCE)


def project_of(source: str) -> str:
    """Whose file a source is."""
    return source.removeprefix(PROJECT_SOURCE)
