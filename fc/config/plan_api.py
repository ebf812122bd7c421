"""Route of plans for a working copy that is sent: what would it change here?"""

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, post
from litestar.params import JSONBody

from fc import __version__
from fc.access.guards import requires
from fc.base.database import Database
from fc.base.errors import InvalidInputError
from fc.base.problems import Problem
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.base.source_settings import DEFAULT_SOURCE
from fc.config.errors import ConfigurationError
from fc.config.load import Loaded, Loader
from fc.config.outside import Surroundings
from fc.config.plan_view import PlanView
from fc.config.planning import plan_loaded, tree_of, without_guesses

MOST_BYTES = 128 << 20
"""Of a request."""


class SentFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file of a working copy."""

    path: Annotated[str, msgspec.Meta(description="From the directory that is planned, with slashes.")]
    content: Annotated[str, msgspec.Meta(description="Its bytes, in base64.")]


class PlanRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A working copy: its YAML files, and those that they take in with ``!file``."""

    files: list[SentFile]
    source: Annotated[str, msgspec.Meta(description="The configuration source that it would be.")] = (
        DEFAULT_SOURCE
    )


class PlanAnswer(msgspec.Struct, frozen=True):
    """What it would change, or why it cannot be applied."""

    version: str
    """Of this service."""
    plan: PlanView | None
    """None: there are problems. Its digest is empty if hashes of secrets are part of it."""
    problems: list[Problem]


def _too_deep(_request: Request[Any, Any, Any], _error: RecursionError) -> Response[dict[str, str]]:
    """JSON that is nested deeper than anything the request has."""
    return Response(
        {"code": InvalidInputError.code, "message": "the request is nested too deep"},
        status_code=InvalidInputError.status,
    )


@post(
    "/api/v1/configuration/plans",
    status_code=200,
    guards=[requires("configure")],
    request_max_body_size=MOST_BYTES,
    exception_handlers={RecursionError: _too_deep},
    tags=["configuration"],
    summary="Plan a working copy",
)
async def plan_working_copy(
    database: Database, settings: Settings, secrets: Secrets, data: JSONBody[PlanRequest]
) -> PlanAnswer:
    """What applying these files would change here and now, with this service's secrets. Nothing is stored."""
    try:
        loaded = await asyncio.to_thread(_load, data, settings)
        plan = await plan_loaded(database, settings, secrets, data.source, loaded)
    except ConfigurationError as error:
        return PlanAnswer(__version__, None, list(error.problems))
    return PlanAnswer(__version__, without_guesses(plan), [])


def _load(data: PlanRequest, settings: Settings) -> Loaded:
    files: dict[str, bytes] = {}
    for one in data.files:
        if one.path in files:
            message = f"the path {one.path[:80]!r} comes twice"
            raise InvalidInputError(message)
        try:
            files[one.path] = msgspec.convert(one.content, bytes)
        except msgspec.ValidationError:
            message = f"the content of {one.path[:80]!r} is not base64"
            raise InvalidInputError(message) from None
    return Loader(Surroundings.of(settings)).load(*tree_of(files))
