"""Addresses of remote builders: ``ssh://user@host:port?remote-program=…&remote-store=…``, as Nix writes them."""

import re
import shlex
from urllib.parse import SplitResult, parse_qsl, urlsplit

import msgspec

from fc.base.errors import InvalidInputError

_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f:.]+(?:%[A-Za-z0-9]+)?")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_PARAMETERS = ("remote-program", "remote-store")
_SSH_PORT = 22


class SshTarget(msgspec.Struct, frozen=True):
    """Where a builder is and what is run there."""

    host: str
    port: int = _SSH_PORT
    user: str | None = None
    """None: the user that FC runs as."""
    remote_program: str = "nix-store"
    remote_store: str | None = None
    """Store URI or directory there; none: the machine's own."""

    @property
    def command(self) -> str:
        """The line given to the remote shell. Every word is quoted: nothing in it is the shell's to interpret."""
        words = [self.remote_program, "--serve", "--write"]
        if self.remote_store is not None:
            words += ["--store", self.remote_store]
        return shlex.join(words)


def parse_ssh_uri(text: str) -> SshTarget:
    """The builder that ``text`` means.

    Raises:
        InvalidInputError: it is no such address; says what to write.
    """
    if not text.isprintable() or " " in text:
        raise _refused(text, "it has spaces or control characters")
    try:
        parts = urlsplit(text)
        port = parts.port
        query = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise _refused(text, str(error)) from None
    _check_parts(text, parts)
    host = parts.hostname or ""
    if not _HOST.fullmatch(host):
        raise _refused(text, "it has no valid host name")
    if parts.username is not None and not _USER.fullmatch(parts.username):
        raise _refused(text, "its user is not a plain name")
    parameters = dict(query)
    if len(parameters) != len(query) or not parameters.keys() <= set(_PARAMETERS):
        raise _refused(text, f"its parameters may be {' and '.join(_PARAMETERS)}, once each")
    if not all(value.isprintable() and value and not value.startswith("-") for value in parameters.values()):
        raise _refused(text, "a parameter is empty, begins with a dash or has control characters")
    return SshTarget(
        host=host,
        port=port if port is not None else _SSH_PORT,
        user=parts.username,
        remote_program=parameters.get("remote-program", "nix-store"),
        remote_store=parameters.get("remote-store"),
    )


def _check_parts(text: str, parts: SplitResult) -> None:
    """Refuse what an address of a builder never has."""
    if parts.scheme == "ssh-ng":
        raise _refused(
            text,
            "ssh-ng is the protocol of the Nix daemon, which FC does not speak to builders; write ssh://",
        )
    if parts.scheme != "ssh":
        raise _refused(text, "its scheme is not ssh")
    if parts.password is not None:
        raise _refused(text, "passwords do not belong in it; builders are entered with keys")
    if parts.path not in {"", "/"} or parts.fragment:
        raise _refused(text, "it names a path; a store is given as ?remote-store=")


def _refused(text: str, reason: str) -> InvalidInputError:
    shown = re.sub(r"(?<=://)([^@/]*?):[^@/]*@", r"\1:…@", text)[:200]
    return InvalidInputError(f"{shown!r} is no address of a builder: {reason}. Write ssh://user@host:port")
