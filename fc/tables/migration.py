"""One step of the schema's history, written in SQL, in the form Piccolo runs."""

from dataclasses import dataclass

from piccolo.apps.migrations.auto.migration_manager import MigrationManager
from piccolo.engine import engine_finder
from piccolo.engine.postgres import PostgresEngine


@dataclass(frozen=True, slots=True)
class SqlMigration:
    """A migration as two SQL scripts.

    Plain SQL, because Piccolo's generated migrations know neither CHECK constraints, partial indexes, views
    nor triggers. A test holds the result against the table classes.
    """

    migration_id: str
    description: str
    forwards: str
    backwards: str

    async def manager(self) -> MigrationManager:
        """What Piccolo calls as ``forwards()`` of a migration module."""
        manager = MigrationManager(
            migration_id=self.migration_id, app_name="fc", description=self.description
        )

        async def run_forwards() -> None:
            await _run(self.forwards)

        async def run_backwards() -> None:
            await _run(self.backwards)

        manager.add_raw(run_forwards)
        manager.add_raw_backwards(run_backwards)
        return manager


async def _run(script: str) -> None:
    """Run a script of several statements in the transaction that Piccolo has opened."""
    engine = engine_finder()
    assert isinstance(engine, PostgresEngine)
    transaction = engine.current_transaction.get()
    assert transaction is not None
    await transaction.connection.execute(script)
