"""Secrets by reference: configuration names them, this finds their values on the machine that needs them."""

import os
import re
from pathlib import Path

from fc.base.errors import SecretMissingError

REDACTED = "«secret»"
"""What plans, pages, logs and errors show in place of a value."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Secrets:
    """Finds the values of named secrets.

    A secret ``github-token`` is the environment variable ``FC_SECRET_GITHUB_TOKEN`` if that is set, else the
    contents of the file ``github-token`` in the directory of secrets, without the line end after it
    (so systemd's credentials and mounted Kubernetes secrets work as they are).
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

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
