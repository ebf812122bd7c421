"""The service under show: ``fcctl serve`` as a child process, and what its API says."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import httpx
import msgspec

from fc.base.errors import FcError


class DemoFailedError(FcError):
    """The demo did not come to its expected end; the message says where it stopped."""

    code = "demo_failed"


class Build(msgspec.Struct, frozen=True):
    """What the demo shows of a build."""

    id: str
    project: str
    jobset: str
    job: str
    evaluation_id: str
    status: str
    builder: str | None
    seconds: float | None

    @property
    def key(self) -> str:
        """``project/jobset/job``."""
        return f"{self.project}/{self.jobset}/{self.job}"


class Service:
    """A running ``fcctl serve``."""

    def __init__(self, settings_file: Path, url: str, log_file: Path) -> None:
        self.url = url
        self.log_file = log_file
        self._settings_file = settings_file
        self._process: asyncio.subprocess.Process | None = None
        self._client = httpx.AsyncClient(base_url=url, timeout=10, trust_env=False)

    async def start(self) -> None:
        """Start it and wait for the first 200 of ``/health``.

        Raises:
            DemoFailedError: it ended instead; its log says why.
        """
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FC_")}
        with self.log_file.open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "fc", "serve", "--settings", str(self._settings_file)),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )
        while not await self._healthy():
            self.check_alive()
            await asyncio.sleep(0.05)

    def check_alive(self) -> None:
        """Raise when the service has ended."""
        assert self._process is not None
        if self._process.returncode is not None:
            tail = self.log_file.read_text(encoding="utf-8", errors="replace")[-3000:]
            message = f"the service ended with status {self._process.returncode}; its log ({self.log_file}) ends:\n{tail}"
            raise DemoFailedError(message)

    async def stop(self) -> None:
        """Stop it as an operator would, with SIGTERM."""
        await self._client.aclose()
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            await self._process.wait()

    async def builds(self) -> list[Build]:
        """Every build, oldest first; empty while the service does not answer."""
        page = await self._get("/api/v1/builds?limit=200")
        return [msgspec.convert(row, Build, strict=False) for row in reversed(page.get("items", []))]

    async def evaluation_errors(self, builds: Iterable[Build]) -> set[str]:
        """``project/jobset/job`` of every job that could not be evaluated beside ``builds``."""
        found = set()
        for evaluation in {build.evaluation_id for build in builds}:
            answer = await self._get(f"/api/v1/evaluations/{evaluation}")
            of = answer["detail"]["evaluation"]
            found |= {f"{of['project']}/{of['jobset']}/{error['job']}" for error in answer["errors"]}
        return found

    async def _healthy(self) -> bool:
        try:
            return (await self._client.get("/health")).status_code == httpx.codes.OK
        except httpx.HTTPError:
            return False

    async def _get(self, path: str) -> dict[str, Any]:
        try:
            answer = await self._client.get(path)
        except httpx.HTTPError:
            return {}
        found: dict[str, Any] = answer.json() if answer.is_success else {}
        return found


def free_port(preferred: int) -> int:
    """``preferred`` when it can be listened on, else any free port."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            chosen: int = probe.getsockname()[1]
            return chosen
    return preferred
