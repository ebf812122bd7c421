"""What a database holds, read from PostgreSQL's own catalogues: one line of text for each object."""

import asyncpg

Catalogue = dict[str, str]
"""Definition by name: ``column builds.status`` → ``text not null``, ``index builds.idx_builds_status`` → …"""

_COLUMNS = """
SELECT 'column ' || c.relname || '.' || a.attname AS key,
       format_type(a.atttypid, a.atttypmod)
       || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
       || CASE WHEN a.attidentity <> '' OR a.attgenerated <> '' THEN ' generated' ELSE '' END
       || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '') AS definition
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'm')
  AND a.attnum > 0 AND NOT a.attisdropped
"""
# A sequence that a column owns is part of that column's default.
_RELATIONS = """
SELECT CASE relkind WHEN 'v' THEN 'view ' WHEN 'S' THEN 'sequence ' WHEN 'm' THEN 'materialised view '
                    ELSE 'table ' END || relname AS key,
       CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid) ELSE relpersistence::text END AS definition
FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
  AND NOT (relkind = 'S' AND EXISTS (SELECT FROM pg_depend WHERE objid = pg_class.oid AND deptype IN ('a', 'i')
                                     AND classid = 'pg_class'::regclass))
"""
# 'n': since PostgreSQL 18 NOT NULL is a constraint too; here it is part of the column.
_CONSTRAINTS = """
SELECT 'constraint ' || conrelid::regclass || '.' || conname AS key, pg_get_constraintdef(oid) AS definition
FROM pg_constraint
WHERE connamespace = 'public'::regnamespace AND conrelid <> 0 AND contype <> 'n'
"""
_INDEXES = """
SELECT 'index ' || i.indrelid::regclass || '.' || c.relname AS key, pg_get_indexdef(i.indexrelid) AS definition
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.relnamespace = 'public'::regnamespace
  AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = i.indexrelid AND contype IN ('p', 'u', 'x'))
"""
_TRIGGERS = """
SELECT 'trigger ' || tgrelid::regclass || '.' || tgname AS key, pg_get_triggerdef(oid) AS definition
FROM pg_trigger
WHERE NOT tgisinternal
"""
_FUNCTIONS = """
SELECT 'function ' || oid::regprocedure AS key, pg_get_functiondef(oid) AS definition
FROM pg_proc
WHERE pronamespace = 'public'::regnamespace AND prokind IN ('f', 'p')
"""
_TYPES = """
SELECT 'type ' || typname AS key, typtype::text AS definition
FROM pg_type
WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd', 'r')
"""


async def read_catalogue(url: str) -> Catalogue:
    """Everything in the schema ``public`` of the database at ``url``.

    Indexes that only serve a constraint are part of that constraint. White space is normalised: definitions
    of views and functions keep that of their authors.
    """
    connection = await asyncpg.connect(url)
    try:
        found = {}
        for query in (_RELATIONS, _COLUMNS, _CONSTRAINTS, _INDEXES, _TRIGGERS, _FUNCTIONS, _TYPES):
            for row in await connection.fetch(query):
                found[row["key"]] = " ".join(row["definition"].split())
        return found
    finally:
        await connection.close()


def table_of(key: str) -> str | None:
    """The table an object belongs to; none: a view, a function or a type."""
    kind, _, name = key.partition(" ")
    if kind in {"table", "column", "constraint", "index", "trigger"}:
        return name.partition(".")[0]
    return None


def differences(one: Catalogue, other: Catalogue) -> dict[str, tuple[str | None, str | None]]:
    """What is not the same in both: name → (definition in ``one``, definition in ``other``)."""
    return {
        key: (one.get(key), other.get(key))
        for key in sorted(one.keys() | other.keys())
        if one.get(key) != other.get(key)
    }
