"""Sending events to webhooks: JSON, signed like GitHub's own, so that receivers find tools for it."""

import hashlib
import hmac
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from fc.forge.status_answers import Answer, Later, Refused, Taken, read_answer
from fc.report.post import Poster
from fc.report.target import SecretReference, Target

SIGNATURE_HEADER = "X-FC-Signature-256"


async def send_event(
    task_id: uuid.UUID,
    target: Target,
    content: Mapping[str, Any],
    reveal: Callable[[SecretReference], str],
    poster: Poster,
) -> Answer:
    """Post the event ``content`` to ``target``. ``X-FC-Delivery`` is the same when it is sent again.

    Raises:
        SecretMissingError: it is to be signed and the secret is not there.
        UnreachableError: no answer came.
    """
    if not target.destination:
        return Refused("the webhook's url must look like https://host/path")
    body = msgspec.json.encode(content)
    headers = {
        "Content-Type": "application/json",
        "X-FC-Event": str(content["event"]),
        "X-FC-Delivery": str(task_id),
    }
    if target.secret is not None:
        headers[SIGNATURE_HEADER] = sign(body, reveal(target.secret))
    reply = await poster.post(target.url, headers, body)
    return read_reply(reply.code, reply.headers, time.time())


def sign(body: bytes, secret: str) -> str:
    """``sha256=`` and the hexadecimal HMAC-SHA256 of ``body``."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def read_reply(code: int, headers: Mapping[str, str], now: float) -> Answer:
    """What a receiver's answer means. Its body is not read: it may be anything."""
    if 200 <= code < 300:  # noqa: PLR2004 - the class of successes, RFC 9110 section 15.3
        return Taken()
    answer = read_answer(code, headers, b"", now)
    if isinstance(answer, Refused):
        return Refused(f"the receiver answered HTTP {code}; check the webhook's url and what it expects")
    assert isinstance(answer, Later)
    return answer
