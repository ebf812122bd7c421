"""The web process as ``fcctl web`` runs it: it stops cleanly, however many streams are open."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx

from fc.cli.demo.service import free_port
from tests.support.waiting import eventually


async def test_open_streams_do_not_keep_the_server_from_stopping(database_url: str, tmp_path: Path) -> None:
    port = free_port(0)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FC_")} | {
        "FC_DATABASE__URL": database_url,
        "FC_WEB__PORT": str(port),
        "FC_DATA_DIR": str(tmp_path),
    }
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "fc", "web"),
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False
        ) as http:

            async def healthy() -> bool:
                try:
                    return (await http.get("/health")).status_code == 200
                except httpx.TransportError:
                    assert server.returncode is None
                    return False

            await eventually(healthy, "the server is healthy")
            async with http.stream("GET", "/events?topic=overview") as response:
                pieces = response.aiter_bytes()
                assert b"retry" in await anext(pieces)
                server.send_signal(signal.SIGTERM)
                # The stream ends as streams end; a connection that is cut would raise.
                async for _ in pieces:
                    pass
        assert server.stdout is not None
        output = (await server.stdout.read()).decode()
        assert await server.wait() == 0
        assert "Killing" not in output
    finally:
        if server.returncode is None:
            server.kill()
            await server.wait()
