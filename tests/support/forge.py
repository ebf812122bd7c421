"""The stand-in forge with faults, and a receiver of webhooks: third-party HTTP as it really behaves."""

import asyncio
import re
from collections import deque
from typing import Any, Literal
from urllib.parse import unquote

import msgspec
from typing_extensions import override

from fc.cli.demo.forge import Dialect, StandInForge
from fc.cli.demo.http_server import HttpAnswer, HttpRequest, HttpServer


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One way of not doing what was asked."""

    kind: Literal["answer", "hang", "garbage", "close", "endless"] = "answer"
    """``answer``: with the code, headers and body below. ``hang``: no answer until released, then a good one."""
    code: int = 500
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b'{"message": "Server Error"}'


LIMITED = Fault(
    code=403,
    headers=(("Retry-After", "60"),),
    body=b'{"message": "You have exceeded a secondary rate limit"}',
)


_PULL_REQUESTS: tuple[tuple[Dialect, re.Pattern[str]], ...] = (
    ("gitea", re.compile(r"/api/v1/repos/([^/]+/[^/]+)/pulls/(\d+)")),
    ("gitlab", re.compile(r"/api/v4/projects/([^/]+)/merge_requests/(\d+)")),
    ("github", re.compile(r"/repos/([^/]+/[^/]+)/pulls/(\d+)")),
)


class KnownPullRequest(msgspec.Struct):
    """A pull request as a forge knows it."""

    head: str
    state: Literal["open", "closed", "merged"] = "open"
    base: str = "main"


class FaultyForge(StandInForge):
    """A forge with bad days. Faults of ``next_faults`` come first, each once; ``fault`` stays."""

    def __init__(self, token: str = "forge-t0ken", repositories: frozenset[str] | None = None) -> None:
        super().__init__(token, repositories)
        self.fault: Fault | None = None
        self.next_faults: deque[Fault] = deque()
        self.requests: list[HttpRequest] = []
        """Every request that came, answered or not."""
        self.released = asyncio.Event()
        """Set it to let hanging requests go on."""
        self.at_once = 0
        """Most requests that were under way at the same time."""
        self._under_way = 0
        self.pull_requests: dict[tuple[str, int], KnownPullRequest] = {}
        """By repository and number."""

    @override
    async def answer(self, request: HttpRequest) -> HttpAnswer:
        for dialect, route in _PULL_REQUESTS:
            if request.method == "GET" and (match := route.fullmatch(request.path)):
                if not self._may_enter(dialect, request):
                    return _say(401, "Bad credentials")
                found = self.pull_requests.get((unquote(match[1]), int(match[2])))
                return _say(404, "Not Found") if found is None else _shown(dialect, int(match[2]), found)
        return await super().answer(request)

    @override
    async def respond(self, request: HttpRequest, writer: asyncio.StreamWriter) -> None:
        self.requests.append(request)
        self._under_way += 1
        self.at_once = max(self.at_once, self._under_way)
        try:
            fault = self.next_faults.popleft() if self.next_faults else self.fault
            if fault is None:
                await super().respond(request, writer)
            elif fault.kind == "answer":
                await self.write(HttpAnswer(fault.code, fault.body, headers=fault.headers), writer)
            elif fault.kind == "hang":
                await self.released.wait()
                await super().respond(request, writer)
            elif fault.kind == "endless":
                await _write_for_ever(writer)
            else:
                # What quotes the request is what a careless proxy does.
                echo = request.headers.get("authorization", "")
                writer.write(f"{echo} \x00\r\n\r\n".encode() if fault.kind == "garbage" else b"")
                writer.close()
        finally:
            self._under_way -= 1


class WebhookReceiver(HttpServer):
    """Takes every post and answers with ``code``."""

    def __init__(self) -> None:
        super().__init__()
        self.code = 204
        self.headers: tuple[tuple[str, str], ...] = ()
        self.requests: list[HttpRequest] = []

    @override
    async def answer(self, request: HttpRequest) -> HttpAnswer:
        self.requests.append(request)
        return HttpAnswer(self.code, b"", "text/plain", self.headers)


def _shown(dialect: Dialect, number: int, found: KnownPullRequest) -> HttpAnswer:
    """As each forge shows a pull request."""
    if dialect == "gitlab":
        state = {"open": "opened"}.get(found.state, found.state)
        said: dict[str, Any] = {"iid": number, "state": state, "target_branch": found.base, "sha": found.head}
    else:
        said = {
            "number": number,
            "state": "open" if found.state == "open" else "closed",
            "merged": found.state == "merged",
            "base": {"ref": found.base, "sha": "0" * 40},
            "head": {"ref": "topic", "sha": found.head, "repo": None},
        }
    return HttpAnswer(200, msgspec.json.encode(said | {"id": 1000 + number, "title": "Say goodbye"}))


def _say(code: int, message: str) -> HttpAnswer:
    return HttpAnswer(code, msgspec.json.encode({"message": message}))


async def _write_for_ever(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 201 Created\r\nContent-Type: application/json\r\n\r\n")
    while True:
        writer.write(b"[" * 65536)
        await writer.drain()
