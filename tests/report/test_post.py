"""Outgoing HTTP against servers that misbehave."""

import asyncio

import pytest

from fc.base.secrets import REDACTED
from fc.report.post import Poster, UnreachableError
from tests.support.forge import Fault, FaultyForge, WebhookReceiver

PATH = f"/repos/tools/hello/statuses/{'1' * 40}"


async def test_an_answer_is_given_with_code_headers_and_body() -> None:
    async with FaultyForge() as forge, Poster() as poster:
        forge.fault = Fault(code=418, headers=(("Retry-After", "7"),), body=b"teapot")
        reply = await poster.post(forge.url + PATH, {"X-Own": "1"}, b"{}")
        assert (reply.code, reply.body, reply.headers["retry-after"]) == (418, b"teapot", "7")
        request = forge.requests[0]
        assert (request.method, request.body, request.headers["x-own"]) == ("POST", b"{}", "1")
        assert request.headers["user-agent"].startswith("FC/")


async def test_a_redirect_is_not_followed() -> None:
    async with FaultyForge() as forge, WebhookReceiver() as elsewhere, Poster() as poster:
        forge.fault = Fault(code=307, headers=(("Location", elsewhere.url),))
        reply = await poster.post(forge.url + PATH, {"Authorization": "Bearer secret"}, b"{}")
        assert reply.code == 307
        assert elsewhere.requests == []


async def test_cookies_are_not_kept() -> None:
    async with FaultyForge() as forge, Poster() as poster:
        forge.fault = Fault(code=201, headers=(("Set-Cookie", "session=1; Path=/"),))
        await poster.post(forge.url + PATH, {}, b"{}")
        await poster.post(forge.url + PATH, {}, b"{}")
        assert "cookie" not in forge.requests[1].headers


async def test_a_server_that_hangs_is_left_in_time() -> None:
    async with FaultyForge() as forge, Poster(longest=0.2) as poster:
        forge.fault = Fault(kind="hang")
        with pytest.raises(UnreachableError, match="no "):
            await poster.post(forge.url + PATH, {}, b"{}")


async def test_an_answer_without_end_is_cut() -> None:
    async with FaultyForge() as forge, Poster() as poster:
        forge.fault = Fault(kind="endless")
        reply = await poster.post(forge.url + PATH, {}, b"{}")
        assert (reply.code, len(reply.body)) == (201, 64 * 1024)


@pytest.mark.parametrize("kind", ["garbage", "close"])
async def test_what_is_no_http_is_one_kind_of_error(kind: str) -> None:
    async with FaultyForge() as forge, Poster() as poster:
        forge.fault = Fault(kind="garbage") if kind == "garbage" else Fault(kind="close")
        with pytest.raises(UnreachableError):
            await poster.post(forge.url + PATH, {}, b"{}")


async def test_a_quoted_secret_is_hidden_in_errors_and_answers() -> None:
    secret = "s" * 190 + "hidden"
    async with FaultyForge() as forge, Poster() as poster:
        forge.next_faults.append(Fault(kind="garbage"))
        with pytest.raises(UnreachableError) as caught:
            await poster.post(forge.url + PATH, {"Authorization": f"Bearer {secret}"}, b"{}", hide=secret)
        assert "sss" not in str(caught.value)
        assert REDACTED in str(caught.value)
        forge.next_faults.append(Fault(body=f'{{"message": "{secret}"}}'.encode()))
        reply = await poster.post(forge.url + PATH, {}, b"{}", hide=secret)
        assert reply.body == f'{{"message": "{REDACTED}"}}'.encode()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h",
        "ftp://127.0.0.1/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:1/",
        "http://[::",
        "http://a\nb",
    ],
)
async def test_a_url_that_leads_nowhere_is_one_kind_of_error(url: str) -> None:
    async with Poster() as poster:
        with pytest.raises(UnreachableError):
            await poster.post(url, {}, b"{}")


async def test_a_header_that_cannot_be_sent_is_one_kind_of_error() -> None:
    async with FaultyForge() as forge, Poster() as poster:
        for value in ("a\r\nb", "\u1234"):
            with pytest.raises(UnreachableError) as caught:
                await poster.post(forge.url + PATH, {"Authorization": value}, b"{}", hide=value)
            assert value not in str(caught.value)


async def test_being_cancelled_is_no_error_of_the_target() -> None:
    async with FaultyForge() as forge, Poster() as poster:
        forge.fault = Fault(kind="hang")
        posting = asyncio.create_task(poster.post(forge.url + PATH, {}, b"{}"))
        while not forge.requests:
            await asyncio.sleep(0.01)
        posting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await posting
