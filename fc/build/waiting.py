"""Why a build waits: what the tables say about it, for the decision that knows the reasons."""

import uuid
from datetime import datetime

from fc.base.database import Database
from fc.base.nix_cli import machine_system
from fc.base.settings import Settings
from fc.build.queue import slots_of
from fc.build.schedule import Shape, Slots, Waiting, why_waiting
from fc.tables.builder_queries import LOCAL, list_builders

_WAITING = """
SELECT b.queued_at IS NOT NULL AS queued, d.id, d.system, d.required_features, d.prefer_local, d.missing_inputs, d.attempts,
       d.next_attempt_at, d.error_message, now() AS now,
       (SELECT count(*) FROM derivations WHERE status = 'running' AND builder_name = 'local') AS running_here
FROM builds b JOIN derivations d ON d.id = b.derivation_id
WHERE b.id = $1 AND b.status = 'pending' AND d.status IN ('pending', 'ready')
"""

_INPUTS = """
SELECT x.name FROM derivation_inputs i JOIN derivations x ON x.id = i.input_id
WHERE i.derivation_id = $1 AND x.status NOT IN ('built', 'failed_with_output')
ORDER BY x.status = 'running' DESC, x.name LIMIT 3
"""


async def waiting_reason(database: Database, settings: Settings, build_id: uuid.UUID) -> str | None:
    """Why the build is not being built now, in one or two plain sentences; none: it is, or it has ended."""
    row = await database.fetchrow(_WAITING, build_id)
    if row is None:
        return None
    inputs = (
        [one["name"] for one in await database.fetch(_INPUTS, row["id"])] if row["missing_inputs"] else []
    )
    waiting = Waiting(
        shape=Shape(row["system"], frozenset(row["required_features"]), row["prefer_local"]),
        queued=row["queued"],
        inputs=inputs,
        missing_inputs=row["missing_inputs"],
        attempts=row["attempts"],
        next_attempt_at=row["next_attempt_at"] if row["attempts"] else None,
        last_error=row["error_message"],
    )
    builders = [_head(settings, row["running_here"]), *map(slots_of, await list_builders(database))]
    now: datetime = row["now"]
    return why_waiting(waiting, builders, now)


def _head(settings: Settings, running: int) -> Slots:
    """The head's own store, as far as a process that may have no Nix knows it."""
    system = settings.nix.system or machine_system()
    return Slots(
        name=LOCAL,
        systems=frozenset((system, *settings.nix.extra_systems)),
        supported_features=frozenset(settings.builders.local_features),
        max_jobs=settings.builders.local_jobs,
        running=running,
    )
