"""What of a source's inventory is not as it is declared. PostgreSQL compares, so only that is ever read."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import asyncpg

from fc.config.compile import Resource, ResourceId
from fc.config.diff import Owned
from fc.config.inventory import id_columns, read_inventory, with_contents
from fc.config.marks import MARK_SQL, ROW_SQL, Parts, parts_of

_FILES = f"""
WITH declared AS (SELECT d.file COLLATE "C" AS file, d.mark FROM unnest($2::text[], $3::bytea[]) AS d(file, mark)),
grouped AS (
    SELECT file COLLATE "C" AS file, array_agg({ROW_SQL}) AS rows FROM config_resources WHERE source = $1 GROUP BY 1
),
owned AS (SELECT file, {MARK_SQL} AS mark FROM grouped)
SELECT COALESCE(d.file, o.file) AS file, o.file IS NOT NULL AS owned FROM declared d
FULL JOIN owned o ON o.file = d.file WHERE o.mark IS DISTINCT FROM d.mark
"""  # noqa: S608 - constants
_ROWS = """
SELECT d.kind AS declared_kind, d.key AS declared_key, o.kind, o.key, o.content_hash, o.file, o.line
FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::int[]) AS d(kind, key, content_hash, file, line)
FULL JOIN (
    SELECT kind, key, content_hash, file, line FROM config_resources WHERE source = $1 AND file = ANY ($2::text[])
) o ON o.kind = d.kind AND o.key = d.key
WHERE o.key IS NULL OR d.key IS NULL OR (o.content_hash, o.file, o.line) <> (d.content_hash, d.file, d.line)
"""
_ANY_OWNED = """
SELECT EXISTS (
    SELECT FROM config_resources c
    JOIN unnest($2::text[], $3::text[]) AS wanted(kind, key) ON c.kind = wanted.kind AND c.key = wanted.key
    WHERE c.source = $1
)
"""


@dataclass(frozen=True, slots=True)
class Difference:
    """Where an inventory and what is declared are not the same. Everything else is there on both sides, and equal."""

    owned: list[Owned]
    """Of the inventory, by the names it is to have; with contents where it says something else than is declared."""
    declared: Mapping[ResourceId, Resource]
    resources: Mapping[ResourceId, Resource]
    """Everything that is declared; ``declared`` is a part of it."""

    @property
    def unchanged(self) -> int:
        """How many resources are the same on both sides."""
        return len(self.resources) - len(self.declared)

    def same(self) -> Iterator[Resource]:
        """These resources; costs as much as there are."""
        return (one for identity, one in self.resources.items() if identity not in self.declared)


async def read_difference(
    connection: asyncpg.Connection,
    source: str,
    resources: Mapping[ResourceId, Resource],
    parts: Parts[Resource] | None = None,
) -> Difference:
    """How what ``source`` owns differs from ``resources``.

    Args:
        connection: in a transaction during which the inventory of ``source`` does not change.
        source: its name.
        resources: everything that is declared.
        parts: the same by file, if that is known.

    Raises:
        ConfigurationError: a rename leads to a name that git owns already.
    """
    files = parts or parts_of(resources)
    assert sum(len(part.resources) for part in files.values()) == len(resources)
    if await _renames(connection, source, files):
        # What is renamed takes with it what stands inside, wherever that is declared: all of it has to be seen.
        return Difference(await read_inventory(connection, source, resources), resources, resources)
    rows = await connection.fetch(_FILES, source, list(files), [part.mark for part in files.values()])
    differing = {row["file"]: row["owned"] for row in rows}
    # A file of which nothing is owned is new as a whole: what it declares need not be compared.
    new = [file for file, owned in differing.items() if not owned]
    declared = {one: found for file in new for one, found in files[file].resources.items()}
    heads: list[Owned] = []
    known = [file for file, owned in differing.items() if owned]
    if known:
        sent = [one for file in known if file in files for one in files[file].resources.values()]
        columns = (
            [one.kind for one in sent],
            [one.key for one in sent],
            [one.content_hash for one in sent],
            [one.file for one in sent],
            [one.line for one in sent],
        )
        for row in await connection.fetch(_ROWS, source, known, *columns):
            if row["declared_key"] is not None:
                identity = row["declared_kind"], row["declared_key"]
                declared[identity] = resources[identity]
            if row["key"] is not None:
                heads.append(Owned(row["kind"], row["key"], row["content_hash"], row["file"], row["line"]))
    return Difference(await with_contents(connection, source, heads, declared), declared, resources)


async def _renames(connection: asyncpg.Connection, source: str, files: Parts[Resource]) -> bool:
    """Whether anything is to be renamed that has not been yet."""
    former = [
        (one.kind, one.renamed_from.key)
        for part in files.values()
        for one in part.renamed
        if one.renamed_from is not None
    ]
    return bool(former) and bool(await connection.fetchval(_ANY_OWNED, source, *id_columns(former)))
