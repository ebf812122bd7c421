"""The family tree of errors. Each class holds values, knows its HTTP status and a machine code."""

from typing import ClassVar


class FcError(Exception):
    """Anything FC raises on purpose. ``str(error)`` is one message that says what to do."""

    status: ClassVar[int] = 500
    """HTTP status of an API answer that ends in this error."""
    code: ClassVar[str] = "internal"
    """What a program compares, stable over releases."""


class InvalidInputError(FcError):
    """What was sent or written cannot be accepted as it is."""

    status = 400
    code = "invalid_input"


class WebhookError(InvalidInputError):
    """A forge's message cannot be read. Says which forge, and where in the message."""

    code = "webhook"

    def __init__(self, forge: str, detail: str) -> None:
        self.forge = forge
        self.detail = detail
        super().__init__(f"this is no {forge} webhook that FC understands: {detail}")


class StatusError(InvalidInputError):
    """A commit status cannot be addressed: its repository, commit or forge is not written as it must be."""

    code = "status"


class SettingsError(InvalidInputError):
    """A setting is missing, misspelt or of the wrong type."""

    code = "settings"


class UnauthenticatedError(FcError):
    """No valid credentials were given."""

    status = 401
    code = "unauthenticated"


class SignatureError(UnauthenticatedError):
    """A message from outside is not signed, or not with the secret it must be signed with."""

    code = "signature"


class ForbiddenError(FcError):
    """The principal is known but lacks the right."""

    status = 403
    code = "forbidden"


class NotFoundError(FcError):
    """There is no such thing, or it is not visible to who asks."""

    status = 404
    code = "not_found"

    def __init__(self, kind: str, key: str) -> None:
        self.kind = kind
        self.key = key
        super().__init__(f"there is no {kind} {key!r}")


class ConflictError(FcError):
    """The state has moved on since the caller looked."""

    status = 409
    code = "conflict"


class EnvironmentMissingError(FcError):
    """Something FC needs from its machine is not there. The message says how to get it."""

    status = 503
    code = "environment"


class DatabaseUnavailableError(EnvironmentMissingError):
    """PostgreSQL cannot be started or reached."""

    code = "database_unavailable"


class SchemaMismatchError(EnvironmentMissingError):
    """The database's schema is newer than this program, or not yet migrated."""

    code = "schema_mismatch"


class GitError(FcError):
    """git could not do what was asked; holds what it said, with credentials removed."""

    status = 502
    code = "git"

    def __init__(self, action: str, detail: str) -> None:
        self.action = action
        self.detail = detail
        super().__init__(f"git {action} failed: {detail}")


class NixError(FcError):
    """A Nix command ended in an error; holds what it said."""

    status = 502
    code = "nix"


class SecretMissingError(FcError):
    """A secret that is referred to cannot be found. Names the secret, never a value."""

    status = 500
    code = "secret_missing"

    def __init__(self, name: str, searched: str) -> None:
        self.name = name
        super().__init__(f"secret {name!r} is not known: {searched}")
