"""Drift: where rows say something else than what was applied from git, because somebody changed them by hand."""

from collections.abc import Collection
from itertools import groupby
from typing import Any

import asyncpg
import msgspec

from fc.base.secrets import REDACTED
from fc.config.compile import ResourceId, content_hash
from fc.config.export import secret_fields
from fc.config.language import KIND_BY_NAME, LIFE, Fields
from fc.config.redaction import redacted_value
from fc.config.rows import RULES

_OWNED = """
SELECT source, kind, key, content, content_hash, file, line FROM config_resources ORDER BY kind, key
"""
_OWNED_OF = """
SELECT c.source, c.kind, c.key, c.content, c.content_hash, c.file, c.line FROM config_resources c
JOIN unnest($1::text[], $2::text[]) AS wanted(kind, key) ON c.kind = wanted.kind AND c.key = wanted.key
ORDER BY c.kind, c.key
"""
_LONGEST = 2000
"""Characters of a value that are kept."""
_MOST_NESTED = 64
"""Lists and objects in a value that is kept as it is; one with more is kept as text."""
OTHER_SECRET = f"{REDACTED} of another value"
"""What is found where a row holds the hash of something else than what git names."""


class DriftedField(msgspec.Struct, frozen=True):
    """A field whose row does not say what git does."""

    field: str
    declared: Any
    found: Any


class Drift(msgspec.Struct, frozen=True):
    """A resource whose row is not as it was applied."""

    source: str
    kind: str
    key: str
    file: str
    line: int
    missing: bool
    """There is no such row any more."""
    fields: list[DriftedField]


class Compared(msgspec.Struct, frozen=True):
    """A drifted resource with everything that is needed to put it right."""

    drift: Drift
    content: Fields
    """What git says."""
    content_hash: str
    live: Fields | None
    """What the row says; none: it is missing."""
    seal: str | None
    """The hash of a secret that the row holds."""


async def find_drift(connection: asyncpg.Connection) -> list[Drift]:
    """Every owned resource whose row differs from the inventory, by kind and key; one query for each kind.

    Where a row holds only the hash of a secret, that it is another one is all there is to say. A one_shot jobset that
    had its evaluation is no drift.

    Args:
        connection: in a transaction of one snapshot (repeatable read), so that an application at the same time is none.
    """
    return [one.drift for one in await compare(connection)]


async def compare(
    connection: asyncpg.Connection, only: Collection[ResourceId] | None = None
) -> list[Compared]:
    """As ``find_drift``, with all that is known; ``only``: of these resources."""
    if only is None:
        resources = await connection.fetch(_OWNED)
    else:
        resources = await connection.fetch(_OWNED_OF, [kind for kind, _ in only], [key for _, key in only])
    found = []
    for kind, owned in groupby(resources, key=lambda row: row["kind"]):
        rule, listed = RULES[kind], list(owned)
        there = await live_fields(
            connection, kind, [rule.row(row["key"], row["content"], None) for row in listed]
        )
        for row in listed:
            live, seal = there.get(row["key"], (None, None))
            fields = [] if live is None else _differences(row, live, seal)
            if live is None or fields:
                place = (row["source"], kind, row["key"], row["file"], row["line"])
                drift = Drift(*place, missing=live is None, fields=fields)
                found.append(Compared(drift, row["content"], row["content_hash"], live, seal))
    return found


async def live_fields(
    connection: asyncpg.Connection, kind: str, records: list[dict[str, Any]]
) -> dict[str, tuple[Fields, str | None]]:
    """What the rows of ``records`` say, by key, and the hash of a secret that each holds."""
    rule = RULES[kind]
    rows = await connection.fetch(
        # As text: what was written by hand need not be what JSON values are decoded to.
        f"SELECT key, fields::text AS fields, seal FROM ({rule.current()}) AS found",  # noqa: S608 - constants only
        records,
    )
    return {row["key"]: (rule.declared(_decoded(row["fields"])), row["seal"]) for row in rows}


def finished(content: Fields, live: Fields | None) -> bool:
    """Whether a one_shot jobset had its evaluation, which disables it."""
    return content.get("state") == "one_shot" and (live or {}).get("state") == "disabled"


def _decoded(text: str) -> Fields:
    try:
        fields: Fields = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, ValueError):
        # Nested too deep, or numbers that no computer has: it is not what git says, whatever it is.
        return {"config": None}
    return fields


def _differences(owned: asyncpg.Record, live: Fields, seal: str | None) -> list[DriftedField]:
    kind, declared = owned["kind"], owned["content"]
    sealed, secrets = KIND_BY_NAME[kind].sealed, secret_fields(kind)
    differing = [
        DriftedField(name, redacted_value(wanted), shown_value(live.get(name), secret=name in secrets))
        for name, wanted in declared.items()
        if name not in LIFE
        # An API key's row holds nothing of its secret but the hash.
        and not (kind == "api_key" and name == sealed)
        and _differs(live.get(name), wanted)
        and not (name == "state" and finished(declared, live))
    ]
    named = {one.field for one in differing}
    if sealed and sealed not in named and content_hash(declared, seal) != owned["content_hash"]:
        differing.append(DriftedField(sealed, redacted_value(declared[sealed]), OTHER_SECRET))
    return differing


def _differs(found: Any, wanted: Any) -> bool:
    # To Python 1 is True and 1.0; to JSON they are three.
    return found != wanted or type(found) is not type(wanted)


def shown_value(value: Any, *, secret: bool) -> Any:
    """What a row says, for people: of a secret at most its name, whatever was written there."""
    shown = redacted_value(value)
    if secret:
        named = isinstance(value, dict) and value.keys() == {"secret"} and isinstance(value["secret"], str)
        return shown if value is None or (named and len(shown) <= _LONGEST) else REDACTED
    try:
        encoded = shown if isinstance(shown, str) else msgspec.json.encode(shown).decode()
    except RecursionError:
        return "…"
    if len(encoded) > _LONGEST:
        return f"{encoded[:_LONGEST]}…"
    # Nobody's pages are to follow what is nested without end.
    return encoded if encoded.count("[") + encoded.count("{") > _MOST_NESTED else shown
