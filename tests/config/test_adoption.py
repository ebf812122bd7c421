"""Adoption: a row made by hand is taken over when somebody said so, and never otherwise."""

import asyncio

import pytest
from click.testing import CliRunner

from fc.base.database import Database
from fc.base.errors import ConflictError, NotFoundError
from fc.cli.main import cli
from fc.config.adoption import allow_adoption
from fc.config.apply import make_plan
from fc.config.errors import ConfigurationError, PlanChangedError
from fc.config.render import plan_text
from fc.config.sources import SOURCE
from tests.config.test_apply import put, state
from tests.support.configuration import WHOLE, sealed

TEXT = "users: {a: {email: a@y, role: admin}}"


@pytest.fixture(autouse=True)
async def _by_hand(database: Database) -> None:
    await database.execute("INSERT INTO users (username, email) VALUES ('a', 'a@x')")


async def allow(database: Database, kind: str, key: str) -> None:
    async with database.transaction() as connection:
        await allow_adoption(connection, kind, key, "cli:ada")


async def test_a_row_is_taken_over_when_somebody_said_so(database: Database) -> None:
    with pytest.raises(ConfigurationError, match="fcctl adopt"):
        await put(database, TEXT)
    before = await database.fetchval("SELECT id FROM users")
    await allow(database, "user", "a")
    plan = await make_plan(database, SOURCE, sealed(TEXT).resources)
    assert plan_text(plan).plain == (
        "= user a  (taken over from whoever made it by hand, fc.yaml:1)\n"
        "    email: a@x → a@y\n    role: read-only → admin\n"
        f"0 to create, 0 to update, 0 to remove, 1 to adopt (plan {plan.short_digest})\n"
    )
    await put(database, TEXT, expected_digest=plan.digest)
    assert await database.fetchval("SELECT id FROM users WHERE email = 'a@y'") == before
    assert await database.fetchval("SELECT action FROM config_changes") == "adopt"
    assert await database.fetchval("SELECT count(*) FROM config_adoptions") == 0
    assert (await put(database, TEXT)).plan.changes == ()


async def test_a_plan_to_adopt_is_refused_when_the_row_has_changed_since(database: Database) -> None:
    await allow(database, "user", "a")
    plan = await make_plan(database, SOURCE, sealed(TEXT).resources)
    await database.execute("UPDATE users SET full_name = 'Somebody'")
    with pytest.raises(PlanChangedError):
        await put(database, TEXT, expected_digest=plan.digest)


async def test_consent_to_one_row_is_none_to_another(database: Database) -> None:
    await database.execute("INSERT INTO users (username, email) VALUES ('b', 'b@x')")
    await allow(database, "user", "a")
    with pytest.raises(ConfigurationError, match="user 'b' is there already"):
        await put(database, "users: {a: {email: a@x}, b: {email: b@x}}")


async def test_every_kind_can_be_adopted_as_it_is(database: Database) -> None:
    await database.execute("DELETE FROM users")
    await put(database, WHOLE)
    before = await state(database)
    await database.execute("DELETE FROM config_resources")
    await database.execute("DELETE FROM config_revisions")
    for kind, key in sealed(WHOLE).resources:
        await allow(database, kind, key)
    plan = await make_plan(database, SOURCE, sealed(WHOLE).resources)
    assert plan.summary == {"create": 0, "update": 0, "delete": 0, "adopt": 13}
    # Whether a secret is the same cannot be told from its hash, and what is not said is not stored.
    assert {name for change in plan.changes for name in change.differing()} <= {"key", "secret", "url"}
    await put(database, WHOLE)
    assert await state(database) == before


async def test_only_what_is_there_and_not_owned_can_be_adopted(database: Database) -> None:
    await put(database, "users: {b: {email: b@x}}")
    with pytest.raises(ConflictError, match=r"git owns user 'b' already: fc\.yaml:1"):
        await allow(database, "user", "b")
    for kind, key in (("user", "nobody"), ("jobset", "p/main"), ("jobset", "p"), ("input", "p/main")):
        with pytest.raises(NotFoundError):
            await allow(database, kind, key)


async def test_the_command_adopts_and_is_audited(database: Database, database_url: str) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(cli, arguments, env={"FC_DATABASE__URL": database_url})
        return result.exit_code, result.output

    # Commands have an event loop of their own.
    assert await asyncio.to_thread(run, "adopt", "usr", "a") == (
        1,
        (
            "fcctl: 'usr' is no kind of resource; did you mean 'user'?; kinds are api_key, channel, input, jobset, member, "
            "notification, project, remote_builder, role, user, webhook, worker_pool\n"
        ),
    )
    assert (await asyncio.to_thread(run, "adopt", "user", "nobody"))[0] == 1
    assert (await asyncio.to_thread(run, "adopt", "user", "a"))[0] == 0
    event = await database.fetchrow("SELECT action, kind, key FROM audit_events")
    assert event is not None
    assert tuple(event) == ("configure", "user", "a")
