"""Servers that real repositories are fetched from: smart and dumb HTTP with passwords, SSH with keys."""

import asyncio
import base64
import os
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import asyncssh
from typing_extensions import override


class _Smart(BaseHTTPRequestHandler):
    """git's own HTTP backend behind a password."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments: object, root: Path, credentials: str, asked: list[str]) -> None:
        self._root = root
        self._expected = "Basic " + base64.b64encode(credentials.encode()).decode()
        self._asked = asked
        super().__init__(*arguments)  # type: ignore[arg-type]  # as the server calls it

    def do_GET(self) -> None:
        self._run(b"")

    def do_POST(self) -> None:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._run(body)

    def _run(self, body: bytes) -> None:
        self._asked.append(self.path)
        if self.headers.get("Authorization") != self._expected:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        environment = {
            "PATH": os.environ["PATH"], "GIT_PROJECT_ROOT": str(self._root), "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "REMOTE_USER": "bot", "GIT_CONFIG_NOSYSTEM": "1",
        }  # fmt: skip
        result = subprocess.run(
            ["git", "http-backend"], input=body, env=environment, capture_output=True, check=True
        )
        head, _, answer = result.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200 OK").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    @override
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


class _Dumb(SimpleHTTPRequestHandler):
    """Files alone."""

    @override
    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def smart_http(root: Path, credentials: str, asked: list[str]) -> Iterator[str]:
    """``host:port`` of a server of the repositories below ``root``; ``asked`` collects what is requested."""
    with _serving(partial(_Smart, root=root, credentials=credentials, asked=asked)) as place:
        yield place


@contextmanager
def dumb_http(root: Path) -> Iterator[str]:
    """``host:port`` of a server of plain files below ``root``."""
    with _serving(partial(_Dumb, directory=str(root))) as place:
        yield place


@contextmanager
def _serving(handler: "partial[_Smart] | partial[_Dumb]") -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _KeysOnly(asyncssh.SSHServer):
    """Lets in who has the key."""

    def __init__(self, key: asyncssh.SSHKey) -> None:
        self._key = key.convert_to_public()

    @override
    def public_key_auth_supported(self) -> bool:
        return True

    @override
    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        return key == self._key

    @override
    def begin_auth(self, username: str) -> bool:
        return True


async def ssh_server(key: asyncssh.SSHKey, port: int = 0) -> asyncssh.SSHAcceptor:
    """An SSH server with a host key of its own that runs ``git-upload-pack`` for whoever has ``key``."""

    async def handle(process: "asyncssh.SSHServerProcess[bytes]") -> None:
        command = process.command or ""
        if not command.startswith("git-upload-pack '"):
            process.exit(1)
            return
        child = await asyncio.create_subprocess_exec(
            "git-upload-pack",
            command.split("'")[1],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        taking = asyncio.create_task(_take(process.stdin, child.stdin))
        while chunk := await child.stdout.read(1 << 16):
            process.stdout.write(chunk)
        taking.cancel()
        process.exit(await child.wait())

    return await asyncssh.listen(
        "127.0.0.1", port, server_factory=lambda: _KeysOnly(key), process_factory=handle, encoding=None,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
    )  # fmt: skip


async def _take(stream: "asyncssh.SSHReader[bytes]", into: asyncio.StreamWriter) -> None:
    while chunk := await stream.read(1 << 16):
        into.write(chunk)
    into.close()
