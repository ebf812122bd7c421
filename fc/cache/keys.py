"""The key that the binary cache signs with: given, or made once."""

import contextlib
import os
import secrets
from pathlib import Path
from urllib.parse import urlsplit

from fc.base.errors import EnvironmentMissingError
from fc.base.settings import Settings
from fc.nix.errors import FormatError
from fc.nix.signing import SigningKey


def signing_key(settings: Settings) -> SigningKey:
    """The key at ``cache.signing_key``; if that is not set, the one below the data directory, made when it is missing.

    Raises:
        EnvironmentMissingError: it cannot be read or made, or is no key; says what to do.
    """
    file = settings.cache.signing_key
    if file is None:
        file = settings.data_dir.absolute() / "keys" / "cache-signing-key"
        if not file.exists():
            _make(file, _name(settings.public_url))
    try:
        return SigningKey.parse(file.read_text(encoding="ascii"))
    except (OSError, UnicodeDecodeError, FormatError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        message = (
            f"the signing key of the binary cache, {file}, cannot be used: {reason}; "
            "make one with nix-store --generate-binary-cache-key, or leave cache.signing_key unset"
        )
        raise EnvironmentMissingError(message) from None


def _make(file: Path, name: str) -> None:
    """Write a new key. Of several processes that do so at once, one wins, and all use its key."""
    draft = file.with_name(f".{file.name}-{secrets.token_hex(8)}")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="ascii") as opened:
                opened.write(SigningKey.generate(name).secret_text + "\n")
                opened.flush()
                os.fsync(opened.fileno())
            # A link, not a rename: it never replaces a key that is already there, and a reader never sees half of one.
            with contextlib.suppress(FileExistsError):
                os.link(draft, file)
        finally:
            draft.unlink()
    except OSError as error:
        message = f"the signing key of the binary cache, {file}, cannot be written: {error.strerror or error}"
        raise EnvironmentMissingError(message) from error


def _name(public_url: str) -> str:
    """Nix's custom: the cache's host name and a number that grows with each new key."""
    return f"{urlsplit(public_url).hostname or 'fc'}-1".replace(":", ".")
