"""What must hold for any configuration on a real database: plans, states, and crashes at every statement."""

import asyncio
from contextlib import suppress
from itertools import count

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fc.base.database import Database
from fc.config.apply import make_plan
from fc.config.export import export_text
from fc.config.history import live_state, state_at
from fc.config.sources import SOURCE
from tests.config.test_apply import confirm_and_put, put, state
from tests.config.test_apply_attacks import configurations
from tests.support.configuration import WHOLE, sealed
from tests.support.counted import Injected, Tally, counted_database

_EARLIER = """
projects:
  hello:
    repository_url: https://git.example.org/elsewhere.git
    jobsets: {main: {nix_expression: old.nix}, gone: {nix_expression: gone.nix}}
    channels: {stable: {jobset: gone}}
roles: {"reader": {description: Reads}}
users: {alice: {email: old@example.org}, bob: {email: bob@example.org}}
api_keys: {old-bot: {key: !secret deploy-key}}
"""
"""From here to ``WHOLE`` something of almost every kind is created, changed and removed, and a key changes hands."""


async def everything(database: Database) -> object:
    history = [
        [tuple(row) for row in await database.fetch(f"SELECT * FROM {table} ORDER BY id")]
        for table in ("config_revisions", "config_changes", "config_sources")
    ]
    return await state(database), history


@pytest.mark.parametrize("die", [False, True], ids=["an error", "a lost connection"])
async def test_a_failure_at_any_statement_of_applying_leaves_everything_as_before(
    database: Database, database_url: str, die: bool
) -> None:
    await put(database, _EARLIER)
    before = await everything(database)
    tally = Tally()
    tally.die = die
    for reached in count():
        tally.reset()
        tally.fail_at = reached
        async with counted_database(database_url, tally, size=1) as failing:
            with suppress(Injected, asyncpg.InterfaceError, asyncpg.PostgresConnectionError):
                await put(failing, WHOLE)
        if "COMMIT;" in tally.statements[:reached]:
            # What fails after it, the connection on its way back into the pool, comes too late to matter.
            break
        assert await everything(database) == before, tally.statements[-1]
    assert reached >= 20
    assert (await put(database, WHOLE)).plan.changes == ()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(configurations(), min_size=1, max_size=4))
def test_every_earlier_state_is_rebuilt_from_the_history_of_changes(
    database_url: str, texts: list[str]
) -> None:
    async def check() -> None:
        database = await Database.connect(database_url, size=1)
        try:
            for table in ("config_resources", "config_revisions", "projects", "api_keys", "roles", "users"):
                await database.execute(f"DELETE FROM {table}")
            states = {}
            for text in texts:
                applied = await confirm_and_put(database, text)
                resources = sealed(text).resources
                assert (await make_plan(database, SOURCE, resources)).changes == ()
                async with database.transaction() as connection:
                    live = await live_state(connection, SOURCE)
                assert {(one.kind, one.key): one.fields for one in live} == {
                    key: one.fields for key, one in resources.items()
                }
                exported = sealed(export_text(live)).resources
                assert (await make_plan(database, SOURCE, exported)).changes == ()
                if applied.revision is not None:
                    states[applied.revision] = {(one.kind, one.key): one.fields for one in live}
            async with database.transaction() as connection:
                for revision, expected in states.items():
                    rebuilt = await state_at(connection, revision)
                    assert {(one.kind, one.key): one.fields for one in rebuilt.resources} == expected
        finally:
            await database.close()

    asyncio.run(check())
