"""Attacks on applying: killed in the middle, two at once, any state to any other."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fc.base.database import Database
from fc.config.apply import Applied, apply
from fc.config.compile import Resource, ResourceId
from fc.config.diff import Owned, diff
from fc.config.errors import PlanChangedError
from fc.config.inventory import Origin
from fc.config.sources import SOURCE
from tests.config.test_apply import confirm_and_put, put, state
from tests.support.configuration import WHOLE, project, sealed
from tests.support.waiting import eventually

CHILD = """
import asyncio, sys
from fc.base.database import Database
from fc.config.apply import apply
from fc.config.inventory import Origin
from tests.support.configuration import sealed

async def main():
    database = await Database.connect(sys.argv[1], size=1)
    print("connected", flush=True)
    await apply(database, Origin("default"), sealed(sys.argv[2]).resources)
    print("applied", flush=True)

asyncio.run(main())
"""

WAITING = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
)


@pytest.fixture
def applying(database_url: str, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that applies a configuration."""
    script = tmp_path / "apply.py"
    script.write_text(textwrap.dedent(CHILD), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(script), database_url, WHOLE],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )
    yield process
    process.kill()
    process.wait()


@pytest.mark.parametrize("table", ["users", "jobsets", "config_revisions", "config_changes"])
async def test_kill_9_in_the_middle_leaves_everything_as_before(
    database: Database, database_url: str, applying: "subprocess.Popen[str]", table: str
) -> None:
    before = await state(database)
    blocker = await asyncpg.connect(database_url)
    try:
        # Whoever holds this lock stops the application exactly at its first write to the table.
        async with blocker.transaction():
            await blocker.execute(f"LOCK TABLE {table} IN SHARE MODE")

            async def stopped() -> bool:
                return bool(await database.fetchval(WAITING))

            await eventually(stopped, f"the application reaches {table}")
            applying.send_signal(signal.SIGKILL)
            applying.wait()
    finally:
        await blocker.close()

    async def gone() -> bool:
        return not await database.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE '%jsonb_to_recordset%' AND state <> 'idle'"
        )

    await eventually(gone, "the killed application's session ends")
    assert await state(database) == before
    for history in ("config_revisions", "config_changes"):
        assert await database.fetchval(f"SELECT count(*) FROM {history}") == 0
    assert (await put(database, WHOLE)).plan.summary["create"] == 13


async def test_an_error_in_the_last_statement_undoes_the_first(database: Database) -> None:
    await put(database, project("p", main="x"))
    before = await state(database)
    await database.execute(
        "ALTER TABLE config_changes ADD CONSTRAINT never CHECK (kind <> 'webhook') NOT VALID"
    )
    with pytest.raises(asyncpg.CheckViolationError):
        await put(database, WHOLE)
    assert await state(database) == before


async def test_of_two_applications_of_one_plan_one_wins_and_the_other_is_refused(database: Database) -> None:
    resources = sealed(WHOLE).resources
    digest = diff([], resources).digest
    results = await asyncio.gather(
        *(apply(database, Origin(SOURCE), resources, expected_digest=digest) for _ in range(2)),
        return_exceptions=True,
    )
    assert {type(one) for one in results} == {Applied, PlanChangedError}
    assert await database.fetchval("SELECT count(*) FROM config_revisions") == 1


async def test_applications_at_once_come_one_after_the_other(database: Database) -> None:
    texts = [project("p", main=f"branch-{number}") for number in range(5)]
    applied = await asyncio.gather(*(put(database, text) for text in texts))
    assert sorted(one.plan.summary["create"] for one in applied) == [0, 0, 0, 0, 2]
    last = await database.fetchval(
        "SELECT after ->> 'branch' FROM config_changes WHERE kind = 'jobset' ORDER BY created_at DESC LIMIT 1"
    )
    assert await database.fetchval("SELECT branch FROM jobsets") == last
    assert (
        await database.fetchval("SELECT content ->> 'branch' FROM config_resources WHERE kind = 'jobset'")
        == last
    )


async def test_rows_that_are_written_in_many_statements_are_the_same_rows(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def users(**addresses: str) -> str:
        return "users:\n" + "".join(f"  {name}: {{email: {mail}}}\n" for name, mail in addresses.items())

    monkeypatch.setattr("fc.config.apply._BATCH_ROWS", 1)
    monkeypatch.setattr("fc.config.inventory._BATCH_ROWS", 1)
    await put(database, users(a="x@x", b="y@x", c="z@x"))
    applied = await put(database, users(a="y@x", b="z@x", c="x@x", d="w@x"))
    assert applied.plan.summary == {"create": 1, "update": 3, "delete": 0}
    rows = await database.fetch("SELECT username, email FROM users ORDER BY username")
    assert [tuple(row) for row in rows] == [("a", "y@x"), ("b", "z@x"), ("c", "x@x"), ("d", "w@x")]
    assert await database.fetchval("SELECT count(*) FROM config_resources") == 4
    assert await database.fetchval("SELECT count(*) FROM config_changes") == 7
    await confirm_and_put(database, WHOLE)
    await confirm_and_put(database, "")
    assert await database.fetchval("SELECT count(*) FROM config_resources") == 0
    assert await database.fetchval("SELECT count(*) FROM users WHERE enabled") == 0


names = st.sampled_from(["a", "b", "c"])
flags = st.booleans()
roles = st.sampled_from(["admin", "read-only"])


@st.composite
def configurations(draw: st.DrawFn) -> str:
    """Texts that declare some of a few resources, in some of a few ways."""
    users = {name: draw(st.sampled_from(["x", "y", "z"])) for name in draw(st.sets(names))}
    lines = [
        "users:",
        *(f"  u-{n}: {{email: {n}-{mail}@x, role: {draw(roles)}}}" for n, mail in users.items()),
    ]
    lines += [
        "roles:",
        *(f"  r-{n}: {{description: {draw(names)}, scopes: [{draw(names)}]}}" for n in draw(st.sets(names))),
    ]
    lines += ["api_keys:"]
    for n in draw(st.sets(names)):
        user = f", user: u-{draw(st.sampled_from(sorted(users)))}" if bool(users) and draw(flags) else ""
        lines.append(f"  k-{n}: {{key: !secret s-{n}{user}}}")
    lines += ["projects:"]
    for n in draw(st.sets(names)):
        lines += [f"  p-{n}:", f"    repository_url: /srv/{draw(names)}", "    jobsets:"]
        jobsets = sorted(draw(st.sets(names)))
        for j in jobsets:
            value = f", inputs: {{i: {{type: string, value: {draw(names)}}}}}" if draw(flags) else ""
            lines.append(f"      {j}: {{nix_expression: {draw(names)}{value}}}")
        lines += ["    channels:"] + (
            [f"      c: {{jobset: {draw(st.sampled_from(jobsets))}}}"]
            if bool(jobsets) and draw(flags)
            else []
        )
        lines += [
            "    members:",
            *(f"      u-{m}: {draw(st.sampled_from(['member', 'admin']))}" for m in users if draw(flags)),
        ]
        lines += [
            "    notifications:",
            *(
                f"      - {{type: github_status, repository: x/{m}, token: !secret t}}"
                for m in draw(st.sets(names))
            ),
        ]
        lines += [
            "    webhooks:",
            *([f"      gitlab: {{secret: !secret w-{draw(names)}}}"] if draw(flags) else []),
        ]
    return "\n".join(lines)


def inventory(resources: dict[ResourceId, Resource]) -> list[Owned]:
    return [
        Owned(one.kind, one.key, one.content_hash, one.file, one.line, one.fields)
        for one in resources.values()
    ]


@settings(max_examples=100, deadline=None)
@given(configurations(), configurations())
def test_a_plan_turns_any_state_into_any_other(first: str, second: str) -> None:
    before, after = sealed(first).resources, sealed(second).resources
    plan = diff(inventory(before), after)
    reached = {one: resource.fields for one, resource in before.items()}
    for change in plan.changes:
        assert reached.get(change.id) == change.before
        if change.after is None:
            del reached[change.id]
        else:
            reached[change.id] = change.after
    assert reached == {one: resource.fields for one, resource in after.items()}
    assert diff(inventory(after), after).changes == ()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(configurations(), configurations())
def test_applying_reaches_the_same_rows_whatever_was_there_before(
    database_url: str, first: str, second: str
) -> None:
    async def rows(*texts: str) -> object:
        database = await Database.connect(database_url, size=1)
        try:
            async with database.transaction() as connection:
                for table in (
                    "config_resources",
                    "config_revisions",
                    "projects",
                    "api_keys",
                    "roles",
                    "users",
                ):
                    await connection.execute(f"DELETE FROM {table}")
            for text in texts:
                await confirm_and_put(database, text)
            found = await state(database)
        finally:
            await database.close()
        # What was removed and has a history stays, disabled; everything else must be equal.
        kept = {"users": 4, "projects": 3, "jobsets": 3}
        return {
            name: [row for row in table if name not in kept or row[kept[name]]]
            for name, table in found.items()
        }

    assert asyncio.run(rows(first, second)) == asyncio.run(rows(second))
