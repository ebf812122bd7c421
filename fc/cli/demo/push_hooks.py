"""The forge's side of a push: told of it by the repository's hook, it sends FC a signed webhook."""

import asyncio
import hashlib
import hmac
import uuid
from types import TracebackType
from typing import Self

import httpx
import msgspec
import structlog

log = structlog.get_logger(__name__)


class PushHooks:
    """Listens on loopback for announcements of pushes and delivers each as a Gitea push webhook."""

    def __init__(self) -> None:
        self.service_url = ""
        """Base URL of FC; empty while it is not up, when nothing can be delivered (FC polls at its start)."""
        self.secrets: dict[str, str] = {}
        """Secret that the hooks of a repository are signed with, by its name."""
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._announced, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    @property
    def port(self) -> int:
        """Where announcements go."""
        assert self._server is not None
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def _announced(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        words = (await reader.readline()).decode().split()
        writer.close()
        if self.service_url and len(words) == 4:  # noqa: PLR2004 - name, before, after, ref
            await self._deliver(*words)

    async def _deliver(self, name: str, before: str, after: str, ref: str) -> None:
        body = msgspec.json.encode(
            {
                "ref": ref,
                "before": before,
                "after": after,
                "commits": [],
                "repository": {
                    "full_name": f"demo/{name}",
                    "name": name,
                    "clone_url": "",
                    "default_branch": "main",
                },
                "pusher": {"login": "alice"},
            }
        )
        signature = hmac.new(self.secrets[name].encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Gitea-Event": "push",
            "X-Gitea-Delivery": str(uuid.uuid4()),
            "X-Gitea-Signature": signature,
        }
        url = f"{self.service_url}/hooks/{name}/gitea"
        try:
            async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
                answer = await client.post(url, content=body, headers=headers)
            if answer.is_error:
                log.warning("webhook refused", url=url, status=answer.status_code, answer=answer.text[:500])
        except httpx.HTTPError as error:
            log.warning("webhook not delivered", url=url, error=str(error))
