"""Attacks on healing: two at once, together with an application, killed in the middle."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from fc.base.database import Database
from fc.config.drift_log import look
from fc.config.heal import heal
from tests.config.test_apply import put, state
from tests.config.test_heal import healed, revealed, rows
from tests.support.by_hand import by_hand, psql
from tests.support.configuration import WHOLE, project
from tests.support.waiting import eventually


async def test_two_who_heal_at_once_heal_once(database: Database, database_url: str) -> None:
    await put(database, WHOLE)
    before = await state(database)
    await by_hand(database_url, "DELETE FROM projects", "UPDATE users SET role = 'admin'")
    await look(database, 600, now=True)
    ids = [("project", "hello"), ("user", "alice")]
    done = await asyncio.gather(*(heal(database, ids, revealed, actor="a") for _ in range(4)))
    assert sorted(len(one.healed) for one in done) == [0, 0, 0, 9]
    assert await state(database) == before
    assert await database.fetchval("SELECT count(*) FROM audit_events WHERE action = 'heal'") == 9


async def test_healing_and_applying_at_once_end_as_git_says(database: Database, database_url: str) -> None:
    await put(database, project("p", **{f"j{number}": "x" for number in range(20)}))
    for number in range(5):
        await by_hand(database_url, "UPDATE jobsets SET branch = 'evil'")
        text = project("p", **{f"j{one}": f"b{number}" for one in range(20)})
        await asyncio.gather(
            heal(database, [("jobset", f"p/j{one}") for one in range(20)], revealed, actor="a"),
            put(database, text),
            look(database, 600, now=True),
        )
        assert await database.fetchval("SELECT array_agg(DISTINCT branch) FROM jobsets") == [f"b{number}"]
    await look(database, 600, now=True)
    assert None not in {outcome for outcome, _ in (await rows(database)).values()}


CHILD = """
import asyncio, sys
from fc.base.database import Database
from fc.config.heal import heal_due
from tests.support.configuration import value_of

async def main():
    database = await Database.connect(sys.argv[1], size=1)
    await heal_due(database, ["project"], lambda one: value_of(one["secret"]), retry_seconds=600)

asyncio.run(main())
"""


@pytest.mark.parametrize("table", ["jobset_inputs", "audit_events"])
async def test_kill_9_in_the_middle_of_healing_heals_nothing(
    database: Database, database_url: str, table: str
) -> None:
    await put(database, WHOLE)
    await by_hand(database_url, "DELETE FROM projects")
    await look(database, 600, now=True)
    before = await state(database)
    async with psql(database_url) as blocker, blocker.transaction():
        await blocker.execute(f"LOCK TABLE {table} IN SHARE MODE")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", CHILD, database_url),
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        )
        try:

            async def stopped() -> bool:
                return bool(
                    await database.fetchval(
                        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
                    )
                )

            await eventually(stopped, f"healing reaches {table}")
        finally:
            process.send_signal(signal.SIGKILL)
            await process.wait()
    assert await state(database) == before

    async def all_healed() -> bool:
        # Until the server has noticed, the killed session holds its locks.
        return await healed(database) == {} and "hello" in repr((await state(database))["projects"])

    await eventually(all_healed, "the next one heals")
    assert {outcome for outcome, _ in (await rows(database)).values()} == {"healed"}
