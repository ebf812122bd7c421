"""Healing: rows that drifted are written again as git says, and what was lost with them."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import asyncpg

from fc.access.audit import record_event
from fc.access.keys import hash_key
from fc.base.database import Database
from fc.base.errors import ConflictError, NotFoundError, SecretMissingError
from fc.config.apply import lock_source, request_checks
from fc.config.compile import ResourceId, content_hash
from fc.config.drift import Compared, compare, finished
from fc.config.drift_log import end_healed, note_failures, record
from fc.config.language import KIND_BY_NAME, KIND_ORDER, Fields
from fc.config.owners import owned_inside
from fc.config.rows import RULES

BY_ITSELF = "fc:drift"
"""Actor of what the settings let FC heal."""
_BATCH = 500
"""How many are healed in one transaction: applying waits as long."""

_OWNERS = """
SELECT c.source, c.kind, c.key FROM config_resources c
JOIN unnest($1::text[], $2::text[]) AS wanted(kind, key) ON c.kind = wanted.kind AND c.key = wanted.key
ORDER BY c.source
"""
# So that the comparison that comes round and a healing never wait for one another in a circle.
_LOCK_LOG = "SELECT 1 FROM config_turns WHERE name = 'drift' FOR UPDATE"
_TO_HEAL = """
SELECT kind, key FROM config_drift
WHERE ended_at IS NULL AND kind = ANY($1) AND (tried_at IS NULL OR tried_at < now() - make_interval(secs => $2))
ORDER BY tried_at NULLS FIRST, kind, key LIMIT $3
"""
_JOBSETS = "SELECT key FROM config_resources WHERE kind = 'jobset' AND split_part(key, '/', 1) = ANY($1)"


@dataclass(slots=True)
class Healed:
    """What healing did."""

    healed: list[ResourceId] = field(default_factory=list)
    failures: dict[ResourceId, str] = field(default_factory=dict)
    """Why others could not be healed."""


class UnhealableError(ConflictError):
    """A row cannot be written as git says."""

    code = "unhealable"


async def heal(
    database: Database, ids: Collection[ResourceId], reveal: Callable[[Fields], str], *, actor: str
) -> Healed:
    """Write what still differs as it was applied last; what is missing is made again, with what went with it.

    Sources that are paused or pinned are healed all the same: what counts is what is in force. One transaction a
    source; applying it waits.

    Args:
        database: where.
        ids: what git owns and has drifted; anything else is left alone.
        reveal: value behind a reference to a secret; raises ``SecretMissingError``.
        actor: who, for the audit trail.
    """
    done = Healed()
    owners = await database.fetch(_OWNERS, *_columns(ids))
    for source, rows in groupby(owners, key=lambda row: row["source"]):
        wanted = {(row["kind"], row["key"]) for row in rows}
        async with database.transaction() as connection:
            await lock_source(connection, source)
            await connection.execute(_LOCK_LOG)
            await _heal(connection, source, wanted, reveal, actor, done)
    return done


async def heal_one(
    database: Database, kind: str, key: str, reveal: Callable[[Fields], str], *, actor: str
) -> list[ResourceId]:
    """Heal one resource because somebody said so; all that was healed, nothing if it agrees already.

    Raises:
        NotFoundError: git owns no such resource.
        UnhealableError: it cannot be written as git says.
    """
    one = (kind, key)
    if not await database.fetch(_OWNERS, [kind], [key]):
        what = f"{kind.replace('_', ' ')} that git owns"
        raise NotFoundError(what, key)
    done = await heal(database, [one], reveal, actor=actor)
    if one in done.failures:
        message = f"{kind.replace('_', ' ')} {key!r} cannot be healed: {done.failures[one]}"
        raise UnhealableError(message)
    return done.healed


async def heal_due(
    database: Database, kinds: Collection[str], reveal: Callable[[Fields], str], *, retry_seconds: float
) -> Healed:
    """Heal what is known to have drifted of ``kinds``; what failed not before ``retry_seconds`` have passed."""
    done, before = Healed(), None
    while True:
        rows = await database.fetch(_TO_HEAL, list(kinds), retry_seconds, _BATCH)
        ids = [(row["kind"], row["key"]) for row in rows]
        new = await heal(database, ids, reveal, actor=BY_ITSELF)
        done.healed += new.healed
        done.failures |= new.failures
        if len(rows) < _BATCH or ids == before:
            return done
        before = ids


async def _heal(
    connection: asyncpg.Connection,
    source: str,
    wanted: set[ResourceId],
    reveal: Callable[[Fields], str],
    actor: str,
    done: Healed,
) -> None:
    """What still differs of ``wanted``, with what went with it, in the order of the language."""
    drifted = await compare(connection, wanted)
    gone = [(one.drift.kind, one.drift.key) for one in drifted if one.drift.missing]
    if gone:
        wanted = wanted | {one.id for one in await owned_inside(connection, gone) if one.source == source}
        drifted = await compare(connection, wanted)
    await record(connection, [one.drift for one in drifted], only=wanted)
    drifted.sort(key=lambda one: KIND_ORDER[one.drift.kind])
    failures: dict[ResourceId, str] = {}
    for kind, listed in groupby(drifted, key=lambda one: one.drift.kind):
        await _write(connection, kind, list(listed), reveal, failures)
    for one in await compare(connection, [_id(one) for one in drifted]):
        failures.setdefault(_id(one), "what it stands in, or refers to, is missing; heal that first")
    healed = [one for one in drifted if _id(one) not in failures]
    for one in healed:
        fields = one.drift.fields
        details = {
            "missing": one.drift.missing,
            "before": {each.field: each.found for each in fields},
            "after": {each.field: each.declared for each in fields},
        }
        await record_event(
            connection, actor=actor, action="heal", kind=one.drift.kind, key=one.drift.key, details=details
        )
    await end_healed(connection, [_id(one) for one in healed])
    await note_failures(connection, failures)
    await request_checks(connection, await _to_check(connection, [_id(one) for one in healed]))
    done.healed += [_id(one) for one in healed]
    done.failures |= failures


async def _write(
    connection: asyncpg.Connection,
    kind: str,
    drifted: list[Compared],
    reveal: Callable[[Fields], str],
    failures: dict[ResourceId, str],
) -> None:
    """All of one kind together; one after another if something is in the way of one of them."""
    rows: list[tuple[ResourceId, dict[str, Any]]] = []
    for one in drifted:
        try:
            rows.append((_id(one), _row(one, reveal)))
        except (SecretMissingError, UnhealableError) as error:
            failures[_id(one)] = str(error)
    try:
        await _upsert(connection, kind, [row for _, row in rows])
    except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError):
        for each, row in rows:
            try:
                await _upsert(connection, kind, [row])
            except asyncpg.UniqueViolationError:
                failures[each] = f"another row has its {RULES[kind].unique or 'name'} already"
            except asyncpg.NotNullViolationError:
                continue  # Said of all whose reference is missing.
            except (asyncpg.IntegrityConstraintViolationError, asyncpg.DataError) as error:
                failures[each] = f"the database refuses it: {type(error).__name__}"


async def _upsert(connection: asyncpg.Connection, kind: str, rows: list[dict[str, Any]]) -> None:
    rule = RULES[kind]
    if not rows:
        return
    async with connection.transaction():
        if rule.unique:
            await connection.execute(rule.release(), rows)
        await connection.execute(rule.upsert(), rows)


def _row(one: Compared, reveal: Callable[[Fields], str]) -> dict[str, Any]:
    """The record of what git says.

    Raises:
        SecretMissingError: the row needs the hash of a secret that is not known here.
        UnhealableError: that secret is not the one that was applied.
    """
    kind, key, content = one.drift.kind, one.drift.key, one.content
    row = RULES[kind].row(key, content, _seal(one, reveal))
    return {**row, "state": "disabled"} if kind == "jobset" and finished(content, one.live) else row


def _seal(one: Compared, reveal: Callable[[Fields], str]) -> str | None:
    """The hash that the row must hold: the one it holds, or that of the secret, whichever the inventory knows."""
    sealed = KIND_BY_NAME[one.drift.kind].sealed
    if sealed is None:
        return None
    if one.live is not None and content_hash(one.content, one.seal) == one.content_hash:
        return one.seal
    found = hash_key(reveal(one.content[sealed]))
    if content_hash(one.content, found) != one.content_hash:
        message = (
            f"the {sealed} has another value now than when it was applied; the next synchronisation writes it"
        )
        raise UnhealableError(message)
    return found


async def _to_check(connection: asyncpg.Connection, healed: list[ResourceId]) -> set[str]:
    """Jobsets that were healed, or something of what they evaluate."""
    jobsets = {key for kind, key in healed if kind == "jobset"}
    jobsets |= {key.rpartition("/")[0] for kind, key in healed if kind == "input"}
    projects = [key for kind, key in healed if kind == "project"]
    if projects:
        jobsets |= {row["key"] for row in await connection.fetch(_JOBSETS, projects)}
    return jobsets


def _id(one: Compared) -> ResourceId:
    return (one.drift.kind, one.drift.key)


def _columns(ids: Iterable[ResourceId]) -> tuple[list[str], list[str]]:
    listed = list(ids)
    return [kind for kind, _ in listed], [key for _, key in listed]
