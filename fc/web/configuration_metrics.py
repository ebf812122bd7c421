"""Numbers of configuration: each source of the settings by name, those of projects only by status."""

from fc.base.database import Database
from fc.tables.config_source_queries import (
    SourceHealth,
    owned_counts,
    project_source_statuses,
    recent_revisions,
    source_health,
)
from fc.tables.drift_queries import drift_counts
from fc.web.exposition import Family

_STATUSES = ("pending", "synced", "failed", "held", "waiting")
_REVISION_STATUSES = ("applied", "failed", "held", "waiting")


async def configuration_families(database: Database) -> list[Family]:
    """What Prometheus is told of configuration. Its cost does not grow with the history."""
    projects = await project_source_statuses(database)
    recent = await recent_revisions(database)
    owned = await owned_counts(database)
    drifted = await drift_counts(database)
    return [
        *_sources(await source_health(database)),
        Family(
            "fc_configuration_project_sources",
            "gauge",
            "Projects with a file of their own, by its status; retired: not followed any more.",
            [({"status": status}, projects.get(status, 0)) for status in (*_STATUSES, "retired")],
        ),
        Family(
            "fc_configuration_resources",
            "gauge",
            "Resources that git owns by kind, each counted up to 10000.",
            [({"kind": kind}, count) for kind, count in owned.items()],
        ),
        Family(
            "fc_configuration_drifted",
            "gauge",
            "Resources whose rows are not as git says.",
            [({"kind": kind}, count) for kind, count in drifted.items()],
        ),
        Family(
            "fc_configuration_revisions_last_hour",
            "gauge",
            "Revisions that were tried within the last hour by result.",
            [({"status": status}, recent.get(status, 0)) for status in _REVISION_STATUSES],
        ),
    ]


def _sources(sources: list[SourceHealth]) -> list[Family]:
    status, applied, synced, failures, errors, held, paused = (
        Family("fc_configuration_source_status", "gauge", "1 for the status a source has, 0 for the others."),
        Family(
            "fc_configuration_last_applied_timestamp_seconds",
            "gauge",
            "When a revision of a source was last applied.",
        ),
        Family(
            "fc_configuration_last_synced_timestamp_seconds",
            "gauge",
            "When the database was last known to be as the source says.",
        ),
        Family("fc_configuration_sync_failures", "gauge", "Failed synchronisations in a row."),
        Family("fc_configuration_errors", "gauge", "Problems in the files of the newest commit."),
        Family("fc_configuration_held", "gauge", "Whether a plan waits to be confirmed."),
        Family("fc_configuration_paused", "gauge", "Whether the source is paused or pinned by a rollback."),
    )
    for source in sources:
        for one in _STATUSES:
            status.add(source.status == one, source=source.name, status=one)
        if source.applied_at is not None:
            applied.add(source.applied_at.timestamp(), source=source.name)
        if source.last_synced_at is not None:
            synced.add(source.last_synced_at.timestamp(), source=source.name)
        failures.add(source.failures, source=source.name)
        errors.add(source.errors, source=source.name)
        held.add(source.status == "held", source=source.name)
        paused.add(source.paused, source=source.name)
    return [status, applied, synced, failures, errors, held, paused]
