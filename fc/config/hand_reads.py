"""Every resource there is, by kind and key, with who owns it: page by page."""

from typing import NamedTuple

from fc.base.database import Database
from fc.config.language import KINDS, Kind
from fc.config.rows import RULES

_IN_PROJECT = "JOIN projects p ON p.id = t.project_id"
_KEYS = {
    "input": (
        "p.name || '/' || j.name || '/' || t.name",
        "JOIN jobsets j ON j.id = t.jobset_id JOIN projects p ON p.id = j.project_id",
    ),
    "member": ("p.name || '/' || u.username", f"{_IN_PROJECT} JOIN users u ON u.id = t.user_id"),
}
"""How the key of a row is put together, and what is joined for it, where that is not the name, or project and name."""


class Listed(NamedTuple):
    """A row, and the place in git that owns it."""

    kind: str
    key: str
    source: str | None
    """None: it was made by hand, or git has let go of it."""
    file: str | None
    line: int | None


def _listing(kind: Kind) -> str:
    rule = RULES[kind.name]
    inside = f"p.name || '/' || t.{rule.key[-1]}", _IN_PROJECT
    key, joins = _KEYS.get(kind.name, inside if kind.parent is not None else (f"t.{rule.key[-1]}", ""))
    return f"""
    SELECT r.key, c.source, c.file, c.line
    FROM (SELECT ({key})::text COLLATE "C" AS key FROM {rule.table} t {joins}) r
    LEFT JOIN config_resources c ON c.kind = $1 AND c.key = r.key
    WHERE $2::text IS NULL OR r.key > $2 COLLATE "C" ORDER BY r.key LIMIT $3
    """  # noqa: S608 - constants only


_LISTINGS = {kind.name: _listing(kind) for kind in KINDS}


async def list_resources(
    database: Database, *, kind: Kind | None, after: tuple[str, str] | None, limit: int
) -> list[Listed]:
    """At most ``limit`` rows by kind, in the order of names, and key; those after the kind and key ``after``."""
    found: list[Listed] = []
    for name in sorted(_LISTINGS) if kind is None else [kind.name]:
        if after is not None and name < after[0]:
            continue
        start = after[1] if after is not None and name == after[0] else None
        rows = await database.fetch(_LISTINGS[name], name, start, limit - len(found))
        found += [Listed(name, **row) for row in rows]
        if len(found) == limit:
            break
    return found
