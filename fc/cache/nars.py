"""Streaming one NAR out of the head's store to one client."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from pathlib import Path
from typing import Any

from fc.base.errors import NixError
from fc.base.nix_cli import Nix
from fc.base.process import end_process

_CHUNK = 1 << 18


class NarResponse:
    """An ASGI application that answers one request with the NAR of ``path``.

    nix-store writes into a pipe and waits while the client is slow; the process ends when the client has all of it
    or has left. When the NAR does not come out as long as it should, the connection is cut, so that no client takes
    a part for the whole.
    """

    def __init__(self, nix: Nix, path: Path, size: int) -> None:
        self._command = [str(nix.bin_dir / "nix-store"), "--dump", str(path)]
        self._environment = nix.environment()
        self._size = size

    async def __call__(
        self,
        scope: Mapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        """Answer.

        Raises:
            NixError: the NAR has another size, or nix-store failed.
        """
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [
                    (b"content-type", b"application/x-nix-nar"),
                    (b"content-length", str(self._size).encode()),
                    # The address names the contents: it never stands for anything else.
                    (b"cache-control", b"public, max-age=31536000, immutable"),
                ],
            },
        )
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=self._environment,
            start_new_session=True,
            limit=_CHUNK,
        )
        tasks = [
            asyncio.create_task(self._send_all(process, send)),
            asyncio.create_task(_until_gone(receive)),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            await end_process(process)
        if isinstance(results[0], Exception):
            raise results[0]

    async def _send_all(
        self, process: asyncio.subprocess.Process, send: Callable[[Any], Awaitable[None]]
    ) -> None:
        assert process.stdout is not None
        left = self._size
        while left > 0 and (data := await process.stdout.read(_CHUNK)):
            left -= len(data)
            if left < 0:
                break
            await send({"type": "http.response.body", "body": data, "more_body": left > 0})
        if left != 0:
            message = f"the NAR of {self._command[-1]} is not as long as it should be"
            raise NixError(message)


async def _until_gone(receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
