"""Posting events to webhooks."""

import hashlib
import hmac
import uuid

import msgspec
import pytest

from fc.forge.status_answers import Later, Refused, Taken
from fc.report.post import Poster
from fc.report.target import SecretReference, Target
from fc.report.webhook import read_reply, send_event, sign
from tests.support.forge import WebhookReceiver

EVENT = {"event": "build_finished", "build": "1", "status": "succeeded"}
TASK = uuid.uuid4()


def resolve(reference: SecretReference) -> str:
    name = reference.secret
    return f"value of {name}"


async def test_an_event_arrives_as_json_signed_and_named() -> None:
    async with WebhookReceiver() as receiver, Poster() as poster:
        target = Target(url=receiver.url + "/hook", secret=SecretReference("hook"))
        assert await send_event(TASK, target, EVENT, resolve, poster) == Taken()
        request = receiver.requests[0]
        assert request.path == "/hook"
        assert msgspec.json.decode(request.body) == EVENT
        assert request.headers["x-fc-event"] == "build_finished"
        assert request.headers["x-fc-delivery"] == str(TASK)
        expected = hmac.new(b"value of hook", request.body, hashlib.sha256).hexdigest()
        assert request.headers["x-fc-signature-256"] == f"sha256={expected}"


async def test_without_a_secret_it_is_not_signed() -> None:
    async with WebhookReceiver() as receiver, Poster() as poster:
        assert await send_event(TASK, Target(url=receiver.url), EVENT, resolve, poster) == Taken()
        assert "x-fc-signature-256" not in receiver.requests[0].headers


async def test_a_redirect_is_refused_without_following_it() -> None:
    async with WebhookReceiver() as receiver, WebhookReceiver() as elsewhere, Poster() as poster:
        receiver.code, receiver.headers = 302, (("Location", elsewhere.url),)
        answer = await send_event(TASK, Target(url=receiver.url), EVENT, resolve, poster)
        assert answer == Refused(
            "the receiver answered HTTP 302; check the webhook's url and what it expects"
        )
        assert elsewhere.requests == []


async def test_a_webhook_without_a_usable_address_is_refused() -> None:
    async with Poster() as poster:
        answer = await send_event(TASK, Target(url="hook"), EVENT, resolve, poster)
        assert isinstance(answer, Refused)


@pytest.mark.parametrize("code", [200, 201, 204, 299])
def test_every_success_is_taken_whatever_it_says(code: int) -> None:
    assert read_reply(code, {}, 0.0) == Taken()


def test_other_answers_are_read_as_forges_mean_them() -> None:
    assert read_reply(429, {"Retry-After": "9"}, 0.0) == Later(
        "HTTP 429: rate limit", after=9.0, limited=True
    )
    assert isinstance(read_reply(503, {}, 0.0), Later)
    for code in (301, 400, 401, 404, 410):
        assert isinstance(read_reply(code, {}, 0.0), Refused)


def test_the_signature_is_that_of_the_standard() -> None:
    # RFC 4231, test case 2.
    assert sign(b"what do ya want for nothing?", "Jefe") == (
        "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )
