"""A remote builder in miniature: a real SSH server on loopback, before a Nix with a store of its own."""

import asyncio
import contextlib
import os
import shlex
import signal
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncssh
from typing_extensions import override

from fc.base.nix_cli import Nix
from fc.base.settings import NixSettings, Settings

_SERVED = ("--serve", "--write")
_GRACE_SECONDS = 3.0
_PIECE = 1 << 16


class SshBuilder:
    """A machine that builds, as far as anyone who comes by SSH can tell.

    It has a chroot store, a host key, one user with one key, and runs nothing but ``nix-store --serve --write``.

    Args:
        directory: where it keeps its store and its client's key.
        nix: the head's Nix, whose programs and options it shares.
        host_key: its host key; none: a new one.
        features: system features its own Nix is configured with; Nix refuses what requires others.
    """

    def __init__(
        self,
        directory: Path,
        nix: Nix,
        host_key: asyncssh.SSHKey | None = None,
        features: Iterable[str] = ("workshop",),
    ) -> None:
        self.directory = directory.absolute()
        self.client_key_file = self.directory / "client-key"
        """Private key that its user is let in with."""
        options = nix.options | {"system-features": " ".join(features)}
        self.nix = Nix.discover(
            Settings(
                data_dir=self.directory,
                nix=NixSettings(
                    bin_dir=nix.bin_dir,
                    store=str(self.directory / "store"),
                    options=options,
                    system=nix.system,
                ),
            )
        )
        self._host_key = host_key or asyncssh.generate_private_key("ssh-ed25519")
        self._host_keys = [self._host_key]
        self._client_key = asyncssh.generate_private_key("ssh-ed25519")
        self._server: asyncssh.SSHAcceptor | None = None
        self._port = 0
        self._connections: set[asyncssh.SSHServerConnection] = set()
        self._running: set[asyncio.subprocess.Process] = set()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def ssh_uri(self) -> str:
        """How it is reached."""
        return f"ssh://builder@127.0.0.1:{self._port}"

    @property
    def public_host_key(self) -> str:
        """What it shows: ``ssh-ed25519 AAAA…``."""
        return self._host_key.export_public_key().decode("ascii").strip()

    async def start(self) -> None:
        """Listen on loopback; on the same port again after a stop."""
        self.client_key_file.parent.mkdir(parents=True, exist_ok=True)
        self._client_key.write_private_key(self.client_key_file)
        self.client_key_file.chmod(0o600)
        await self._make_store()
        allowed = self._client_key.export_public_key().decode("ascii")
        self._server = await asyncssh.listen(
            "127.0.0.1",
            self._port,
            server_factory=lambda: _Server(self._connections),
            server_host_keys=self._host_keys,
            authorized_client_keys=asyncssh.import_authorized_keys(allowed),
            process_factory=self.handle,
            encoding=None,
            config=None,
            allow_scp=False,
            x11_forwarding=False,
            agent_forwarding=False,
            password_auth=False,
            kbdint_auth=False,
        )
        self._port = self._server.get_port()

    async def stop(self) -> None:
        """Stop listening, drop every connection, end what runs."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None
        self.drop_connections()
        for process in list(self._running):
            await _end(process)

    async def _make_store(self) -> None:
        """Make the store before the first session: processes of Nix that all find none stand in each other's way."""
        process = await asyncio.create_subprocess_exec(
            *self.nix.command("nix-store", "--init"), env=self.nix.environment()
        )
        await process.wait()

    def drop_connections(self) -> None:
        """Lose every connection at once, as when the network goes."""
        for connection in list(self._connections):
            connection.abort()

    async def handle(self, process: "asyncssh.SSHServerProcess[bytes]") -> None:
        """One session: run what is asked for, until it ends or its client is gone."""
        words = shlex.split(process.command or "")
        if tuple(words[1:]) != _SERVED or Path(words[0]).name != "nix-store":
            process.stderr.write(b"this machine runs nix-store --serve --write and nothing else\n")
            process.exit(127)
            return
        await self.run(process)

    async def run(self, process: "asyncssh.SSHServerProcess[bytes]") -> None:
        """Let Nix serve the session."""
        server = await asyncio.create_subprocess_exec(
            *self.nix.command("nix-store", *_SERVED),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=self.nix.environment(),
            start_new_session=True,
        )
        self._running.add(server)
        try:
            await self.relay(process, server)
        finally:
            await _end(server)
            self._running.discard(server)

    async def relay(
        self, process: "asyncssh.SSHServerProcess[bytes]", server: asyncio.subprocess.Process
    ) -> None:
        """Carry bytes both ways, none faster than the other side takes them, until one side ends."""
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stderr is not None
        said = [
            asyncio.create_task(_carry(server.stdout, process.stdout)),
            asyncio.create_task(_carry(server.stderr, process.stderr)),
        ]
        given = asyncio.create_task(_carry(process.stdin, server.stdin))
        gone = asyncio.create_task(process.channel.wait_closed())
        ended = asyncio.create_task(_ended(server, said))
        try:
            await asyncio.wait({ended, gone}, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                process.exit(max(0, ended.result()))
        finally:
            tasks = (*said, given, gone, ended)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


class _Server(asyncssh.SSHServer):
    """Remembers the connections that are open."""

    def __init__(self, connections: set[asyncssh.SSHServerConnection]) -> None:
        self._connections = connections
        self._connection: asyncssh.SSHServerConnection | None = None

    @override
    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn
        self._connections.add(conn)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._connections.discard(self._connection)


async def _carry(source: Any, target: Any) -> None:
    """Copy a stream to its end. Of a session that is gone nothing more can be said, or told."""
    with contextlib.suppress(OSError, asyncssh.Error, asyncssh.SignalReceived):
        while data := await source.read(_PIECE):
            target.write(data)
            await target.drain()
        if isinstance(target, asyncio.StreamWriter):
            target.close()


async def _ended(server: asyncio.subprocess.Process, said: list["asyncio.Task[None]"]) -> int:
    """The exit status, once all that was printed is carried."""
    await asyncio.wait(said)
    return await server.wait()


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a Nix that nobody speaks to any more, and the build it may be in."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _GRACE_SECONDS)
