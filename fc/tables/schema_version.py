"""Which migrations a database has seen, compared with those that ship with this program."""

import re
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from fc.base.errors import SchemaMismatchError
from fc.base.paths import shipped

_ID = re.compile(r'^ID = "([^"]+)"$', re.MULTILINE)
_APPLIED = "SELECT name FROM migration WHERE app_name = 'fc' ORDER BY name"


@dataclass(frozen=True, slots=True)
class SchemaVersion:
    """The state of one database's schema; ids in order."""

    applied: tuple[str, ...]
    pending: tuple[str, ...]
    unknown: tuple[str, ...]
    """Applied, but not part of this program: the database was migrated by a newer one."""

    def require_known(self) -> None:
        """Refuse a schema from the future.

        Raises:
            SchemaMismatchError: the database has migrations this program does not know.
        """
        if self.unknown:
            message = (
                f"the database has the migration {self.unknown[-1]}, which this version of FC does not know: "
                "it was used by a newer FC. Install that version again, or go back with its 'fcctl migrate down'"
            )
            raise SchemaMismatchError(message)


def migration_files() -> dict[str, Path]:
    """The shipped migrations by id, in order. Read, not imported: this runs at every start."""
    files = {}
    for path in shipped("migrations").glob("*.py"):
        found = _ID.search(path.read_text(encoding="utf-8"))
        if found is not None:
            files[found.group(1)] = path
    return dict(sorted(files.items()))


async def schema_version(connection: "asyncpg.Connection | asyncpg.Pool") -> SchemaVersion:
    """Compare the database with the shipped migrations."""
    known = tuple(migration_files())
    exists = await connection.fetchval("SELECT to_regclass('migration') IS NOT NULL")
    applied = tuple(row["name"] for row in await connection.fetch(_APPLIED)) if exists else ()
    return SchemaVersion(
        applied=applied,
        pending=tuple(name for name in known if name not in applied),
        unknown=tuple(name for name in applied if name not in known),
    )
