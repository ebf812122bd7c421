"""Secrets that stand encrypted in configuration (``!age``): decrypted in memory, and encrypted anew for the database."""

from pathlib import Path

import pyrage

from fc.base.crypto import Box, read_or_make_key
from fc.base.errors import EnvironmentMissingError, InvalidInputError

MAX_ENCRYPTED_BYTES = 64 * 1024
"""Longest encrypted text that is looked at."""
AGE_BEGIN = "-----BEGIN AGE ENCRYPTED FILE-----"
AGE_END = "-----END AGE ENCRYPTED FILE-----"


class DecryptionError(InvalidInputError):
    """Something encrypted cannot be read. Says why, never what."""

    code = "decryption"


class Decryptor:
    """Opens what was encrypted for one of the identities of this service."""

    def __init__(self, identities: Path | None, key: Path) -> None:
        """``identities``: file of age identities; ``key``: file of the key for the database, made when it is needed."""
        self._identities = identities
        self._key = key
        self._box: Box | None = None

    def decrypt(self, armored: str) -> bytes:
        """What an armored age file holds.

        Raises:
            DecryptionError: no identity opens it, or it is damaged.
        """
        identities = self._read_identities()
        try:
            data: bytes = pyrage.decrypt(armored.strip().encode(), identities)
        except pyrage.DecryptError:
            message = f"no identity in {self._identities} opens it, or it is damaged"
            raise DecryptionError(message) from None
        return data

    def seal(self, text: str) -> str:
        """``text`` encrypted for the database; the same text always alike.

        Raises:
            DecryptionError: there is no key and none can be made.
        """
        if self._box is None:
            try:
                self._box = Box(read_or_make_key(self._key))
            except EnvironmentMissingError as error:
                raise DecryptionError(str(error)) from None
        return self._box.seal(text)

    def _read_identities(self) -> list[pyrage.x25519.Identity]:
        # Read each time: an identity may be added while the service runs.
        file = self._identities
        if file is None:
            message = (
                "no age identities are known here; name their file in secrets.age_identities of the settings"
            )
            raise DecryptionError(message)
        try:
            lines = [line.strip() for line in file.read_text(encoding="ascii").splitlines()]
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            message = f"the age identities in {file} cannot be read: {reason}"
            raise DecryptionError(message) from None
        try:
            return [
                pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#")
            ]
        except pyrage.IdentityError:
            message = f"{file} holds a line that is no age identity (AGE-SECRET-KEY-1…)"
            raise DecryptionError(message) from None


def malformed(armored: str) -> str:
    """What is wrong with the form of an armored age file; empty: nothing."""
    text = armored.strip()
    if len(text) > MAX_ENCRYPTED_BYTES:
        return f"has more than {MAX_ENCRYPTED_BYTES} characters"
    if not text.startswith(f"{AGE_BEGIN}\n") or not text.endswith(f"\n{AGE_END}"):
        return f"!age is followed by an armored age file, {AGE_BEGIN} and so on; write it as a block: !age |"
    return ""


def as_secret(data: bytes) -> str:
    """Decrypted bytes as a secret's text, without the line end after it.

    Raises:
        DecryptionError: it is empty or no text.
    """
    try:
        text = data.decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        text = ""
    if not text or "\0" in text:
        message = "what is encrypted is empty or no UTF-8 text"
        raise DecryptionError(message)
    return text
