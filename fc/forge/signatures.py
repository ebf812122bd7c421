"""Checking who sent a message: headers, HMAC and shared tokens, compared in constant time."""

import hashlib
import hmac
from collections.abc import Mapping

from fc.base.errors import SignatureError


def find_header(headers: Mapping[str, str], name: str) -> str | None:
    """The value of the header ``name`` in any spelling of its case; none: it is not there."""
    wanted = name.lower()
    for key, value in headers.items():
        if key.lower() == wanted:
            return value
    return None


def require_hmac(headers: Mapping[str, str], name: str, body: bytes, secret: str, prefix: str = "") -> None:
    """Check that the header ``name`` is ``prefix`` and the hexadecimal HMAC-SHA256 of ``body`` under ``secret``.

    Raises:
        SignatureError: it is not, or there is no secret or no header.
    """
    expected = prefix + hmac.new(require_secret(secret), body, hashlib.sha256).hexdigest()
    _require_equal(headers, name, expected.encode())


def require_token(headers: Mapping[str, str], name: str, secret: str) -> None:
    """Check that the header ``name`` is ``secret`` itself.

    Raises:
        SignatureError: it is not, or there is no secret or no header.
    """
    _require_equal(headers, name, require_secret(secret))


def require_secret(secret: str) -> bytes:
    """The bytes of ``secret``.

    Raises:
        SignatureError: it is empty; an unsigned message is never accepted.
    """
    if not secret:
        message = "no secret is configured for this webhook, so nothing it sends is accepted; set one at the forge and in FC"
        raise SignatureError(message)
    return secret.encode("utf-8", "surrogatepass")


def _require_equal(headers: Mapping[str, str], name: str, expected: bytes) -> None:
    value = find_header(headers, name)
    if not value:
        message = f"the header {name} is missing; set the same secret at the forge as in FC"
        raise SignatureError(message)
    # Servers hand header bytes over as Latin-1 (RFC 9110, section 5.5).
    if not hmac.compare_digest(value.encode("latin-1", "replace"), expected):
        message = f"the header {name} does not fit the secret; set the same secret at the forge as in FC"
        raise SignatureError(message)
