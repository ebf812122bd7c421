"""Drift: what somebody changed by hand is found, field by field, and nothing else is."""

import asyncio
import json

from click.testing import CliRunner

from fc.base.database import Database
from fc.cli.main import cli
from fc.config.drift import Drift, DriftedField, find_drift
from tests.config.test_apply import put
from tests.support.configuration import WHOLE, project


async def drift(database: Database) -> list[Drift]:
    async with database.transaction() as connection:
        return await find_drift(connection)


async def test_what_was_applied_has_not_drifted(database: Database) -> None:
    await put(database, WHOLE)
    assert await drift(database) == []


async def test_every_changed_field_is_found_with_its_place(database: Database) -> None:
    await put(database, project("p", main="x"))
    await database.execute("UPDATE jobsets SET branch = 'y', keep_nr = 7, last_error = 'x'")
    assert await drift(database) == [
        Drift(
            "default",
            "jobset",
            "p/main",
            "fc.yaml",
            5,
            missing=False,
            fields=[DriftedField("branch", "x", "y"), DriftedField("keep_nr", 3, 7)],
        )
    ]


async def test_a_row_that_is_gone_is_found(database: Database) -> None:
    await put(database, project("p", main="x"))
    await database.execute("DELETE FROM projects")
    assert [(one.key, one.missing) for one in await drift(database)] == [("p/main", True), ("p", True)]


async def test_every_kind_drifts(database: Database) -> None:
    await put(database, WHOLE)
    for change in (
        "UPDATE users SET role = 'admin'",
        "UPDATE roles SET scopes = '[]'",
        "UPDATE remote_builders SET systems = '{}', max_jobs = 9",
        "UPDATE worker_pools SET config = '{}'",
        "UPDATE api_keys SET role = 'admin', user_id = NULL",
        "UPDATE projects SET enabled = false",
        "UPDATE jobset_inputs SET value = 'false'",
        'UPDATE webhook_configs SET secret = \'{"secret": "other"}\'',
        'UPDATE notification_configs SET config = config || \'{"repository": "other/x"}\'',
        "UPDATE project_members SET role = 'admin'",
    ):
        await database.execute(change)
    found = {(one.kind, field.field) for one in await drift(database) for field in one.fields}
    assert found == {
        ("user", "role"),
        ("role", "scopes"),
        ("remote_builder", "systems"),
        ("remote_builder", "max_jobs"),
        ("worker_pool", "config"),
        ("api_key", "role"),
        ("api_key", "user"),
        ("project", "enabled"),
        ("input", "value"),
        ("webhook", "secret"),
        ("notification", "repository"),
        ("member", "role"),
    }


async def test_a_one_shot_that_had_its_evaluation_has_not_drifted(database: Database) -> None:
    await put(database, project("p", main="x").replace("branch: x", "branch: x, state: one_shot"))
    await database.execute("UPDATE jobsets SET state = 'disabled'")
    assert await drift(database) == []


async def test_the_command_shows_drift_and_its_exit_status_tells(
    database: Database, database_url: str
) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(cli, ["drift", *arguments], env={"FC_DATABASE__URL": database_url})
        return result.exit_code, result.output

    await put(database, project("p", main="x"))
    # Commands have an event loop of their own.
    assert await asyncio.to_thread(run) == (0, "nothing has drifted\n")
    await database.execute("UPDATE jobsets SET branch = 'y'")
    assert await asyncio.to_thread(run) == (
        2,
        'jobset p/main  (fc.yaml:5)\n    branch: git says "x", the row says "y"\n',
    )
    code, text = await asyncio.to_thread(run, "--json")
    assert (code, json.loads(text)[0]["fields"]) == (2, [{"field": "branch", "declared": "x", "found": "y"}])
