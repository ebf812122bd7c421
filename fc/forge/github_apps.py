"""GitHub Apps: what an App proves itself with, and the token it gets for one repository.

Sources: https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app,
https://docs.github.com/en/rest/apps/apps#create-an-installation-access-token-for-an-app.
"""

import base64
from collections.abc import Mapping
from datetime import datetime

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from fc.base.errors import StatusError
from fc.forge.github import HEADERS
from fc.forge.status_messages import ForgeRequest, join_url, split_owner

_BEFORE = 60
"""Seconds by which the proof is dated back, as GitHub advises for clocks that differ."""
_LIFE = 540
"""Seconds; GitHub takes no proof that is valid for more than ten minutes from its own now."""

TOKEN_ADVICE: Mapping[int, str] = {
    401: "GitHub does not take the App's proof; check app.id, whether app.key is its newest private key, and this "
    "machine's clock",
    403: "the App may not act there; is its installation suspended?",
    404: "there is no such installation of this App; check app.installation, app.id and url",
    422: "the installation does not reach the repository; add it to the App's repositories",
}


class InstallationToken(msgspec.Struct, frozen=True):
    """What an App acts with."""

    token: str
    expires_at: datetime


def app_proof(app_id: int, key: str, now: float) -> str:
    """A JSON Web Token (RFC 7519) that says "I am this App", signed with RS256 (RFC 7518 section 3.3).

    Args:
        app_id: number of the App.
        key: its private key, as PEM.
        now: seconds since 1970.

    Raises:
        StatusError: the key is none. The message does not show it.
    """
    try:
        private = load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        private = None
    if not isinstance(private, RSAPrivateKey):
        message = "the secret that app.key names is no RSA private key in PEM, without a password, as GitHub makes it"
        raise StatusError(message)
    claims = {"iat": int(now) - _BEFORE, "exp": int(now) + _LIFE, "iss": str(app_id)}
    signed = b".".join(
        _encode(msgspec.json.encode(part)) for part in ({"alg": "RS256", "typ": "JWT"}, claims)
    )
    return b".".join((signed, _encode(private.sign(signed, PKCS1v15(), SHA256())))).decode()


def token_request(base_url: str, installation: int, repository: str) -> ForgeRequest:
    """POST /app/installations/{id}/access_tokens, sent with the App's proof: a token for one repository alone.

    Raises:
        StatusError: the base URL or the repository is not what it must be.
    """
    _, name = split_owner(repository)
    return ForgeRequest(
        url=join_url(base_url, "", f"/app/installations/{installation}/access_tokens"),
        headers=HEADERS,
        token_header="Authorization",  # noqa: S106 - the name of a header, no token
        token_prefix="Bearer ",  # noqa: S106 - what stands before a token
        body={"repositories": [name]},
    )


def read_token(body: bytes) -> InstallationToken | None:
    """The token in GitHub's answer; none: there is none in it."""
    try:
        found = msgspec.json.decode(body, type=InstallationToken)
    except (ValueError, RecursionError):
        return None
    # A time without a zone could be any.
    return found if found.expires_at.tzinfo is not None else None


def _encode(data: bytes) -> bytes:
    """RFC 7515 section 2: base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=")
