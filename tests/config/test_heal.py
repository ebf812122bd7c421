"""Healing: what drifted is written again as git says, whole or not at all."""

from typing import Any

import pytest

from fc.base.database import Database
from fc.base.errors import NotFoundError, SecretMissingError
from fc.config.drift import find_drift
from fc.config.drift_log import look
from fc.config.heal import UnhealableError, heal_due, heal_one
from fc.config.language import KIND_BY_NAME
from fc.config.pauses import pause
from tests.config.test_apply import put, state
from tests.support.by_hand import by_hand
from tests.support.configuration import WHOLE, project, value_of

ALL = list(KIND_BY_NAME)
MISSING = ("deploy-key", "nowhere")


def revealed(reference: dict[str, Any]) -> str:
    return value_of(reference["secret"])


async def healed(database: Database, kinds: list[str] | None = None) -> dict[tuple[str, str], str]:
    """Look and heal; what failed."""
    assert await look(database, 600, now=True) == "recorded"
    return (await heal_due(database, ALL if kinds is None else kinds, revealed, retry_seconds=600)).failures


async def rows(database: Database) -> dict[tuple[str, str], tuple[str | None, str | None]]:
    found = await database.fetch("SELECT kind, key, outcome, message FROM config_drift")
    return {(row["kind"], row["key"]): (row["outcome"], row["message"]) for row in found}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE users SET role = 'admin', email = 'other@example.org'",
        "UPDATE roles SET scopes = '{}'",
        "UPDATE remote_builders SET systems = '{}', enabled = false",
        "UPDATE worker_pools SET config = '[]'",
        "UPDATE api_keys SET role = 'admin', user_id = NULL",
        "UPDATE api_keys SET key_hash = 'x'",
        "UPDATE projects SET enabled = false, description = NULL",
        "UPDATE jobsets SET branch = 'evil', state = 'disabled'",
        "UPDATE jobset_inputs SET value = 'false'",
        "UPDATE webhook_configs SET secret = '5', secret_hash = NULL",
        "UPDATE notification_configs SET config = '\"text\"', notification_type = 'webhook'",
        "UPDATE project_members SET role = 'admin'",
        "UPDATE projects SET name = 'stolen'",
        "DELETE FROM projects",
        "DELETE FROM users",
        "DELETE FROM jobsets",
        "TRUNCATE projects, users, remote_builders, worker_pools, roles CASCADE",
    ],
)
async def test_whatever_was_changed_is_as_git_says_again(
    database: Database, database_url: str, change: str
) -> None:
    await put(database, WHOLE)
    before = await state(database)
    await by_hand(database_url, change)
    assert await healed(database) == {}
    after = await state(database)
    if "stolen" in change:
        after["projects"] = [row for row in after["projects"] if row[0] != "stolen"]
        moved = ("jobsets", "channels", "webhook_configs", "notification_configs", "project_members")
        after |= {name: [row for row in after[name] if row[0] != "stolen"] for name in moved}
        after["jobset_inputs"] = before["jobset_inputs"]
    assert after == before
    assert {outcome for outcome, _ in (await rows(database)).values()} == {"healed"}
    async with database.snapshot() as connection:
        assert await find_drift(connection) == []


async def test_healing_is_audited_with_what_it_changed(database: Database, database_url: str) -> None:
    await put(database, WHOLE)
    await by_hand(
        database_url,
        "UPDATE jobsets SET branch = 'y'",
        'UPDATE notification_configs SET config = config || \'{"token": "ghp_plain"}\'',
    )
    await healed(database)
    found = await database.fetch(
        "SELECT actor, kind, key, details FROM audit_events WHERE action = 'heal' ORDER BY kind"
    )
    assert [tuple(row) for row in found] == [
        (
            "fc:drift",
            "jobset",
            "hello/main",
            {"missing": False, "before": {"branch": "y"}, "after": {"branch": "main"}},
        ),
        (
            "fc:drift",
            "notification",
            "hello/github_status",
            {
                "missing": False,
                "before": {"token": "«secret»"},
                "after": {"token": "«secret» github-token"},
            },
        ),
    ]


async def test_only_the_kinds_that_are_named_are_healed(database: Database, database_url: str) -> None:
    await put(database, WHOLE)
    await by_hand(database_url, "UPDATE users SET role = 'admin'", "UPDATE jobsets SET branch = 'y'")
    assert await healed(database, ["user"]) == {}
    assert await rows(database) == {
        ("user", "alice"): ("healed", None),
        ("jobset", "hello/main"): (None, None),
    }
    assert await database.fetchval("SELECT branch FROM jobsets") == "y"


async def test_a_project_is_made_again_with_everything_in_it(database: Database, database_url: str) -> None:
    await put(database, WHOLE)
    before = await state(database)
    await by_hand(database_url, "DELETE FROM projects")
    done = await heal_one(database, "project", "hello", revealed, actor="cli:ada")
    assert [kind for kind, _ in done] == [
        "project",
        "jobset",
        "input",
        "input",
        "channel",
        "webhook",
        "notification",
        "member",
    ]
    assert await state(database) == before


async def test_what_stands_in_something_missing_waits_for_it(database: Database, database_url: str) -> None:
    await put(database, WHOLE)
    await by_hand(database_url, "DELETE FROM projects", "DELETE FROM users")
    with pytest.raises(UnhealableError, match="is missing; heal that first"):
        await heal_one(database, "jobset", "hello/main", revealed, actor="cli:ada")
    failures = await healed(database, ["webhook", "member", "api_key"])
    assert failures.keys() == {
        ("webhook", "hello/github"),
        ("member", "hello/alice"),
        ("api_key", "deploy-bot"),
    }
    assert await database.fetchval("SELECT role FROM api_keys") == "restart-jobs"
    assert await healed(database, ["project", "user"]) == {}
    async with database.snapshot() as connection:
        assert await find_drift(connection) == []


async def test_what_cannot_be_healed_says_why_and_is_not_tried_all_the_time(
    database: Database, database_url: str
) -> None:
    await put(database, WHOLE)
    await by_hand(
        database_url,
        "UPDATE users SET email = 'other@example.org'",
        "INSERT INTO users (username, email) VALUES ('eve', 'alice@example.org')",
    )
    why = "another row has its email already"
    assert await healed(database) == {("user", "alice"): why}
    assert await rows(database) == {("user", "alice"): (None, why)}
    assert await healed(database) == {}, "the retry is not due"
    await by_hand(database_url, "UPDATE users SET full_name = 'x' WHERE username = 'alice'")
    assert await healed(database) == {("user", "alice"): why}, "it is another drift now"
    await by_hand(database_url, "DELETE FROM users WHERE username = 'eve'")
    await database.execute("UPDATE config_drift SET tried_at = now() - interval '1 hour'")
    assert await healed(database) == {}
    assert await database.fetchval("SELECT email FROM users") == "alice@example.org"


async def test_one_that_cannot_be_healed_does_not_keep_others(database: Database, database_url: str) -> None:
    text = "users:\n" + "".join(f"  u{number}: {{email: u{number}@example.org}}\n" for number in range(5))
    await put(database, text)
    await by_hand(
        database_url,
        "UPDATE users SET email = 'x' || email, role = 'admin'",
        "INSERT INTO users (username, email) VALUES ('eve', 'u3@example.org')",
    )
    assert (await healed(database)).keys() == {("user", "u3")}
    assert await database.fetchval("SELECT count(*) FROM users WHERE role = 'admin'") == 1


async def test_addresses_that_two_users_exchanged_are_exchanged_back(
    database: Database, database_url: str
) -> None:
    await put(database, "users: {a: {email: a@example.org}, b: {email: b@example.org}}")
    before = await state(database)
    await by_hand(
        database_url,
        "UPDATE users SET email = 'free' WHERE username = 'a'",
        "UPDATE users SET email = 'a@example.org' WHERE username = 'b'",
        "UPDATE users SET email = 'b@example.org' WHERE username = 'a'",
    )
    assert await healed(database) == {}
    assert await state(database) == before


async def test_a_key_that_was_rotated_since_is_left_to_the_next_synchronisation(
    database: Database, database_url: str
) -> None:
    await put(database, WHOLE)
    await by_hand(database_url, "UPDATE api_keys SET key_hash = 'x', role = 'admin'")
    await look(database, 600, now=True)

    def rotated(_reference: dict[str, Any]) -> str:
        return "another value"

    with pytest.raises(UnhealableError, match="the next synchronisation writes it"):
        await heal_one(database, "api_key", "deploy-bot", rotated, actor="cli:ada")

    def missing(_reference: dict[str, Any]) -> str:
        raise SecretMissingError(*MISSING)

    with pytest.raises(UnhealableError, match="secret 'deploy-key' is not known"):
        await heal_one(database, "api_key", "deploy-bot", missing, actor="cli:ada")
    assert await database.fetchval("SELECT role FROM api_keys") == "admin"


async def test_a_key_whose_hash_is_right_needs_no_secret(database: Database, database_url: str) -> None:
    await put(database, WHOLE)
    before = await state(database)
    await by_hand(database_url, "UPDATE api_keys SET role = 'admin'")

    def missing(_reference: dict[str, Any]) -> str:
        raise SecretMissingError(*MISSING)

    await heal_one(database, "api_key", "deploy-bot", missing, actor="cli:ada")
    assert await state(database) == before


async def test_a_one_shot_that_had_its_evaluation_stays_so(database: Database, database_url: str) -> None:
    await put(database, project("p", main="x").replace("branch: x", "branch: x, state: one_shot"))
    await database.execute("UPDATE jobsets SET state = 'disabled'")
    await by_hand(database_url, "UPDATE jobsets SET keep_nr = 9")
    assert await healed(database) == {}
    assert tuple(await database.fetchrow("SELECT keep_nr, state FROM jobsets") or ()) == (3, "disabled")


async def test_what_git_does_not_own_is_not_touched(database: Database, database_url: str) -> None:
    await put(database, project("p", main="x"))
    await by_hand(
        database_url,
        "INSERT INTO jobsets (project_id, name, nix_expression) SELECT id, 'mine', 'x' FROM projects",
    )
    before = await state(database)
    with pytest.raises(NotFoundError):
        await heal_one(database, "jobset", "p/mine", revealed, actor="cli:ada")
    assert await heal_one(database, "jobset", "p/main", revealed, actor="cli:ada") == []
    assert await state(database) == before


async def test_a_paused_source_is_healed_all_the_same(database: Database, database_url: str) -> None:
    await put(database, project("p", main="x"))
    await database.execute("INSERT INTO config_sources (name, url, branch) VALUES ('default', 'u', 'main')")
    async with database.transaction() as connection:
        await pause(connection, "default", reason="r", by="cli:ada")
    await by_hand(database_url, "UPDATE jobsets SET branch = 'y'")
    assert await healed(database) == {}
    assert await database.fetchval("SELECT branch FROM jobsets") == "x"


async def test_a_jobset_that_was_healed_is_looked_at(database: Database, database_url: str) -> None:
    await put(database, project("p", main="x"))
    await database.execute(
        "UPDATE jobsets SET check_requested_at = NULL, next_check_at = now() + interval '1 day'"
    )
    await by_hand(database_url, "UPDATE jobsets SET branch = 'y'")
    await healed(database)
    assert await database.fetchval("SELECT next_check_at <= now() FROM jobsets")
