"""Errors as answers: a page for people, ``{"code", "message"}`` for programs, a trace for neither."""

import uuid
from http import HTTPStatus
from typing import Any

import asyncpg
import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import ExceptionHandlersMap

from fc.base.errors import FcError
from fc.web.rendering import Pages

log = structlog.get_logger(__name__)

_NOT_FOUND = 404
_SERVER_ERROR = 500
_FOR_PROGRAMS = ("/api/", "/hooks/")
_CONNECTION = (
    OSError,
    asyncpg.InterfaceError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.ObjectNotInPrerequisiteStateError,
)
"""Errors that mean the database is away, not that something is wrong with a query."""


class Failure(msgspec.Struct, frozen=True):
    """The body of every answer that is an error."""

    code: str
    """What a program compares."""
    message: str


def answer_fc_error(request: Request[Any, Any, Any], error: FcError) -> Response[Any]:
    """An error FC raised on purpose: its own status, code and words."""
    if error.status >= _SERVER_ERROR:
        log.warning("request failed", path=request.url.path, code=error.code, error=str(error))
    return _answer(request, error.status, error.code, str(error))


def answer_http_error(request: Request[Any, Any, Any], error: HTTPException) -> Response[Any]:
    """An error of the framework: no such path, a wrong method, a parameter of the wrong type."""
    status = HTTPStatus(error.status_code)
    code = "invalid_input" if status == HTTPStatus.BAD_REQUEST else status.name.lower()
    message = error.detail or status.phrase
    if isinstance(error, ValidationException) and isinstance(error.extra, list):
        wrong = [
            f"{item.get('key', '?')}: {item.get('message', '')}"
            for item in error.extra
            if isinstance(item, dict)
        ]
        message = "; ".join(wrong) or message
    if status == _NOT_FOUND:
        message = f"there is nothing at {request.url.path}"
    return _answer(request, error.status_code, code, message, headers=dict(error.headers or {}))


def answer_unknown_error(request: Request[Any, Any, Any], error: Exception) -> Response[Any]:
    """Anything else: logged with its trace under an id, which is all that is told."""
    if isinstance(error, asyncpg.CharacterNotInRepertoireError):
        return _answer(request, 400, "invalid_input", "the request has characters that no name can have")
    if isinstance(error, _CONNECTION) and not isinstance(error, ValueError):
        log.warning("the database does not answer", path=request.url.path, error=repr(error))
        message = "the database does not answer; try again in a moment"
        return _answer(request, 503, "database_unavailable", message, headers={"Retry-After": "5"})
    identifier = uuid.uuid4().hex[:12]
    log.error("request failed", path=request.url.path, id=identifier, exc_info=error)
    return _answer(
        request, _SERVER_ERROR, "internal", f"something went wrong here; the log has it under {identifier}"
    )


HANDLERS: ExceptionHandlersMap = {
    FcError: answer_fc_error,
    HTTPException: answer_http_error,
    Exception: answer_unknown_error,
}
"""By kind of error, as Litestar wants them."""


def _answer(
    request: Request[Any, Any, Any],
    status: int,
    code: str,
    message: str,
    *,
    headers: dict[str, str] | None = None,
) -> Response[Any]:
    extra = {"Cache-Control": "no-store"} | (headers or {})
    if status == HTTPStatus.UNAUTHORIZED:
        extra["WWW-Authenticate"] = 'Bearer realm="fc"'
    pages: Pages | None = request.app.state.get("pages")
    wants_page = "text/html" in request.headers.get("accept", "")
    if pages is None or not wants_page or request.url.path.startswith(_FOR_PROGRAMS):
        return Response(
            Failure(code, message), status_code=status, headers=extra, media_type="application/json"
        )
    heading = "Not found" if status == _NOT_FOUND else HTTPStatus(status).phrase
    text = pages.render("message.html", heading=heading, text=_sentence(message), path=request.url.path)
    return Response(text, status_code=status, headers=extra, media_type="text/html; charset=utf-8")


def _sentence(message: str) -> str:
    return f"{message[:1].upper()}{message[1:]}."
