"""Renames and removals: what keeps its history, what goes for good, and what is refused at its place."""

import pytest

from fc.base.database import Database
from fc.config.apply import make_plan
from fc.config.errors import ConfigurationError
from fc.config.history import state_at
from fc.config.render import plan_text
from fc.config.sources import SOURCE
from tests.config.test_apply import confirm_and_put, put, state
from tests.support.configuration import WHOLE, compiled, project, sealed, shown

RENAMED = (
    WHOLE.replace("  hello:\n", "  greeting:\n    renamed_from: hello\n")
    .replace("      main:\n        {", "      trunk:\n        {renamed_from: main, ")
    .replace("stable: {jobset: main}", "current: {jobset: trunk}")
    .replace("alice: maintainer", "alicia: maintainer")
    .replace("users: {alice: {", "users: {alicia: {renamed_from: alice, ")
    .replace("user: alice}", "user: alicia, renamed_from: deploy-bot}")
    .replace("api_keys: {deploy-bot", "api_keys: {deployer")
    .replace('"project-admin:*": {', '"admin:*": {renamed_from: "project-admin:*", ')
    .replace("  nix/linux: {", "  nix/debian: {renamed_from: nix/linux, ")
    .replace("  big-1: {", "  big-2: {renamed_from: big-1, ")
    .replace("[big-1]", "[big-2]")
)
"""Everything that can be renamed is."""


async def ids(database: Database) -> set[tuple[str, object]]:
    """Of every row that can be renamed."""
    tables = (
        "users",
        "roles",
        "remote_builders",
        "worker_pools",
        "api_keys",
        "projects",
        "jobsets",
        "jobset_inputs",
    )
    return {(table, row["id"]) for table in tables for row in await database.fetch(f"SELECT id FROM {table}")}


async def test_a_rename_keeps_the_row_and_with_it_everything_that_belongs_to_it(database: Database) -> None:
    await put(database, WHOLE)
    before = await ids(database)
    applied = await put(database, RENAMED)
    assert applied.plan.summary == {"create": 1, "update": 0, "delete": 1, "rename": 12}
    assert await ids(database) == before
    assert [row[:2] for row in (await state(database))["jobsets"]] == [("greeting", "trunk")]
    assert (await put(database, RENAMED)).plan.changes == ()


async def test_after_renames_everything_is_as_if_it_had_always_had_these_names(database: Database) -> None:
    await put(database, RENAMED)
    expected = await state(database)
    for table in (
        "config_resources",
        "config_revisions",
        "projects",
        "api_keys",
        "roles",
        "users",
        "remote_builders",
        "worker_pools",
    ):
        await database.execute(f"DELETE FROM {table}")
    await put(database, WHOLE)
    await put(database, RENAMED)
    assert await state(database) == expected


async def test_taking_out_renamed_from_is_no_change(database: Database) -> None:
    await put(database, project("p", main="x"))
    renamed = project("q", main="x").replace("  q:\n", "  q:\n    renamed_from: p\n")
    await put(database, renamed)
    assert (await put(database, project("q", main="x"))).plan.changes == ()


async def test_a_rename_may_change_fields_and_says_so(database: Database) -> None:
    await put(database, "users: {a: {email: a@x}}")
    text = "users: {b: {email: b@x, renamed_from: a}}"
    plan = await make_plan(database, SOURCE, sealed(text).resources)
    assert plan_text(plan).plain == (
        "→ user b  (renamed from a, fc.yaml:1)\n    email: a@x → b@x\n"
        f"0 to create, 0 to update, 0 to remove, 1 to rename (plan {plan.short_digest})\n"
    )
    await put(database, text, expected_digest=plan.digest)
    rows = await database.fetch("SELECT username, email FROM users")
    assert [tuple(row) for row in rows] == [("b", "b@x")]


async def test_what_is_taken_out_of_a_renamed_project_goes(database: Database) -> None:
    await put(database, project("p", main="x", next="y"))
    renamed = project("q", main="x").replace("  q:\n", "  q:\n    renamed_from: p\n")
    await put(database, renamed)
    rows = await database.fetch(
        "SELECT p.name || '/' || j.name AS key, j.enabled FROM jobsets j JOIN projects p ON p.id = j.project_id ORDER BY 1"
    )
    assert [tuple(row) for row in rows] == [("q/main", True), ("q/next", False)]
    owned = await database.fetch("SELECT key FROM config_resources ORDER BY key")
    assert [row["key"] for row in owned] == ["q", "q/main"]


async def test_the_history_knows_each_name_in_its_time(database: Database) -> None:
    first = await put(database, project("p", main="x"))
    renamed = project("q", main="x").replace("  q:\n", "  q:\n    renamed_from: p\n")
    second = await put(database, renamed)
    assert first.revision is not None
    assert second.revision is not None
    async with database.transaction() as connection:
        before = await state_at(connection, first.revision)
        after = await state_at(connection, second.revision)
    assert [one.key for one in before.resources] == ["p/main", "p"]
    assert [one.key for one in after.resources] == ["q/main", "q"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("users: {a: {email: a@x, renamed_from: a}}", "fc.yaml:1:39: renamed_from: this is its own name"),
        (
            "users: {a: {email: a@x}, b: {email: b@x, renamed_from: a}}",
            "fc.yaml:1:56: renamed_from: 'a' is still declared at fc.yaml:1:9; what was renamed has one name, and chains and swaps take a commit for each step",
        ),
        (
            "users: {b: {email: a@x, renamed_from: a}, c: {email: b@x, renamed_from: a}}",
            "fc.yaml:1:73: renamed_from: 'b' at fc.yaml:1:9 is renamed from 'a' too",
        ),
    ],
)
def test_a_rename_that_cannot_be_meant_is_a_problem_at_its_place(text: str, problem: str) -> None:
    assert shown(compiled(text).problems) == [problem]


def test_a_swap_is_two_problems() -> None:
    text = "users: {a: {email: a@x, renamed_from: b}, b: {email: b@x, renamed_from: a}}"
    assert len(compiled(text).problems) == 2


async def test_a_rename_to_a_name_that_git_owns_is_refused(database: Database) -> None:
    await put(database, "users: {a: {email: a@x}, b: {email: b@x}}")
    with pytest.raises(ConfigurationError) as caught:
        await put(database, "users: {b: {email: b@x, renamed_from: a}}")
    assert shown(caught.value.problems) == [
        "fc.yaml:1:39: renamed_from: git owns both 'b' and 'a', so this is no rename; take out renamed_from, or rename to a new name"
    ]


async def test_a_rename_to_the_name_of_a_row_made_by_hand_is_refused(database: Database) -> None:
    await put(database, "users: {a: {email: a@x}}")
    await database.execute("INSERT INTO users (username, email) VALUES ('b', 'b@x')")
    before = await state(database)
    with pytest.raises(ConfigurationError, match="user 'b' is there already"):
        await put(database, "users: {b: {email: a@x, renamed_from: a}}")
    assert await state(database) == before


async def test_a_row_made_by_hand_inside_a_renamed_project_is_not_taken_over(database: Database) -> None:
    await put(database, project("p", main="x"))
    await database.execute(
        "INSERT INTO jobsets (project_id, name, nix_expression) SELECT id, 'hand', 'x' FROM projects"
    )
    renamed = project("q", main="x", hand="y").replace("  q:\n", "  q:\n    renamed_from: p\n")
    with pytest.raises(ConfigurationError, match="jobset 'q/hand' is there already"):
        await put(database, renamed)


async def test_a_rename_of_what_git_does_not_own_creates(database: Database) -> None:
    applied = await put(database, "users: {b: {email: b@x, renamed_from: a}}")
    assert applied.plan.summary == {"create": 1, "update": 0, "delete": 0}


async def test_on_remove_delete_leaves_nothing(database: Database) -> None:
    text = (
        WHOLE.replace("    description: A friendly greeting\n", "    on_remove: delete\n")
        .replace("role: read-only}", "role: read-only, on_remove: delete}")
        .replace("max_jobs: 8,", "max_jobs: 8, on_remove: delete,")
    )
    await put(database, text)
    await confirm_and_put(database, "{}")
    assert {name: rows for name, rows in (await state(database)).items() if rows} == {}


async def test_on_remove_counts_as_it_was_applied_last(database: Database) -> None:
    await put(database, "users: {a: {email: a@x}, b: {email: b@x}}")
    await put(database, "users: {a: {email: a@x, on_remove: delete}, b: {email: b@x}}")
    plan = await make_plan(database, SOURCE, sealed("users: {b: {email: b@x}}").resources)
    assert "- user a  (deleted with its history, fc.yaml:1)" in plan_text(plan).plain
    await put(database, "users: {b: {email: b@x}}")
    assert [row[0] for row in (await state(database))["users"]] == ["b"]
