"""Rows that people make by hand: set, removed and shown. What git owns is refused with the place that owns it."""

import uuid
from collections.abc import Callable, Iterable
from itertools import groupby
from typing import NamedTuple

import asyncpg

from fc.access.audit import record_event
from fc.access.keys import hash_key
from fc.base.database import Database, affected
from fc.base.errors import ConflictError, NotFoundError, SecretMissingError
from fc.base.notify import CONFIG_CHANGED
from fc.config.apply import lock_owners, request_checks
from fc.config.compile import Resource, ResourceId
from fc.config.drift import live_fields, shown_value
from fc.config.export import secret_fields
from fc.config.hand_declarations import InvalidResourceError, declare, key_parts
from fc.config.language import Fields, Kind
from fc.config.nodes import Node
from fc.config.owners import Owner, owner_of, refuse_owned
from fc.config.rows import RULES

_JOBSETS = "SELECT p.name || '/' || j.name AS key FROM jobsets j JOIN projects p ON p.id = j.project_id WHERE p.name = $1"
_LAST = """
SELECT c.action, c.revision_id, c.created_at FROM config_changes c
WHERE c.kind = $1 AND c.key = $2 ORDER BY c.created_at DESC LIMIT 1
"""


class Written(NamedTuple):
    """What became of a row, as for readers: secrets are shown by their names."""

    before: Fields | None
    """None: it is new."""
    after: Fields


class Shown(NamedTuple):
    """A resource as its row says, and who owns it."""

    kind: str
    key: str
    fields: Fields | None
    """None: git owns it, but there is no such row. Secrets are shown by their names."""
    owner: Owner | None
    """None: it was made by hand, or git has let go of it."""
    last_revision: uuid.UUID | None
    """The last one that changed it."""


async def set_resource(
    database: Database, kind: Kind, key: str, node: Node, reveal: Callable[[Fields], str], *, actor: str
) -> Written:
    """Make a row, or have it say what ``node`` does: fields that are not written have their defaults.

    Args:
        database: where.
        kind: of the resource.
        key: its name, such as ``hello/main``.
        node: its fields.
        reveal: value behind a reference to a secret; raises ``SecretMissingError``.
        actor: who, for the audit trail.

    Raises:
        InvalidResourceError: it is not written as the language wants it, or needs what is not there.
        OwnedError: git owns it.
        ConflictError: another row has what only one can have.
    """
    key_parts(kind, key)
    await refuse_owned(
        database, kind.name, key
    )  # Before what is wrong with the fields: they do not matter then.
    resource, needed = declare(kind, key, node)
    row = RULES[kind.name].row(key, resource.fields, _seal(kind, resource, reveal))
    async with database.transaction() as connection:
        await lock_owners(connection)
        await refuse_owned(connection, kind.name, key)
        await _require(connection, resource, needed)
        before = await _current(connection, kind.name, key)
        try:
            written = affected(await connection.execute(RULES[kind.name].upsert(), [row]))
        except asyncpg.UniqueViolationError:
            message = f"another row has its {RULES[kind.name].unique or 'name'} already"
            raise ConflictError(message) from None
        assert written == 1
        await request_checks(connection, await _to_check(connection, kind.name, key))
        made = Written(_shown(kind.name, before), _shown(kind.name, resource.fields) or {})
        await _note(connection, actor, kind.name, key, made._asdict())
    return made


async def remove_resource(database: Database, kind: Kind, key: str, *, actor: str) -> None:
    """Remove a row as git would: what has a history is disabled and keeps it, everything else is deleted.

    Raises:
        NotFoundError: there is no such row.
        OwnedError: git owns it.
    """
    key_parts(kind, key)
    rule = RULES[kind.name]
    async with database.transaction() as connection:
        await lock_owners(connection)
        await refuse_owned(connection, kind.name, key)
        before = await _current(connection, kind.name, key)
        if before is None:
            raise NotFoundError(kind.name.replace("_", " "), key)
        await connection.execute(rule.remove(archive=kind.archived), [rule.row(key, None, None)])
        details = {
            "before": _shown(kind.name, before),
            "after": None,
            "removed": "archived" if kind.archived else "deleted",
        }
        await _note(connection, actor, kind.name, key, details)


async def show_resource(database: Database, kind: Kind, key: str) -> Shown:
    """A resource, whoever made it.

    Raises:
        NotFoundError: there is no such row, and git owns none.
    """
    key_parts(kind, key)
    async with database.snapshot() as connection:
        owner = await owner_of(connection, kind.name, key)
        fields = _shown(kind.name, await _current(connection, kind.name, key))
        last = await connection.fetchrow(_LAST, kind.name, key)
    if fields is None and owner is None:
        raise NotFoundError(kind.name.replace("_", " "), key)
    return Shown(kind.name, key, fields, owner, last["revision_id"] if last is not None else None)


def _seal(kind: Kind, resource: Resource, reveal: Callable[[Fields], str]) -> str | None:
    if kind.sealed is None:
        return None
    try:
        return hash_key(reveal(resource.fields[kind.sealed]))
    except SecretMissingError as error:
        raise InvalidResourceError(kind.name, resource.key, [f"{kind.sealed}: {error}"]) from None


async def _require(connection: asyncpg.Connection, resource: Resource, needed: Iterable[ResourceId]) -> None:
    """Everything the resource stands in or refers to has a row."""
    missing = []
    for kind, ids in groupby(sorted(set(needed)), key=lambda one: one[0]):
        keys = [key for _, key in ids]
        rule = RULES[kind]
        rows = await connection.fetch(rule.existing(), [rule.row(key, None, None) for key in keys])
        there = {row["key"] for row in rows}
        missing += [f"there is no {kind.replace('_', ' ')} {key!r}" for key in keys if key not in there]
    if missing:
        raise InvalidResourceError(resource.kind, resource.key, missing)


async def _current(connection: asyncpg.Connection, kind: str, key: str) -> Fields | None:
    found = await live_fields(connection, kind, [RULES[kind].row(key, None, None)])
    return found[key][0] if key in found else None


def _shown(kind: str, fields: Fields | None) -> Fields | None:
    if fields is None:
        return None
    secrets = secret_fields(kind)
    return {name: shown_value(value, secret=name in secrets) for name, value in fields.items()}


async def _to_check(connection: asyncpg.Connection, kind: str, key: str) -> list[str]:
    """Jobsets whose next evaluation should not wait."""
    if kind == "project":
        return [row["key"] for row in await connection.fetch(_JOBSETS, key)]
    return [key] if kind == "jobset" else [key.rpartition("/")[0]] if kind == "input" else []


async def _note(connection: asyncpg.Connection, actor: str, kind: str, key: str, details: Fields) -> None:
    await record_event(connection, actor=actor, action="configure", kind=kind, key=key, details=details)
    await connection.execute("SELECT pg_notify($1, '')", CONFIG_CHANGED)
