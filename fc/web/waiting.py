"""Why a build waits, as its page says it."""

import os
import uuid
from datetime import UTC, datetime

from fc.base.database import Database
from fc.base.settings import Settings
from fc.build.queue import slots_of
from fc.build.schedule import ANY_SYSTEM, Shape, Slots, Waiting, why_waiting
from fc.tables.builder_queries import LOCAL, list_builders, running_derivations

_DERIVATION = """
SELECT status, system, required_features, prefer_local, missing_inputs, attempts, next_attempt_at, error_message,
       EXISTS (SELECT FROM derivation_demands m WHERE m.derivation_id = d.id) AS queued
FROM derivations d WHERE id = $1
"""
_INPUTS = """
SELECT i.name FROM derivation_inputs e JOIN derivations i ON i.id = e.input_id
WHERE e.derivation_id = $1 AND i.status IN ('pending', 'ready', 'running')
ORDER BY i.status = 'running' DESC, i.name LIMIT 3
"""


async def why_build_waits(database: Database, settings: Settings, derivation: uuid.UUID | None) -> str | None:
    """The reason in plain sentences; none when the derivation of the build does not wait."""
    row = await database.fetchrow(_DERIVATION, derivation)
    if row is None or row["status"] not in {"pending", "ready"}:
        return None
    waiting = Waiting(
        shape=Shape(row["system"], frozenset(row["required_features"]), row["prefer_local"]),
        queued=row["queued"],
        inputs=[one["name"] for one in await database.fetch(_INPUTS, derivation)],
        missing_inputs=row["missing_inputs"],
        attempts=row["attempts"],
        next_attempt_at=row["next_attempt_at"],
        last_error=row["error_message"],
    )
    builders = [slots_of(builder) for builder in await list_builders(database)]
    running = sum(work.builder == LOCAL for work in await running_derivations(database))
    return why_waiting(waiting, [local_slots(settings, running), *builders], datetime.now(UTC))


def local_slots(settings: Settings, running: int) -> Slots:
    """The head's own store as the scheduler sees it, as far as that is known without asking Nix."""
    machine = os.uname()
    system = settings.nix.system or f"{machine.machine}-{machine.sysname.lower()}"
    return Slots(
        name=LOCAL,
        systems=frozenset((system, *settings.nix.extra_systems, ANY_SYSTEM)),
        supported_features=frozenset(settings.builders.local_features),
        max_jobs=settings.builders.local_jobs,
        running=running,
    )
