"""From flags of revisions and previews to tasks, as planner.py does it for builds and evaluations."""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import asyncpg
import msgspec
import structlog

from fc.base.database import Database
from fc.base.settings import Settings
from fc.base.source_settings import SourceSettings
from fc.report.configuration_checks import preview_check
from fc.report.configuration_plan import PreviewFacts, RevisionFacts, preview_status, revision_status
from fc.report.plan import Message
from fc.report.planner import LOCK, MAX_ATTEMPTS
from fc.report.target import Target, target_of_source

BATCH = 100
"""Flagged revisions of one transaction, and as many previews: their plans may be large."""

_REVISIONS = """
SELECT r.id, r.source, r.commit_hash AS commit, r.status, r.plan, r.errors, s.opens_at,
       NOT EXISTS (
           SELECT FROM config_revisions n
           WHERE n.source = r.source AND n.commit_hash = r.commit_hash AND (n.created_at, n.id) > (r.created_at, r.id)
       ) AS newest,
       r.report_pending_since AS since
FROM config_revisions r
LEFT JOIN config_sources s ON s.name = r.source AND s.status = 'waiting'
WHERE r.report_pending_since IS NOT NULL
ORDER BY r.report_pending_since, r.created_at, r.id LIMIT $1 FOR NO KEY UPDATE OF r SKIP LOCKED
"""
_PREVIEWS = """
SELECT p.id, p.source, p.number, p.head_hash AS commit, p.status, p.message, p.plan, p.errors, p.reruns,
       NOT EXISTS (
           SELECT FROM config_previews n
           WHERE n.source = p.source AND n.head_hash = p.head_hash AND n.status <> 'closed' AND n.number > p.number
       ) AS newest,
       p.report_pending_since AS since
FROM config_previews p
WHERE p.report_pending_since IS NOT NULL
ORDER BY p.report_pending_since, p.number LIMIT $1 FOR NO KEY UPDATE SKIP LOCKED
"""
_EARLIER = """
SELECT DISTINCT ON (t.config_source, t.subject)
       t.config_source, t.subject, t.notification_type AS kind, t.payload -> 'content' AS content,
       t.payload -> 'target' AS target, t.status
FROM notification_tasks t
WHERE t.config_source = ANY ($1) AND t.subject = ANY ($2)
ORDER BY t.config_source, t.subject, t.sequence DESC
"""
# A task that still waits is brought up to date instead; it keeps its wait, since that is the target's trouble.
_QUEUE = """
INSERT INTO notification_tasks (notification_type, config_source, subject, destination, payload, max_attempts)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (config_source, subject) WHERE status = 'pending' AND config_source IS NOT NULL
DO UPDATE SET notification_type = EXCLUDED.notification_type, payload = EXCLUDED.payload,
              destination = EXCLUDED.destination, attempts = 0, last_error = NULL
"""
_CLEAR_REVISIONS = """
UPDATE config_revisions r SET report_pending_since = NULL
FROM unnest($1::uuid[], $2::timestamptz[]) AS read (id, since)
WHERE r.id = read.id AND r.report_pending_since = read.since
"""
_CLEAR_PREVIEWS = """
UPDATE config_previews p SET report_pending_since = NULL
FROM unnest($1::uuid[], $2::timestamptz[]) AS read (id, since)
WHERE p.id = read.id AND p.report_pending_since = read.since
"""

_Facts = TypeVar("_Facts", RevisionFacts, PreviewFacts)

log = structlog.get_logger(__name__)


class _Draft(msgspec.Struct, frozen=True):
    """A message and where it goes."""

    source: str
    kind: str
    target: Target
    message: Message


def reported_sources(settings: Settings) -> dict[str, SourceSettings]:
    """The configuration repositories that are to be reported about, by name.

    Raises:
        SettingsError: one has no URL, or two have one name.
    """
    followed = settings.configuration.followed
    return {name: source for name, source in followed.items() if source.report is not None}


async def plan_configuration(database: Database, settings: Settings, batch: int = BATCH) -> int:
    """Queue what is to be said about at most ``batch`` flagged revisions and as many previews.

    One transaction: either the tasks stand and the flags are cleared, or neither. Zero: nothing is flagged, or
    another process plans just now.
    """
    async with database.transaction() as connection:
        if not await connection.fetchval("SELECT pg_try_advisory_xact_lock($1)", LOCK):
            return 0
        revisions = await connection.fetch(_REVISIONS, batch)
        previews = await connection.fetch(_PREVIEWS, batch)
        if not revisions and not previews:
            return 0
        sources = reported_sources(settings)
        await _queue(connection, [*_drafts(revisions, previews, sources, settings)])
        for statement, rows in ((_CLEAR_REVISIONS, revisions), (_CLEAR_PREVIEWS, previews)):
            await connection.execute(statement, [row["id"] for row in rows], [row["since"] for row in rows])
        return len(revisions) + len(previews)


def _drafts(
    revisions: Iterable[asyncpg.Record],
    previews: Iterable[asyncpg.Record],
    sources: Mapping[str, SourceSettings],
    settings: Settings,
) -> Iterable[_Draft]:
    for row in revisions:
        revision = _facts(row, RevisionFacts, sources)
        if revision is not None:
            message = revision_status(revision, settings.public_url)
            yield from _draft(message, sources[revision.source], revision.source, settings)
    for row in previews:
        preview = _facts(row, PreviewFacts, sources)
        if preview is not None:
            source = sources[preview.source]
            if _checks(source):
                message = preview_check(preview, settings.public_url, source.path)
            else:
                message = preview_status(preview, settings.public_url)
            yield from _draft(message, source, preview.source, settings)


def _facts(row: asyncpg.Record, kind: type[_Facts], sources: Mapping[str, SourceSettings]) -> _Facts | None:
    """What a row says; none: nobody wants to know, or it says nothing that can be read."""
    if row["source"] not in sources:
        return None
    try:
        return msgspec.convert(dict(row), kind)
    except msgspec.ValidationError as error:
        # One row that cannot be read does not keep the others from being reported.
        log.error("not reported: its row cannot be read", row=str(row["id"]), error=str(error))  # noqa: TRY400 - the row, not the code, is at fault
        return None


def _checks(source: SourceSettings) -> bool:
    report = source.report
    return report is not None and report.forge == "github" and report.app is not None


def _draft(
    message: Message | None, source: SourceSettings, name: str, settings: Settings
) -> Iterable[_Draft]:
    report = source.report
    if message is None or report is None:
        return
    kind = "github_check" if "conclusion" in message.content else f"{report.forge}_status"
    yield _Draft(name, kind, target_of_source(report, settings.forges), message)


async def _queue(connection: asyncpg.Connection, drafts: list[_Draft]) -> None:
    rows = await connection.fetch(
        _EARLIER,
        list({draft.source for draft in drafts}),
        list({draft.message.subject for draft in drafts}),
    )
    earlier = {(row["config_source"], row["subject"]): row for row in rows}
    # Of several about one subject the last one read is the newest.
    latest = {(draft.source, draft.message.subject): draft for draft in drafts}
    tasks = [
        (draft.kind, draft.source, draft.message.subject, draft.target.destination, payload, MAX_ATTEMPTS)
        for key, draft in latest.items()
        if _is_news(
            draft.kind,
            payload := {"content": draft.message.content, "target": msgspec.to_builtins(draft.target)},
            earlier.get(key),
        )
    ]
    await connection.executemany(_QUEUE, tasks)


def _is_news(kind: str, payload: Mapping[str, Any], last: asyncpg.Record | None) -> bool:
    """Whether it was not said before in these words at this place, or could not be delivered."""
    if last is None or last["status"] == "failed":
        return True
    there = [last["target"].get(name) for name in ("url", "repository")]
    here = [payload["target"].get(name) for name in ("url", "repository")]
    return (last["kind"], last["content"], there) != (kind, payload["content"], here)
