"""Drift: where rows say something else than what was applied from git, because somebody changed them by hand."""

from itertools import groupby
from typing import Any

import asyncpg
import msgspec

from fc.config.language import KIND_BY_NAME, LIFE, Fields
from fc.config.redaction import redacted_value
from fc.config.rows import RULES

_OWNED = """
SELECT source, kind, key, content, file, line FROM config_resources ORDER BY kind, key
"""


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


async def find_drift(connection: asyncpg.Connection) -> list[Drift]:
    """Every owned resource whose row differs from the inventory, by kind and key; one query for each kind.

    A secret whose row holds only its hash is not compared. A one_shot jobset that had its evaluation is no drift.

    Args:
        connection: in a transaction, so that inventory and rows are of one moment.
    """
    found = []
    for kind, owned in groupby(await connection.fetch(_OWNED), key=lambda row: row["kind"]):
        rule, listed = RULES[kind], list(owned)
        rows = await connection.fetch(
            rule.current(), [rule.row(row["key"], row["content"], None) for row in listed]
        )
        there = {row["key"]: rule.declared(row["fields"]) for row in rows}
        for row in listed:
            live = there.get(row["key"])
            fields = [] if live is None else _differences(kind, row["content"], live)
            if live is None or fields:
                found.append(
                    Drift(row["source"], kind, row["key"], row["file"], row["line"], live is None, fields)
                )
    return found


def _differences(kind: str, declared: Fields, live: Fields) -> list[DriftedField]:
    hidden = {*LIFE, *([KIND_BY_NAME[kind].sealed] if kind == "api_key" else [])}
    return [
        DriftedField(name, redacted_value(wanted), redacted_value(live.get(name)))
        for name, wanted in declared.items()
        if name not in hidden and live.get(name) != wanted and not _finished(name, wanted, live)
    ]


def _finished(name: str, wanted: Any, live: Fields) -> bool:
    return name == "state" and wanted == "one_shot" and live.get(name) == "disabled"
