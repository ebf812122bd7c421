"""Outgoing HTTP: one request, within a time, with an answer of bounded size, never redirected."""

import asyncio
from collections.abc import Mapping
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType
from typing import Literal, Self
from urllib.parse import urlsplit

import httpx
import msgspec

from fc import __version__
from fc.base.secrets import REDACTED

LONGEST_POST = 30.0
"""Seconds for one request, from looking up the host to the end of the answer."""
_CONNECT_TIMEOUT = 10.0
LARGEST_ANSWER = 64 * 1024
_LONGEST_MESSAGE = 200
_CONNECTIONS = 64
_IDLE_CONNECTIONS = 8


class UnreachableError(Exception):
    """No answer came. The message says why."""


class Reply(msgspec.Struct, frozen=True):
    """What came back."""

    code: int
    headers: Mapping[str, str]
    body: bytes
    """As much as was read."""


class Poster:
    """An HTTP client with its own connections. Use it with ``async with``."""

    def __init__(self, longest: float = LONGEST_POST) -> None:
        self._longest = longest
        self._client = httpx.AsyncClient(
            follow_redirects=False,
            timeout=httpx.Timeout(longest, connect=min(longest, _CONNECT_TIMEOUT)),
            limits=httpx.Limits(max_connections=_CONNECTIONS, max_keepalive_connections=_IDLE_CONNECTIONS),
            # What one forge sets as a cookie is nobody's business later.
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
            headers={"User-Agent": f"FC/{__version__}", "Accept-Encoding": "identity"},
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection."""
        await self._client.aclose()

    @property
    def longest(self) -> float:
        """Seconds that one request may take."""
        return self._longest

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, hide: str = "") -> Reply:
        """POST ``body`` to ``url``; arguments and errors as those of ``request``."""
        return await self.request("POST", url, headers, body, hide=hide)

    async def request(
        self,
        method: Literal["GET", "POST", "PATCH"],
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        *,
        hide: str = "",
        largest: int = LARGEST_ANSWER,
    ) -> Reply:
        """Send ``body`` to ``url``.

        Args:
            method: of HTTP.
            url: where to.
            headers: besides those of every request.
            body: what to send; none: there is none.
            hide: what must appear neither in an answer's body nor in a message, should the other side quote it.
            largest: bytes of the answer that are read.

        Raises:
            UnreachableError: there was no answer in time, or nothing that is HTTP.
        """
        try:
            # Reading the port is what checks it; the client would only find out when it connects.
            _ = urlsplit(url).port
            async with (
                asyncio.timeout(self._longest),
                self._client.stream(method, url, headers=dict(headers), content=body) as response,
            ):
                answer = await _beginning(response, largest)
                return Reply(response.status_code, dict(response.headers), _hidden(answer, hide))
        except TimeoutError:
            message = f"no answer within {self._longest:g} s"
            raise UnreachableError(message) from None
        # InvalidURL and what h11 and ssl let through are of no common class of httpx.
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError, ValueError) as error:
            said = " ".join(_hidden(str(error).encode(), hide).decode().split())
            message = f"no usable answer: {said[:_LONGEST_MESSAGE] or type(error).__name__}"
            raise UnreachableError(message) from None


async def _beginning(response: httpx.Response, largest: int) -> bytes:
    read = bytearray()
    async for piece in response.aiter_bytes():
        read += piece
        if len(read) >= largest:
            break
    return bytes(read[:largest])


def _hidden(text: bytes, secret: str) -> bytes:
    return text.replace(secret.encode(), REDACTED.encode()) if secret else text
