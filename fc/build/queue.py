"""What the scheduler reads: builders with their slots, ready derivations worth a look, usage of the jobsets."""

import uuid
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from fc.base.database import Database
from fc.build.schedule import Candidate, Demand, Shape, Slots, startable
from fc.tables.builder_queries import BuilderRow

_SHAPES = """
SELECT DISTINCT system, required_features, required_features::text AS features, prefer_local FROM derivations
WHERE status = 'ready' AND next_attempt_at <= now()
"""

# As many of each kind and jobset as there are slots: no plan can need more, and none is kept out by others
# that cannot begin. A kind is all that decides where a derivation may be built.
_CANDIDATES = """
WITH shapes AS (
    SELECT * FROM unnest($1::text[], $2::text[], $3::boolean[]) AS s (system, features, prefer_local)
), ranked AS (
    SELECT d.id, row_number() OVER (
        PARTITION BY d.system, d.required_features, d.prefer_local, CASE WHEN d.attempts > 0 THEN d.builder_name END,
                     m.jobset_id
        ORDER BY m.global_priority DESC, d.path_length DESC, m.local_priority DESC, m.wanted_since, d.id
    ) AS place
    FROM derivations d
    JOIN shapes s ON s.system = d.system AND s.features = d.required_features::text AND s.prefer_local = d.prefer_local
    JOIN derivation_demands m ON m.derivation_id = d.id
    WHERE d.status = 'ready' AND d.next_attempt_at <= now() AND d.id <> ALL ($5::uuid[])
)
SELECT d.id, d.drv_path, d.system, d.required_features, d.prefer_local, d.path_length,
       CASE WHEN d.attempts > 0 THEN d.builder_name END AS avoid,
       m.jobset_id, m.global_priority, m.local_priority, m.wanted_since, j.scheduling_shares AS shares
FROM derivations d
JOIN derivation_demands m ON m.derivation_id = d.id
JOIN jobsets j ON j.id = m.jobset_id
WHERE d.id IN (SELECT id FROM ranked WHERE place <= $4)
ORDER BY d.id
"""

_USAGE = """
SELECT t.jobset_id, sum(t.seconds)::float8 AS seconds FROM (
    SELECT DISTINCT e.jobset_id, s.derivation_id, s.started_at,
           EXTRACT(EPOCH FROM COALESCE(s.completed_at, now()) - s.started_at) AS seconds
    FROM build_steps s JOIN builds b ON b.id = s.build_id JOIN evaluations e ON e.id = b.evaluation_id
    WHERE s.started_at > now() - interval '24 hours'
) t GROUP BY t.jobset_id
"""


def slots_of(row: BuilderRow, starting: int = 0) -> Slots:
    """A remote builder as the scheduler sees it.

    Args:
        row: the builder.
        starting: builds that are about to be claimed for it.
    """
    return Slots(
        name=row.name,
        id=row.id,
        systems=frozenset(row.systems),
        supported_features=frozenset(row.supported_features),
        mandatory_features=frozenset(row.mandatory_features),
        max_jobs=row.max_jobs,
        running=row.running + starting,
        speed_factor=row.speed_factor,
        enabled=row.enabled,
        disabled_until=row.disabled_until,
        failures=row.consecutive_failures,
        last_error=row.last_error,
    )


async def read_candidates(
    database: Database, builders: Sequence[Slots], begun: Collection[uuid.UUID], now: datetime
) -> list[Candidate]:
    """The ready derivations among which the next ones to build are.

    Args:
        database: where the queue is.
        builders: all of them.
        begun: derivations that this process is about to claim.
        now: the time.
    """
    free = sum(builder.free(now) for builder in builders)
    if free == 0:
        return []
    rows = await database.fetch(_SHAPES)
    beginning = set(startable({_shape(row) for row in rows}, builders, now))
    worth = [row for row in rows if _shape(row) in beginning]
    if not worth:
        return []
    found = await database.fetch(
        _CANDIDATES,
        [row["system"] for row in worth],
        [row["features"] for row in worth],
        [row["prefer_local"] for row in worth],
        free,
        list(begun),
    )
    candidates: dict[uuid.UUID, Candidate] = {}
    for row in found:
        demand = Demand(
            jobset_id=row["jobset_id"],
            shares=row["shares"],
            global_priority=row["global_priority"],
            local_priority=row["local_priority"],
            wanted_since=row["wanted_since"],
        )
        known = candidates.get(row["id"])
        if known is not None:
            candidates[row["id"]] = msgspec.structs.replace(known, demands=(*known.demands, demand))
            continue
        candidates[row["id"]] = Candidate(
            derivation_id=row["id"],
            drv_path=row["drv_path"],
            shape=_shape(row),
            path_length=row["path_length"],
            demands=(demand,),
            avoid=row["avoid"],
        )
    return list(candidates.values())


async def read_usage(database: Database) -> dict[uuid.UUID, float]:
    """Build seconds of the last 24 hours by jobset, running builds included."""
    return {row["jobset_id"]: row["seconds"] for row in await database.fetch(_USAGE)}


def _shape(row: Mapping[str, Any]) -> Shape:
    return Shape(row["system"], frozenset(row["required_features"]), row["prefer_local"])
