"""Encryption of what must be stored and may not be read: AES-256-GCM with a key of this installation."""

import base64
import contextlib
import hashlib
import hmac
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fc.base.errors import EnvironmentMissingError, FcError

_KEY_BYTES = 32
_NONCE_BYTES = 12
_TAG_BYTES = 16
_VERSION = "v1."


class UnreadableError(FcError):
    """What was encrypted cannot be decrypted: it was damaged, or encrypted with another key."""

    code = "unreadable"


class Box:
    """Encrypts texts so that they can be stored.

    The same text always becomes the same token, because a token is compared with an earlier one to see whether the
    text has changed: the nonce is an HMAC of the text with a key of its own (the construction of RFC 5297, a
    synthetic initialization vector). So a token tells whether two texts are equal, and nothing else.
    """

    def __init__(self, key: bytes) -> None:
        self._cipher = AESGCM(hmac.digest(key, b"fc encryption", hashlib.sha256))
        self._nonces = hmac.digest(key, b"fc nonces", hashlib.sha256)

    def seal(self, text: str) -> str:
        """A token that only this key opens."""
        data = text.encode()
        nonce = hmac.digest(self._nonces, data, hashlib.sha256)[:_NONCE_BYTES]
        return _VERSION + base64.urlsafe_b64encode(nonce + self._cipher.encrypt(nonce, data, None)).decode()

    def open(self, token: str) -> str:
        """The text of a token.

        Raises:
            UnreadableError: it is damaged, or of another key.
        """
        message = "an encrypted secret cannot be read: it is damaged, or was encrypted with another key than keys/secrets-key"
        try:
            data = base64.b64decode(token.removeprefix(_VERSION).encode("ascii"), b"-_", validate=True)
            if not token.startswith(_VERSION) or len(data) < _NONCE_BYTES + _TAG_BYTES:
                raise UnreadableError(message)
            return self._cipher.decrypt(data[:_NONCE_BYTES], data[_NONCE_BYTES:], None).decode()
        except (ValueError, InvalidTag):
            raise UnreadableError(message) from None


def read_or_make_key(file: Path) -> bytes:
    """The key in ``file``, made when it is missing: whole or not at all, for its owner alone.

    Raises:
        EnvironmentMissingError: it cannot be read or made, or is no key; says what to do.
    """
    try:
        if not file.exists():
            _make(file)
        key = bytes.fromhex(file.read_text(encoding="ascii").strip())
    except OSError as error:
        message = f"the key {file} cannot be read or made: {error.strerror or error}"
        raise EnvironmentMissingError(message) from None
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        message = f"the file {file} holds no key; put the right one back, or remove it and synchronise to encrypt anew"
        raise EnvironmentMissingError(message)
    return key


def _make(file: Path) -> None:
    """Write a new key. Of several processes that do so at once, one wins, and all use its key."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}-{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as opened:
            opened.write(secrets.token_hex(_KEY_BYTES) + "\n")
            opened.flush()
            os.fsync(opened.fileno())
        # A link, not a rename: it never replaces a key that is already there, and a reader never sees half of one.
        with contextlib.suppress(FileExistsError):
            os.link(draft, file)
    finally:
        draft.unlink()
