"""Sending commit statuses."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from fc.base.errors import StatusError
from fc.forge.events import Forge
from fc.forge.status_answers import Answer, read_answer
from fc.forge.status_messages import Status
from fc.forge.statuses import status_request
from fc.report.post import Poster
from fc.report.target import SecretReference, Target


async def send_status(
    forge: Forge,
    target: Target,
    content: Mapping[str, Any],
    reveal: Callable[[SecretReference], str],
    poster: Poster,
    token: str | None = None,
) -> Answer:
    """Set the status ``content`` at ``target``; ``token`` goes before that of the target.

    Raises:
        StatusError: the target cannot be addressed as it is configured.
        SecretMissingError: the token is not there.
        UnreachableError: no answer came.
    """
    if token is None and target.token is None:
        message = "the notification names no token; give it one: token: !secret name"
        raise StatusError(message)
    status = msgspec.convert({**content, "repository": target.repository}, Status)
    request = status_request(forge, target.url, status)
    if token is None:
        assert target.token is not None
        token = reveal(target.token)
    headers = request.headers_with(token) | {"Content-Type": "application/json"}
    reply = await poster.post(request.url, headers, msgspec.json.encode(request.body), hide=token)
    return read_answer(reply.code, reply.headers, reply.body, time.time())
