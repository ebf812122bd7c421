"""API keys against a real database."""

import uuid

import pytest

from fc.access.keys import bearer_token, hash_key, principal_of
from fc.access.roles import ROLES
from fc.base.database import Database


async def add_key(
    database: Database, name: str, key: str, role: str = "read-only", user: uuid.UUID | None = None
) -> None:
    await database.execute(
        "INSERT INTO api_keys (name, key_hash, role, user_id) VALUES ($1, $2, $3, $4)",
        name,
        hash_key(key),
        role,
        user,
    )


@pytest.mark.parametrize("role", ROLES)
async def test_a_key_belongs_to_its_principal(database: Database, role: str) -> None:
    await add_key(database, "bot", "s3cret", role)
    await add_key(database, "other", "another")
    found = await principal_of(database, "s3cret")
    assert found is not None
    assert (found.name, found.role, found.actor) == ("bot", role, "api_key:bot")
    assert found.may("eval-jobset") == (role in {"admin", "eval-jobset"})


@pytest.mark.parametrize("token", ["", "S3cret", "s3cret ", hash_key("s3cret")])
async def test_nothing_but_the_key_itself_is_accepted(database: Database, token: str) -> None:
    await add_key(database, "bot", "s3cret", "admin")
    assert await principal_of(database, token) is None


async def test_the_key_of_a_disabled_user_is_refused(database: Database) -> None:
    user = await database.fetchval(
        "INSERT INTO users (username, email) VALUES ('alice', 'a@example.org') RETURNING id"
    )
    await add_key(database, "bot", "s3cret", "admin", user)
    found = await principal_of(database, "s3cret")
    assert found is not None
    assert found.username == "alice"
    await database.execute("UPDATE users SET enabled = false")
    assert await principal_of(database, "s3cret") is None


async def test_use_is_noted_at_most_once_a_minute(database: Database) -> None:
    await add_key(database, "bot", "s3cret")
    used = "SELECT last_used_at FROM api_keys"
    await principal_of(database, "s3cret")
    first = await database.fetchval(used)
    assert first is not None
    await principal_of(database, "s3cret")
    assert await database.fetchval(used) == first
    await database.execute("UPDATE api_keys SET last_used_at = last_used_at - interval '61 seconds'")
    await principal_of(database, "s3cret")
    assert await database.fetchval(used) > first


@pytest.mark.parametrize(
    ("header", "token"),
    [
        (None, None),
        ("", None),
        ("Bearer", None),
        ("Bearer ", None),
        ("Basic abc", None),
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Bearer " + "x" * 1025, None),
    ],
)
def test_the_token_stands_after_the_scheme(header: str | None, token: str | None) -> None:
    assert bearer_token(header) == token
