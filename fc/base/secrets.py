"""Secrets by reference: configuration names them, this finds their values on the machine that needs them."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from fc.base.crypto import Box, UnreadableError, read_or_make_key
from fc.base.errors import EnvironmentMissingError, SecretMissingError
from fc.base.settings import Settings

REDACTED = "«secret»"
"""What plans, pages, logs and errors show in place of a value."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Secrets:
    """Finds the values of named secrets.

    A secret ``github-token`` is the environment variable ``FC_SECRET_GITHUB_TOKEN`` if that is set, else the
    contents of the file ``github-token`` in the directory of secrets, without the line end after it
    (so systemd's credentials and mounted Kubernetes secrets work as they are).
    """

    def __init__(self, directory: Path | None, key: Path | None = None) -> None:
        """``key``: file of the key that opens encrypted secrets; none: there are none."""
        self._directory = directory
        self._key = key
        self._box: Box | None = None

    def reveal(self, reference: object) -> str:
        """The value behind a reference of a row: ``{"secret": name}`` or ``{"encrypted": token}``.

        Raises:
            SecretMissingError: it is not there, cannot be decrypted, or this is no reference.
        """
        held = reference if isinstance(reference, Mapping) else {}
        name, token = held.get("secret"), held.get("encrypted")
        if isinstance(name, str) and token is None:
            return self.resolve(name)
        called = "encrypted in configuration"
        if not isinstance(token, str) or name is not None or self._key is None:
            raise SecretMissingError(called, "it cannot be read here")
        try:
            if self._box is None:
                self._box = Box(read_or_make_key(self._key))
            return self._box.open(token)
        except (UnreadableError, EnvironmentMissingError) as error:
            raise SecretMissingError(called, str(error)) from None

    def resolve(self, name: str) -> str:
        """The value of the secret ``name``.

        Raises:
            SecretMissingError: it is in neither place, is empty, or the name could leave the directory.
        """
        variable = "FC_SECRET_" + re.sub(r"[^A-Z0-9]", "_", name.upper())
        if not _NAME.fullmatch(name):
            raise SecretMissingError(name, "a name has letters, digits, dots, dashes and underscores only")
        value = os.environ.get(variable, "")
        place = "a file (secrets.directory is not set)"
        if not value and self._directory is not None:
            file = self._directory / name
            place = f"the file {file}"
            try:
                value = file.read_text(encoding="utf-8").rstrip("\r\n")
            except FileNotFoundError:
                value = ""
            except (OSError, UnicodeDecodeError) as error:
                # Not the error's own text: that of a decoding error shows what it could not decode.
                reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
                raise SecretMissingError(name, f"the file {file} cannot be read: {reason}") from None
        if not value:
            raise SecretMissingError(name, f"set {variable} or write {place}")
        return value


def key_file(settings: Settings) -> Path:
    """Where the key stands that secrets are encrypted with in the database."""
    return settings.data_dir.absolute() / "keys" / "secrets-key"


def secrets_of(settings: Settings) -> Secrets:
    """The secrets of a service with these settings."""
    return Secrets(settings.secrets.directory, key_file(settings))
