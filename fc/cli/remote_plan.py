"""Plans of a working copy by a running service: its files are sent, its plan comes back."""

import base64
import os
from pathlib import Path

import click
import httpx
import msgspec

from fc import __version__
from fc.base.errors import FcError, InvalidInputError
from fc.base.problems import Problem, sorted_problems
from fc.config.errors import ConfigurationError
from fc.config.load import Loader
from fc.config.outside import FORM_ONLY
from fc.config.plan_view import PlanView
from fc.config.render import printable
from fc.config.tree import read_directory

_MOST_BYTES = 256 << 20
_TIMEOUT = httpx.Timeout(600, connect=15)
_LONGEST_MESSAGE = 500
TOKEN_VARIABLE = "FC_TOKEN"  # noqa: S105 - the name of a variable


class ServerError(FcError):
    """A service cannot plan. Says why, and what to do."""

    status = 502
    code = "server"


class _Answer(msgspec.Struct, frozen=True):
    """What the service answers; a newer one may say more."""

    version: str
    plan: PlanView | None
    problems: list[Problem]


class _Failure(msgspec.Struct, frozen=True):
    """What it answers to what it refuses."""

    message: str


def plan_remotely(directory: Path, server: str, token_file: Path | None, source: str) -> PlanView:
    """What applying ``directory`` would change at ``server``.

    Raises:
        ConfigurationError: it has problems, here or there.
        ServerError: there is no answer, or none that can be understood.
        InvalidInputError: there is no token or no such directory.
    """
    body = msgspec.json.encode({"source": source, "files": _files(directory)})
    status, data = _post(server, _token(token_file), body)
    if status != httpx.codes.OK:
        raise ServerError(_refusal(server, status, data))
    try:
        answer = msgspec.json.decode(data, type=_Answer)
    except (msgspec.DecodeError, RecursionError):
        message = f"{_shown(server)} answers in a way that fcctl {__version__} does not understand; is it an FC, and of this version?"
        raise ServerError(message) from None
    if answer.version != __version__:
        click.echo(
            f"note: the service is FC {printable(answer.version[:40])}, this is {__version__}", err=True
        )
    if answer.problems or answer.plan is None:
        raise ConfigurationError(
            answer.problems or [Problem(".", 1, 1, "the service gives no plan, and no reason")]
        )
    return answer.plan


def _files(directory: Path) -> list[dict[str, str]]:
    """The YAML files, and what they take in; only those leave this machine.

    Raises:
        ConfigurationError: something is wrong that needs no service to see.
    """
    tree, contents = read_directory(directory)
    loaded = Loader(FORM_ONLY).load(tree, contents)
    problems = sorted_problems(
        [*loaded.problems, *(problem for one in loaded.fragments for problem in one.problems)]
    )
    if problems:
        raise ConfigurationError(problems)
    blobs = {one.path: one.blob for one in tree.files}
    for fragment in loaded.fragments:
        blobs |= {path: located.blob for path, located in fragment.included.items()}
    return [
        {"path": path, "content": base64.b64encode(contents[blob]).decode("ascii")}
        for path, blob in sorted(blobs.items())
    ]


def _token(file: Path | None) -> str:
    token = os.environ.get(TOKEN_VARIABLE, "")
    if file is not None:
        try:
            token = file.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            message = f"the token in {file} cannot be read: {getattr(error, 'strerror', None) or 'it is no ASCII text'}"
            raise InvalidInputError(message) from None
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable():
        message = (
            f"planning at a service needs an API key of an admin: give --token-file, or set {TOKEN_VARIABLE}; "
            "a key is declared under api_keys, or made by fcctl set api-key NAME role=admin 'key=!secret NAME'"
        )
        raise InvalidInputError(message)
    return token


def _post(server: str, token: str, body: bytes) -> tuple[int, bytes]:
    """Status and body of the answer.

    Raises:
        ServerError: there is none.
    """
    if not server.startswith(("https://", "http://")):
        message = "--server: expected the address of the service, https://…"
        raise ServerError(message)
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/json",
        "Accept": "application/json",
    }
    data = bytearray()
    try:
        with (
            httpx.Client(timeout=_TIMEOUT) as client,
            client.stream(
                "POST", f"{server.rstrip('/')}/api/v1/configuration/plans", headers=headers, content=body
            ) as answer,
        ):
            for part in answer.iter_bytes():
                data += part
                if len(data) > _MOST_BYTES:
                    message = f"{_shown(server)}: the answer has more than {_MOST_BYTES} bytes"
                    raise ServerError(message)
            return answer.status_code, bytes(data)
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError) as error:
        message = f"{_shown(server)} does not answer ({type(error).__name__}); check --server"
        raise ServerError(message) from None


def _refusal(server: str, status: int, data: bytes) -> str:
    if (
        status in {httpx.codes.NOT_FOUND, httpx.codes.METHOD_NOT_ALLOWED}
        and b"configuration source" not in data
    ):
        return (
            f"{_shown(server)} has no plans of working copies; is it an FC, and not older than {__version__}?"
        )
    if status == httpx.codes.REQUEST_ENTITY_TOO_LARGE:
        return f"{_shown(server)}: the configuration is too large to be sent; plan where the service runs"
    try:
        said = printable(msgspec.json.decode(data, type=_Failure).message[:_LONGEST_MESSAGE])
    except (msgspec.DecodeError, RecursionError):
        said = "without a reason"
    return f"{_shown(server)} refuses ({status}): {said}"


def _shown(server: str) -> str:
    """The address without credentials."""
    scheme, _, rest = server.partition("://")
    host, slash, path = rest.partition("/")
    return printable(f"{scheme}://{host.rpartition('@')[2]}{slash}{path}")
