"""Applying a configuration: one transaction that plans again, checks, writes the rows and remembers what it did."""

import re
import time
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import asyncpg

from fc.base.collecting import in_batches
from fc.base.database import Database, affected
from fc.base.notify import CONFIG_CHANGED, HAND_WRITES
from fc.base.problems import Problem
from fc.config.adoption import adoptable, forget_adoptions
from fc.config.compile import Resource, ResourceId
from fc.config.delegated import is_project_file
from fc.config.delegated_rows import ceded, has_files, lock_files, settle_files, spare, surrender
from fc.config.diff import Action, Change, Plan, diff, moved
from fc.config.difference import Difference, read_difference
from fc.config.drift_log import end_changed
from fc.config.errors import ConfigurationError, PlanChangedError
from fc.config.gate import OPEN, Gate, pass_gate
from fc.config.guards import reasons_to_hold
from fc.config.inventory import (
    Origin,
    owned_elsewhere,
    released,
    relocate,
    write_inventory,
    write_revision,
)
from fc.config.marks import Parts
from fc.config.previews import state_moved
from fc.config.rows import RULES, TableRule

_LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('fc configuration ' || $1, 0))"
_OWNERS_SHARED = "SELECT pg_advisory_xact_lock_shared(hashtextextended('fc owners', 0))"
_OWNERS = "SELECT pg_advisory_xact_lock(hashtextextended('fc owners', 0))"
_REQUEST_CHECKS = """
UPDATE jobsets j SET check_requested_at = now(), next_check_at = now()
FROM unnest($1::text[], $2::text[]) AS wanted(project, name), projects p
WHERE p.name = wanted.project AND j.project_id = p.id AND j.name = wanted.name
"""
_FINISHED = """
SELECT wanted.key FROM unnest($1::text[]) AS wanted(key)
JOIN projects p ON p.name = split_part(wanted.key, '/', 1)
JOIN jobsets j ON j.project_id = p.id AND p.name || '/' || j.name = wanted.key
WHERE j.state = 'disabled'
"""
_BATCH_ROWS = 1_000
"""Of one statement. What PostgreSQL makes of more spills to disk, and what Python makes of more is searched for cycles."""
_TAKEN = re.compile(r"=\((.*)\)", re.DOTALL)
_EVALUATED = frozenset(
    (
        "nix_expression",
        "flake_mode",
        "branch",
        "enabled",
        "state",
        "restrict_eval",
        "allow_import_from_derivation",
    )
)
"""Fields of a jobset on which the result of its evaluation depends, or whether there is one."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What an application did."""

    plan: Plan
    revision: uuid.UUID | None
    """None: nothing had changed, so there is none."""


async def make_plan(database: Database, source: str, resources: Mapping[ResourceId, Resource]) -> Plan:
    """What applying ``resources`` would do now.

    Raises:
        ConfigurationError: it would take over rows that git does not own.
    """
    return (await make_guarded_plan(database, source, resources))[0]


async def make_guarded_plan(
    database: Database, source: str, resources: Mapping[ResourceId, Resource]
) -> tuple[Plan, tuple[str, ...]]:
    """As ``make_plan``, with the reasons for which the plan has to be confirmed; none: it need not be."""
    # What is compared in steps must be the same at each of them.
    async with database.snapshot() as connection:
        difference, plan = await _plan(connection, source, resources)
        await refuse_takeover(connection, source, plan, resources)
    return plan, _reasons(plan, difference)


async def apply(
    database: Database,
    origin: Origin,
    resources: Mapping[ResourceId, Resource],
    *,
    expected_digest: str | None = None,
    confirmed: Collection[str] = (),
    started: float | None = None,
) -> Applied:
    """Make the database as ``resources`` say, in a transaction of its own; see ``apply_within``."""
    async with database.transaction() as connection:
        return await apply_within(
            connection,
            origin,
            resources,
            expected_digest=expected_digest,
            confirmed=confirmed,
            started=started,
        )


async def apply_within(
    connection: asyncpg.Connection,
    origin: Origin,
    resources: Mapping[ResourceId, Resource],
    *,
    expected_digest: str | None = None,
    confirmed: Collection[str] = (),
    gate: Gate = OPEN,
    started: float | None = None,
    parts: Parts[Resource] | None = None,
) -> Applied:
    """Make the database as ``resources`` say: everything or nothing.

    Args:
        connection: in a transaction, which an error must end.
        origin: where the configuration comes from; one application of a source at a time, the others wait.
        resources: compiled without problems, and sealed.
        expected_digest: of the plan that was shown; none: whatever is right now.
        confirmed: digests, or their beginnings, of plans that were confirmed though they remove much.
        gate: what else stands in the way.
        started: ``time.monotonic()`` of when the work on it began, for the recorded duration.
        parts: ``resources`` by file, if that is known.

    Raises:
        PlanChangedError: the plan is not the one that was shown.
        PlanHeldError: it has to be confirmed, and was not.
        PlanWaitingError: no sync window is open.
        ConfigurationError: it would take over rows that git does not own.
    """
    began = time.monotonic() if started is None else started
    await lock_source(connection, origin.source)
    delegates = not is_project_file(origin.source)
    if delegates and await has_files(connection):
        # Sources first, as every synchronisation does; what the files own may change until then, so plan again.
        await lock_files(connection, (await _plan(connection, origin.source, resources, parts))[1])
    await connection.execute(_OWNERS_SHARED)
    difference, plan = await _plan(connection, origin.source, resources, parts)
    if expected_digest is not None and plan.digest != expected_digest:
        raise PlanChangedError(expected_digest, plan.digest)
    await refuse_takeover(connection, origin.source, plan, resources)
    reasons = pass_gate(plan, _reasons(plan, difference), gate, confirmed)
    await relocate(connection, origin.source, moved(difference.owned, difference.declared))
    if not plan.changes:
        return Applied(plan, None)
    await surrender(connection, plan)
    await _rename(connection, plan)
    # What stands in a renamed project is found by its new name only now.
    await refuse_takeover(connection, origin.source, plan, resources, only={"create"})
    for (_, kind), changes in groupby(plan.changes, key=lambda one: (one.action == "delete", one.kind)):
        await _write(connection, kind, list(changes), resources)
    await request_checks(connection, jobsets_to_check(plan, resources))
    duration = time.monotonic() - began
    revision = await write_revision(
        connection, origin, duration, status="applied", plan=plan, reasons=reasons
    )
    await write_inventory(connection, origin.source, revision, plan)
    await forget_adoptions(connection, (change.id for change in plan.changes if change.action == "adopt"))
    if delegates:
        await settle_files(connection, plan)
    await state_moved(connection)
    # A comparison that ran meanwhile saw what was before.
    await end_changed(connection, [change.id for change in plan.changes])
    await connection.execute("SELECT pg_notify($1, ''), pg_notify($2, '')", CONFIG_CHANGED, HAND_WRITES)
    return Applied(plan, revision)


async def lock_source(connection: asyncpg.Connection, source: str) -> None:
    """One who applies or heals what ``source`` owns at a time, until the transaction ends."""
    await connection.execute(_LOCK, source)


async def lock_owners(connection: asyncpg.Connection) -> None:
    """Nothing is applied until the transaction ends, so what git does not own stays so; waits for who applies."""
    await connection.execute(_OWNERS)


async def request_checks(connection: asyncpg.Connection, jobsets: Collection[str]) -> None:
    """Have these jobsets, by their keys, looked at now."""
    if jobsets:
        pairs = [key.partition("/") for key in jobsets]
        await connection.execute(_REQUEST_CHECKS, [one[0] for one in pairs], [one[2] for one in pairs])


def jobsets_to_check(plan: Plan, resources: Collection[ResourceId]) -> list[str]:
    """Keys of the jobsets whose next evaluation should not wait: what it depends on has changed. Pure."""
    keys: set[str] = set()
    projects: set[str] = set()
    for change in plan.changes:
        differing = set(change.differing())
        if change.kind == "jobset" and (change.action == "create" or differing & _EVALUATED):
            keys.add(change.key)
        elif change.kind == "input":
            keys.add(change.key.rpartition("/")[0])
        elif change.kind == "project" and differing & {"repository_url", "enabled"}:
            projects.add(change.key)
    if projects:
        inside = (key for kind, key in resources if kind == "jobset")
        keys |= {key for key in inside if key.partition("/")[0] in projects}
    return sorted(key for key in keys if ("jobset", key) in resources)


async def refuse_takeover(
    connection: asyncpg.Connection,
    source: str,
    plan: Plan,
    resources: Mapping[ResourceId, Resource],
    only: Collection[Action] = ("create", "rename"),
) -> None:
    """What is to be created must not be there, unless git itself archived it and nobody has touched it since.

    To what is renamed there is no exception: two rows cannot become one.
    """
    new = [change for change in plan.changes if change.action in only]
    renamed = {change.id for change in new if change.action == "rename"}
    reasons = {
        one: f"belongs to another configuration source ({place})"
        for one, place in (await owned_elsewhere(connection, source, (change.id for change in new))).items()
    }
    archived: set[ResourceId] = set()
    by_hand = (
        "is there already and was not made from git; remove it or choose another name, or have git take it over: "
        "fcctl adopt KIND NAME"
    )
    for kind, changes in groupby(new, key=lambda change: change.kind):
        rule = RULES[kind]
        for batch in in_batches(changes, _BATCH_ROWS):
            rows = [rule.row(change.key, change.after, None) for change in batch]
            for row in await connection.fetch(rule.existing(), rows):
                if row["archived"] and (kind, row["key"]) not in renamed:
                    archived.add((kind, row["key"]))
                else:
                    reasons.setdefault((kind, row["key"]), by_hand)
    for one in archived - await released(connection, archived):
        reasons.setdefault(one, by_hand)
    if reasons:
        raise ConfigurationError((_problem(resources[one], reason) for one, reason in reasons.items()), plan)


async def _plan(
    connection: asyncpg.Connection,
    source: str,
    resources: Mapping[ResourceId, Resource],
    parts: Parts[Resource] | None = None,
) -> tuple[Difference, Plan]:
    """What is not as declared, and what has to happen."""
    found = await read_difference(connection, source, resources, parts)
    # What git may take over is owned by nobody here, so it is a part of what differs.
    taken = await adoptable(connection, found.declared)
    if is_project_file(source):
        return found, diff(found.owned, found.declared, taken, found.unchanged)
    taken |= await ceded(connection, found.owned, found.declared)
    return found, await spare(connection, diff(found.owned, found.declared, taken, found.unchanged))


def _reasons(plan: Plan, found: Difference) -> tuple[str, ...]:
    return reasons_to_hold(plan, found.owned, found.declared, found.same)


async def _rename(connection: asyncpg.Connection, plan: Plan) -> None:
    """Give rows their new names, what contains others first; what they say is written later."""
    named = [change for change in plan.changes if change.action == "rename" and change.was is not None]
    for kind, changes in groupby(named, key=lambda change: change.kind):
        rule = RULES[kind]
        rows = [row for one in changes if one.was and (row := rule.renamed(one.was, one.key)) is not None]
        if rows:
            await connection.execute(rule.rename(), rows)


def _problem(resource: Resource, reason: str) -> Problem:
    called = f"{resource.kind.replace('_', ' ')} {resource.key!r}"
    return Problem(resource.file, resource.line, resource.column, f"{called} {reason}")


async def _write(
    connection: asyncpg.Connection, kind: str, changes: list[Change], resources: Mapping[ResourceId, Resource]
) -> None:
    """Write all changes of one kind: removals, or all others."""
    rule = RULES[kind]
    if changes[0].action == "delete":
        for destroys in (False, True):
            chosen = [change for change in changes if change.destroys is destroys]
            for batch in in_batches(chosen, _BATCH_ROWS):
                await connection.execute(rule.remove(archive=not destroys), _rows(rule, batch, resources))
        return
    if rule.unique:
        # All of them before any is written: they may stand in different batches.
        known = [change for change in changes if change.action in {"update", "rename", "adopt"}]
        for batch in in_batches(known, _BATCH_ROWS):
            await connection.execute(rule.release(), _rows(rule, batch, resources))
    for batch in in_batches(changes, _BATCH_ROWS):
        await _upsert(connection, kind, batch, resources)


async def _upsert(
    connection: asyncpg.Connection, kind: str, changes: list[Change], resources: Mapping[ResourceId, Resource]
) -> None:
    """Write what is there after these changes of one kind."""
    rule = RULES[kind]
    rows = _rows(rule, changes, resources)
    if kind == "jobset":
        await _leave_finished(connection, changes, rows)
    try:
        written = affected(await connection.execute(rule.upsert(), rows))
    except asyncpg.UniqueViolationError as error:
        raise ConfigurationError([_taken(changes, resources, error)]) from None
    if written < len(rows):
        missing = (
            "or another one of its kind refers to a row that is missing from the database though git owns it"
        )
        raise ConfigurationError([_problem(resources[changes[0].id], missing)])


def _rows(
    rule: TableRule, changes: Iterable[Change], resources: Mapping[ResourceId, Resource]
) -> list[dict[str, Any]]:
    """The records of changes."""
    return [
        rule.row(change.key, change.after, resource.seal if (resource := resources.get(change.id)) else None)
        for change in changes
    ]


async def _leave_finished(
    connection: asyncpg.Connection, changes: list[Change], rows: list[dict[str, Any]]
) -> None:
    """A one_shot jobset that had its evaluation is disabled by it; what does not concern evaluation leaves it so."""
    unconcerned = [
        change.key
        for change in changes
        if (change.after or {}).get("state") == "one_shot" and not _EVALUATED & set(change.differing())
    ]
    finished = (
        {row["key"] for row in await connection.fetch(_FINISHED, unconcerned)} if unconcerned else set()
    )
    for change, row in zip(changes, rows, strict=True):
        if change.key in finished:
            row["state"] = "disabled"


def _taken(
    changes: list[Change], resources: Mapping[ResourceId, Resource], error: asyncpg.UniqueViolationError
) -> Problem:
    """Whose unique value a row has that git does not own. The value itself is not shown: it may come from a secret."""
    column = RULES[changes[0].kind].unique
    found = _TAKEN.search(error.detail or "")
    value = found[1] if found is not None else ""
    affected = [resources[change.id] for change in changes]
    resource = next((one for one in affected if value in {one.seal, one.fields.get(column)}), affected[0])
    return _problem(
        resource, f"has the {column} of a row that git does not own; a removed user keeps its address"
    )
