"""``/metrics``: numbers for Prometheus, from indexes and estimates, never from whole tables."""

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from litestar import Response, get

from fc import __version__
from fc.base.database import Database
from fc.tables.builder_queries import list_builders
from fc.tables.configuration_queries import config_sources
from fc.tables.drift_queries import drift_counts
from fc.tables.overview_queries import current_load
from fc.web.streams import Streams

_KEPT = 5.0
"""Seconds that numbers are served again, however many scrape."""
_STARTED = time.time()
_PAGE_SIZE = 4096

_ESTIMATES = """
SELECT relname, GREATEST(reltuples, 0)::bigint AS rows FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relname IN ('builds', 'derivations', 'evaluations', 'build_steps')
"""
_FINISHED = """
SELECT status, count(*) AS builds FROM builds WHERE completed_at > now() - interval '1 hour' GROUP BY status
"""
_WAITING = """
SELECT EXTRACT(EPOCH FROM now() - created_at)::float8 FROM builds WHERE status = 'pending'
ORDER BY priority DESC, created_at LIMIT 1
"""
_NOTIFICATIONS = """
SELECT count(*) FROM (
    SELECT FROM notification_tasks WHERE status IN ('pending', 'running') LIMIT 10000
) unsent
"""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric with its samples: labels and a value each."""

    name: str
    kind: str
    """``gauge`` or ``counter``."""
    about: str
    samples: list[tuple[dict[str, str], float]] = field(default_factory=list)

    def add(self, value: float, **labels: str) -> None:
        """One more sample."""
        self.samples.append((labels, value))


class Metrics:
    """The numbers of this service, kept for a few seconds."""

    def __init__(self, database: Database, streams: Streams) -> None:
        self._database = database
        self._streams = streams
        self._text = ""
        self._until = 0.0

    async def text(self) -> str:
        """The exposition format, version 0.0.4."""
        now = time.monotonic()
        if now >= self._until:
            self._text = expose(
                [
                    *await self._work(),
                    *await self._builders(),
                    *await self._configuration(),
                    *await self._tables(),
                    *self._process(),
                ]
            )
            self._until = now + _KEPT
        return self._text

    async def _work(self) -> list[Family]:
        load = await current_load(self._database)
        finished = await self._database.fetch(_FINISHED)
        waiting = await self._database.fetchval(_WAITING)
        return [
            Family(
                "fc_builds",
                "gauge",
                "Unfinished builds by status, counted up to 10000.",
                [({"status": "pending"}, load.builds_pending), ({"status": "running"}, load.builds_running)],
            ),
            Family(
                "fc_derivations",
                "gauge",
                "Unfinished derivations by status, counted up to 10000.",
                [
                    ({"status": "ready"}, load.derivations_ready),
                    ({"status": "running"}, load.derivations_running),
                ],
            ),
            Family(
                "fc_evaluations",
                "gauge",
                "Unfinished evaluations by status, counted up to 10000.",
                [
                    ({"status": "pending"}, load.evaluations_pending),
                    ({"status": "running"}, load.evaluations_running),
                ],
            ),
            Family(
                "fc_queue_head_age_seconds",
                "gauge",
                "Age of the build at the head of the queue.",
                [({}, waiting or 0)],
            ),
            Family(
                "fc_builds_finished_last_hour",
                "gauge",
                "Builds that ended within the last hour by status.",
                [({"status": row["status"]}, row["builds"]) for row in finished],
            ),
        ]

    async def _builders(self) -> list[Family]:
        builders = await list_builders(self._database)
        slots, running, up = (
            Family("fc_builder_slots", "gauge", "Builds a remote builder takes at once."),
            Family("fc_builder_running", "gauge", "Derivations a remote builder builds now."),
            Family("fc_builder_up", "gauge", "Whether a remote builder is in service."),
        )
        for one in builders:
            slots.add(one.max_jobs, builder=one.name)
            running.add(one.running, builder=one.name)
            up.add(one.health not in {"disabled", "backing_off"}, builder=one.name)
        return [slots, running, up]

    async def _configuration(self) -> list[Family]:
        synced, failures, moment = (
            Family("fc_configuration_synced", "gauge", "Whether the last synchronisation went well."),
            Family("fc_configuration_failures", "gauge", "Failed synchronisations in a row."),
            Family(
                "fc_configuration_synced_timestamp_seconds",
                "gauge",
                "When the database was last known to be as the repository says.",
            ),
        )
        for source in await config_sources(self._database):
            synced.add(source.status == "synced", source=source.name)
            failures.add(source.failures, source=source.name)
            if source.last_synced_at is not None:
                moment.add(source.last_synced_at.timestamp(), source=source.name)
        drifted = Family("fc_configuration_drifted", "gauge", "Resources whose rows are not as git says.")
        for kind, count in (await drift_counts(self._database)).items():
            drifted.add(count, kind=kind)
        return [synced, failures, moment, drifted]

    async def _tables(self) -> list[Family]:
        unsent = Family(
            "fc_notifications_unsent", "gauge", "Deliveries that wait or run, counted up to 10000."
        )
        unsent.add(await self._database.fetchval(_NOTIFICATIONS))
        rows = Family("fc_rows_estimate", "gauge", "Rows of large tables as PostgreSQL estimates them.")
        for row in await self._database.fetch(_ESTIMATES):
            rows.add(row["rows"], table=row["relname"])
        return [unsent, rows]

    def _process(self) -> list[Family]:
        return [
            Family(
                "fc_streams_open", "gauge", "Open event streams of this process.", [({}, self._streams.open)]
            ),
            Family("fc_info", "gauge", "The version of FC.", [({"version": __version__}, 1)]),
            Family("process_start_time_seconds", "gauge", "When this process started.", [({}, _STARTED)]),
            Family(
                "process_resident_memory_bytes",
                "gauge",
                "Resident memory of this process.",
                [({}, _resident())],
            ),
        ]


def expose(families: Iterable[Family]) -> str:
    """Metrics in the text format that Prometheus reads."""
    lines = []
    for family in families:
        lines += [f"# HELP {family.name} {family.about}", f"# TYPE {family.name} {family.kind}"]
        for labels, value in family.samples:
            named = ",".join(f'{name}="{_quoted(text)}"' for name, text in labels.items())
            lines.append(
                f"{family.name}{{{named}}} {_number(value)}" if named else f"{family.name} {_number(value)}"
            )
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")


def _number(value: Any) -> str:
    return f"{float(value):.15g}"


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * _PAGE_SIZE


@get(
    "/metrics",
    media_type="text/plain; version=0.0.4; charset=utf-8",
    tags=["service"],
    summary="Numbers for Prometheus",
)
async def metrics(numbers: Metrics) -> Response[str]:
    """How much there is to do, how builders and configuration are, in Prometheus' text format."""
    return Response(
        await numbers.text(),
        media_type="text/plain; version=0.0.4; charset=utf-8",
        headers={"Cache-Control": "no-store"},
    )
