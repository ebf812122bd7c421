"""Planning what a pull request would change: compared with what is in force, without any secret, and only read."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from fc.base.database import Database
from fc.config.adoption import adoptable
from fc.config.apply import refuse_takeover
from fc.config.compile import Resource, ResourceId
from fc.config.delegated_rows import ceded, spare
from fc.config.diff import Change, Plan, diff
from fc.config.guards import reasons_to_hold
from fc.config.hidden import known_part, settle, shown, without_seals
from fc.config.inventory import read_inventory
from fc.config.language import Fields
from fc.config.plan_view import view
from fc.config.sources import latest_revision

MOST_CHANGES = 1000
"""Changes of one plan that are kept and shown."""
_MOST_BYTES = 2 << 20
"""Of all of them together."""
_READ_ONLY = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"


@dataclass(frozen=True, slots=True)
class Planned:
    """What merging would do now."""

    plan: Plan
    reasons: tuple[str, ...]
    """For which it would be held."""
    revision: uuid.UUID | None
    """In force now."""


async def plan_merge(
    database: Database,
    source: str,
    merged: Mapping[ResourceId, Resource],
    base: Mapping[ResourceId, Resource],
) -> Planned:
    """What would happen to what is in force if ``merged`` were declared. PostgreSQL itself refuses any change here.

    Args:
        database: only read.
        source: whose pull request it is.
        merged: what the merge declares, read without variables and secrets.
        base: what the branch declares, read likewise.

    Raises:
        ConfigurationError: it would take over rows that git does not own, or rename to a name that git owns.
    """
    async with database.transaction() as connection:
        await connection.execute(_READ_ONLY)
        inventory = without_seals(await read_inventory(connection, source, merged))
        resources = settle(merged, base, inventory)
        # Rows have numbers where a hidden value only has a word that stands for it.
        known = {identity: known_part(one) for identity, one in resources.items()}
        taken = await adoptable(connection, known) | await ceded(connection, inventory, resources)
        plan = await spare(connection, diff(inventory, resources, taken))
        asked = [
            replace(change, after=known[change.id].fields) if change.id in known else change
            for change in plan.changes
        ]
        await refuse_takeover(connection, source, replace(plan, changes=tuple(asked)), known)
        revision = await latest_revision(connection, source)
    return Planned(plan, reasons_to_hold(plan, inventory, resources), revision)


def plan_row(planned: Planned) -> dict[str, Any]:
    """A plan as it is kept: every secret by its name, at most ``MOST_CHANGES`` changes, and how many more there are."""
    changes: list[dict[str, Any]] = []
    size = 0
    for change in planned.plan.changes[:MOST_CHANGES]:
        row = _change_row(planned.plan, change)
        size += len(msgspec.json.encode(row))
        if size > _MOST_BYTES:
            break
        changes.append(row)
    return {
        "digest": planned.plan.digest,
        "summary": planned.plan.summary,
        "reasons": list(planned.reasons),
        "changes": changes,
        "more": len(planned.plan.changes) - len(changes),
    }


def _change_row(plan: Plan, change: Change) -> dict[str, Any]:
    """A change with the fields that differ, and with everything that it says before and after."""
    before, after = _shown(change.before), _shown(change.after)
    if before is not None and after is not None:
        for name in change.differing():
            # Two values that are both hidden look alike.
            if name in after and before.get(name) == after[name]:
                after[name] = f"{after[name]} (another one)"
    seen = replace(change, before=before, after=after)
    (row,) = msgspec.to_builtins(view(replace(plan, changes=(seen,))).changes)
    return {"was": None, **row, "before": before, "after": after}


def _shown(fields: Fields | None) -> Fields | None:
    return None if fields is None else {name: shown(value) for name, value in fields.items()}
