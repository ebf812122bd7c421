"""Only what differs is read from the inventory, and the plan is the same as from all of it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fc.base.database import Database
from fc.base.durations import Duration
from fc.base.problems import Problem
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.base.source_settings import ConfigurationSettings
from fc.config import sources
from fc.config.apply import apply, make_guarded_plan
from fc.config.compile import Resource, ResourceId
from fc.config.diff import diff, moved
from fc.config.difference import read_difference
from fc.config.errors import ConfigurationError, PlanHeldError
from fc.config.guards import reasons_to_hold
from fc.config.inventory import Origin, read_inventory
from fc.config.marks import MARK_SQL, ROW_SQL, mark_of, parts_of
from fc.config.sources import SOURCE
from fc.config.sync import Synchronizer
from tests.support.configuration import WHOLE, sealed
from tests.support.counted import Tally, counted_database
from tests.support.large_configuration import PER_FILE, large_files
from tests.support.repository import Repository

Resources = Mapping[ResourceId, Resource]
NAMES = ("a", "b", "c", "d", "e", "f")
FILES = ("one.yaml", "two.yaml", "three.yaml")


async def put(database: Database, resources: Resources) -> None:
    """Applied, whatever it removes."""
    try:
        await apply(database, Origin(SOURCE), resources)
    except PlanHeldError as error:
        await apply(database, Origin(SOURCE), resources, confirmed=[error.digest])


async def from_difference(database: Database, resources: Resources) -> Any:
    async with database.snapshot() as connection:
        found = await read_difference(connection, SOURCE, resources, parts_of(resources))
    plan = diff(found.owned, found.declared, unchanged=found.unchanged)
    places = {one.id: (one.file, one.line) for one in moved(found.owned, found.declared)}
    return plan, places, reasons_to_hold(plan, found.owned, found.declared, found.same)


async def from_everything(database: Database, resources: Resources) -> Any:
    async with database.snapshot() as connection:
        inventory = await read_inventory(connection, SOURCE, resources)
    plan = diff(inventory, resources)
    places = {one.id: (one.file, one.line) for one in moved(inventory, resources)}
    return plan, places, reasons_to_hold(plan, inventory, resources)


async def outcome(
    read: Callable[[Database, Resources], Awaitable[Any]], database: Database, resources: Resources
) -> Any:
    """What it gives, or the problems for which it refuses."""
    try:
        return await read(database, resources)
    except ConfigurationError as error:
        return error.problems


@st.composite
def trees(draw: st.DrawFn, earlier: bool = False) -> dict[str, str]:
    """A few resources in a few files, anywhere in them; some say that they had another name."""
    texts = dict.fromkeys(FILES, "")
    for section, many in (("users", 6), ("roles", 6), ("projects", 4)):
        found = draw(st.sets(st.sampled_from(NAMES), max_size=many))
        gone = sorted(set(NAMES) - found)
        blocks: dict[str, list[str]] = {file: [] for file in FILES}
        former = draw(st.permutations(gone))
        for name in sorted(found):
            fields = {
                "users": f"email: {name}@x, role: {draw(st.sampled_from(['admin', 'read-only']))}, protected: {str(draw(st.booleans())).lower()}",
                "roles": f"description: {draw(st.sampled_from('xyz'))}, scopes: [s]",
                "projects": f"repository_url: /srv/{draw(st.sampled_from('xy'))}, members: {{}}, jobsets: {{m: {{nix_expression: {draw(st.sampled_from('xy'))}}}}}",
            }[section]
            was = f", renamed_from: {former.pop()}" if former and not earlier and draw(st.booleans()) else ""
            blocks[draw(st.sampled_from(FILES))].append(f"  {name}: {{{fields}{was}}}\n")
        for file, lines in blocks.items():
            if lines:
                texts[file] += "# moved\n" * draw(st.integers(0, 1)) + f"{section}:\n" + "".join(lines)
    return texts


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees(earlier=True), trees())
def test_the_plan_from_the_difference_is_the_plan_from_the_whole_inventory(
    database_url: str, first: dict[str, str], second: dict[str, str]
) -> None:
    async def check() -> None:
        database = await Database.connect(database_url, size=1)
        try:
            for table in ("config_resources", "config_revisions", "projects", "roles", "users"):
                await database.execute(f"DELETE FROM {table}")
            await put(database, sealed(first).resources)
            resources = sealed(second).resources
            found = await outcome(from_difference, database, resources)
            assert found == await outcome(from_everything, database, resources)
            if isinstance(found[0], Problem):
                return
            await put(database, resources)
            plan, places, _ = await from_difference(database, resources)
            assert (plan.changes, plan.owned, places) == ((), len(resources), {})
        finally:
            await database.close()

    asyncio.run(check())


async def test_a_rename_to_a_name_that_is_owned_is_refused_by_both(database: Database) -> None:
    await put(
        database,
        sealed("roles: {a: {description: x, scopes: [s]}, b: {description: x, scopes: [s]}}").resources,
    )
    resources = sealed("roles: {b: {description: x, scopes: [s], renamed_from: a}}").resources
    refused = await outcome(from_difference, database, resources)
    assert "git owns both 'b' and 'a'" in refused[0].message
    assert refused == await outcome(from_everything, database, resources)


def roles(first: int, last: int) -> str:
    return "roles:\n" + "".join(
        f"  r{number}: {{description: x, scopes: [s]}}\n" for number in range(first, last)
    )


ADMIN = "users: {u: {email: u@x, role: admin}}"
KEY = "api_keys: {k: {key: !secret s, role: admin, user: v}}"


@pytest.mark.parametrize(
    ("before", "after", "held"),
    [
        ({"a": roles(0, 4), "b": roles(4, 16)}, {"b": roles(4, 16)}, ""),
        ({"a": roles(0, 4), "b": roles(4, 15)}, {"b": roles(4, 15)}, "4 of 15 roles"),
        ({"a": ADMIN, "b": ADMIN.replace("{u:", "{w:").replace("u@x", "w@x")}, {"a": ADMIN}, ""),
        ({"a": ADMIN, "b": "users: {w: {email: w@x}}"}, {"b": "users: {w: {email: w@x}}"}, "user 'u'"),
        # What counts beside what changes: the user of a key.
        (
            {"a": ADMIN, "b": KEY, "c": "users: {v: {email: v@x}}"},
            {"b": KEY, "c": "users: {v: {email: v@x}}"},
            "",
        ),
        (
            {"a": ADMIN, "b": KEY, "c": "users: {v: {email: v@x, enabled: false}}"},
            {"b": KEY, "c": "users: {v: {email: v@x, enabled: false}}"},
            "user 'u'",
        ),
    ],
)
async def test_what_did_not_change_counts_for_the_guards(
    database: Database, before: dict[str, str], after: dict[str, str], held: str
) -> None:
    await put(database, sealed(before).resources)
    resources = sealed(after).resources
    found = await from_difference(database, resources)
    assert found == await from_everything(database, resources)
    (*_, reasons) = found
    assert held in "".join(reasons)
    assert bool(reasons) == bool(held)


keys = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=6)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.sampled_from(["role", "user"]), keys, st.integers(1, 3)), min_size=1, max_size=9)
)
def test_postgresql_marks_rows_as_we_mark_resources(
    database_url: str, found: list[tuple[str, str, int]]
) -> None:
    resources = {
        (kind, key): Resource(kind, key, {}, "f", line, 1, "ab"[line % 2] * 64, {})
        for kind, key, line in found
    }

    async def check() -> None:
        database = await Database.connect(database_url, size=1)
        try:
            columns = [(one.kind, one.key, one.content_hash, one.line) for one in resources.values()]
            marked = await database.fetchval(
                f"""WITH stored AS (
                    SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::int[]) AS d(kind, key, content_hash, line)
                ), grouped AS (SELECT array_agg({ROW_SQL}) AS rows FROM stored) SELECT {MARK_SQL} FROM grouped""",
                *([one[index] for one in columns] for index in range(4)),
            )
            assert marked == mark_of(resources.values())
        finally:
            await database.close()

    asyncio.run(check())


def test_a_mark_tells_apart_what_reads_alike() -> None:
    def one(key: str, line: int = 1, kind: str = "role") -> Resource:
        return Resource(kind, key, {}, "f", line, 1, "x", {})

    marks = {
        mark_of(found)
        for found in (
            [],
            [one("a")],
            [one("a", line=2)],
            [one("a", kind="user")],
            [one("a"), one("b")],
            [one("a\nx 1 role 1 b")],
            [one("\ud800")],
        )
    }
    assert len(marks) == 7
    assert mark_of([one("a"), one("b")]) == mark_of([one("b"), one("a")])


async def test_of_one_large_file_only_what_differs_comes_back(database_url: str) -> None:
    def text(many: int, last: str) -> str:
        lines = [f"  r{number}: {{description: x{number}, scopes: [s]}}" for number in range(many)]
        return "\n".join(["roles:", *lines, f"  last: {{description: {last}, scopes: [s]}}"])

    tally = Tally()
    async with counted_database(database_url, tally) as database:
        await put(database, sealed(text(300, "x")).resources)
        tally.reset()
        plan, reasons = await make_guarded_plan(database, SOURCE, sealed(text(300, "y")).resources)
    assert [(one.action, one.key) for one in plan.changes] == [("update", "last")]
    assert (plan.owned, reasons) == (301, ())
    # The file, the row, and what it said.
    assert tally.rows == 3


async def test_an_inventory_that_was_changed_by_hand_is_seen(database: Database) -> None:
    resources = sealed(WHOLE).resources
    await put(database, resources)
    await database.execute("DELETE FROM config_resources WHERE kind = 'webhook'")
    await database.execute("UPDATE config_resources SET content_hash = 'x' WHERE kind = 'role'")
    await database.execute("UPDATE config_resources SET file = 'other.yaml' WHERE kind = 'user'")
    await database.execute(
        "INSERT INTO config_resources (source, kind, key, content, content_hash, file, line)"
        " VALUES ($1, 'role', 'left', '{}', 'x', 'fc.yaml', 1)",
        SOURCE,
    )
    found = await from_difference(database, resources)
    assert found == await from_everything(database, resources)
    plan, places, _ = found
    assert [(one.action, one.key) for one in plan.changes] == [
        ("delete", "left"),
        ("update", "project-admin:*"),
        ("create", "hello/github"),
    ]
    assert list(places) == [("user", "alice")]


async def test_rows_of_other_sources_are_not_compared(database: Database) -> None:
    resources = sealed(WHOLE).resources
    await put(database, resources)
    await database.execute("UPDATE config_resources SET source = 'elsewhere' WHERE kind = 'role'")
    plan, _, _ = await from_difference(database, resources)
    assert [(one.action, one.kind) for one in plan.changes] == [("create", "role")]
    assert plan.owned == 12


async def test_how_much_is_read_does_not_depend_on_how_much_there_is(
    database_url: str, tmp_path: Path
) -> None:
    """As in the service: after one line changed, and after nothing did."""
    counted = {}
    for files in (2, 12):
        directory = tmp_path / str(files)
        repository = Repository(directory / "repository")
        texts = large_files(files)
        repository.commit(dict(texts))
        tally = Tally()
        configured = Settings(
            data_dir=directory / "data",
            configuration=ConfigurationSettings(url=repository.url, poll_interval=Duration(3600)),
        )
        async with counted_database(database_url, tally) as database:
            synchronizer = Synchronizer(configured, database, Secrets(directory))
            await synchronizer.register()
            assert await synchronizer.synchronize()
            figures = []
            for changed in ({next(iter(texts)): large_files(1, f"Of {files}")[next(iter(texts))]}, None):
                if changed is not None:
                    repository.commit(changed)
                await sources.request_sync(database)
                tally.reset()
                assert await synchronizer.synchronize()
                figures.append((len(tally.statements), tally.rows))
            assert await database.fetchval("SELECT count(*) FROM config_resources") == files * PER_FILE
        counted[files] = figures
    assert counted[2] == counted[12]
    (_, one_line), (_, nothing) = counted[12]
    assert (one_line, nothing) < (20, 5)
