"""Litestar guards: which right a route asks for."""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.types import Guard

from fc.access.keys import Principal, bearer_token, principal_of
from fc.access.roles import Right
from fc.base.database import Database
from fc.base.errors import ForbiddenError, UnauthenticatedError

_PRINCIPAL = "principal"


def requires(right: Right) -> Guard:
    """A guard that lets through API keys whose role grants ``right``.

    It answers 401 without a valid key and 403 with one that lacks the right. The handler behind it gets the
    principal from ``principal(request)``. The application's state holds the ``database``.
    """

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
        database: Database = connection.app.state["database"]
        token = bearer_token(connection.headers.get("authorization"))
        if token is None:
            message = "this needs an API key: send it as 'Authorization: Bearer …'"
            raise UnauthenticatedError(message)
        found = await principal_of(database, token)
        if found is None:
            message = "the API key is not known, or its user is disabled"
            raise UnauthenticatedError(message)
        if not found.may(right):
            message = f"the API key {found.name!r} has the role {found.role}, which may not {right}"
            raise ForbiddenError(message)
        connection.state[_PRINCIPAL] = found

    return guard


def principal(connection: ASGIConnection[Any, Any, Any, Any]) -> Principal:
    """Who passed the guard of this route.

    Raises:
        UnauthenticatedError: the route has no guard.
    """
    found = connection.state.get(_PRINCIPAL)
    if not isinstance(found, Principal):
        message = "this needs an API key"
        raise UnauthenticatedError(message)
    return found
