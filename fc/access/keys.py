"""API keys: from the bearer token of a request to the principal behind it."""

import hashlib
import uuid

import msgspec

from fc.access.roles import Right, Role, rights_of
from fc.base.database import Database

_LONGEST_TOKEN = 1024

_FIND = """
SELECT k.id AS key_id, k.name, k.role, u.username
FROM api_keys k LEFT JOIN users u ON u.id = k.user_id
WHERE k.key_hash = $1 AND (u.id IS NULL OR u.enabled)
"""

_MARK_USED = """
UPDATE api_keys SET last_used_at = now()
WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')
"""


class Principal(msgspec.Struct, frozen=True):
    """Who makes a request."""

    key_id: uuid.UUID
    name: str
    """Name of the API key."""
    role: Role
    username: str | None
    """The user the key belongs to, if any."""

    @property
    def actor(self) -> str:
        """How the audit trail names it."""
        return f"api_key:{self.name}"

    def may(self, right: Right) -> bool:
        """Whether its role grants ``right``."""
        return right in rights_of(self.role)


def hash_key(key: str) -> str:
    """What ``api_keys.key_hash`` holds for a key: SHA-256 in hexadecimal.

    Keys are long random strings, so a slow password hash would add nothing but load.
    """
    return hashlib.sha256(key.encode()).hexdigest()


def bearer_token(authorization: str | None) -> str | None:
    """The token of an ``Authorization`` header (RFC 6750, section 2.1); none when it holds no bearer token."""
    if authorization is None:
        return None
    scheme, _, token = authorization.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > _LONGEST_TOKEN:
        return None
    return token


async def principal_of(database: Database, token: str) -> Principal | None:
    """Whom ``token`` belongs to; none when no key matches or its user is disabled.

    The lookup compares hashes through an index, so its duration tells nothing about a key. ``last_used_at``
    is written at most once a minute, however often the key is used.
    """
    row = await database.fetchrow(_FIND, hash_key(token))
    if row is None:
        return None
    principal = msgspec.convert(dict(row), Principal)
    await database.execute(_MARK_USED, principal.key_id)
    return principal
