"""Carrier by SSH: one long-lived connection for each builder, its host key pinned."""

import asyncio
import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncssh
import msgspec
from typing_extensions import override

from fc.build.ssh_uri import SshTarget
from fc.build.transport import PIECE, BuilderError, Carrier, Channel

_KEEPALIVE_SECONDS = 5
_KEEPALIVE_MISSED = 3
"""A builder that answers none of so many probes in a row is lost."""

_SESSIONS = 8
"""Processes over one connection; OpenSSH allows 10 unless it is told otherwise (MaxSessions)."""

_CLOSE_SECONDS = 5.0


class SshAccess(msgspec.Struct, frozen=True):
    """How a builder is entered."""

    target: SshTarget
    key_file: Path | None
    """Private key without passphrase."""
    host_keys: str | None
    """Lines ``ssh-ed25519 AAAA…``, any of which the builder must show; none: not pinned."""
    trust_file: Path | None
    """Without a pinned key: where the first key seen is kept and pinned from then on; none: refused."""
    connect_timeout: float


class SshCarrier(Carrier):
    """A builder reached by SSH.

    A further connection is opened only while more processes run at once than one connection may have.
    """

    def __init__(self, name: str, access: SshAccess) -> None:
        self.name = name
        self.access = access
        self._connections: list[_Connection] = []
        self._connecting = asyncio.Lock()
        self._failure: BuilderError | None = None
        self._failed_at = 0.0

    @override
    async def open(self) -> Channel:
        connection = await self._connection()
        connection.channels += 1
        try:
            process = await asyncio.wait_for(
                connection.client.create_process(
                    self.access.target.command, encoding=None, request_pty=False, window=4 * PIECE
                ),
                self.access.connect_timeout,
            )
        except (asyncssh.Error, OSError, TimeoutError) as error:
            connection.channels -= 1
            raise BuilderError(self.name, f"no session could be opened: {_words(error)}") from error
        return _SshChannel(process, connection)

    @override
    async def close(self) -> None:
        connections, self._connections = self._connections, []
        for connection in connections:
            connection.client.abort()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(connection.client.wait_closed(), _CLOSE_SECONDS)

    async def _connection(self) -> "_Connection":
        """A live connection with room for one more process."""
        asked = time.monotonic()
        async with self._connecting:
            if self._failure is not None and self._failed_at >= asked:
                # What failed while this one waited for its turn would fail for it as well.
                raise BuilderError(self.name, self._failure.detail)
            for connection in [one for one in self._connections if one.client.is_closed()]:
                self._connections.remove(connection)
            for connection in self._connections:
                if connection.channels < _SESSIONS:
                    return connection
            try:
                connection = _Connection(await self._connect())
            except BuilderError as error:
                self._failure, self._failed_at = error, time.monotonic()
                raise
            self._connections.append(connection)
            return connection

    async def _connect(self) -> asyncssh.SSHClientConnection:
        access = self.access
        trusted = self._trusted_keys()
        try:
            client = await asyncssh.connect(
                access.target.host,
                access.target.port,
                **({} if access.target.user is None else {"username": access.target.user}),
                client_keys=[self._client_key()],
                known_hosts=None if trusted is None else (trusted, [], []),
                # Nothing of this machine's own SSH set-up, and no way in but the key.
                config=None,
                agent_path=None,
                x509_trusted_certs=None,
                preferred_auth="publickey",
                password_auth=False,
                kbdint_auth=False,
                host_based_auth=False,
                gss_auth=False,
                gss_kex=False,
                connect_timeout=access.connect_timeout,
                login_timeout=access.connect_timeout,
                keepalive_interval=_KEEPALIVE_SECONDS,
                keepalive_count_max=_KEEPALIVE_MISSED,
            )
        except asyncssh.HostKeyNotVerifiable:
            detail = "it does not show the host key that is pinned (public_host_key): either the machine was set up anew, or this is another machine"
            raise BuilderError(self.name, detail) from None
        except asyncssh.PermissionDenied:
            who = access.target.user or "the user FC runs as"
            raise BuilderError(self.name, f"it refuses the key {access.key_file} for {who}") from None
        except (asyncssh.Error, OSError, TimeoutError) as error:
            raise BuilderError(self.name, f"no connection: {_words(error)}") from error
        if trusted is None:
            self._remember(client)
        return client

    def _client_key(self) -> asyncssh.SSHKey:
        file = self.access.key_file
        if file is None:
            detail = "there is no key to enter it with: set its ssh_key_file, or builders.ssh_key for all"
            raise BuilderError(self.name, detail)
        try:
            return asyncssh.read_private_key(file)
        except (OSError, asyncssh.KeyImportError, asyncssh.KeyEncryptionError) as error:
            raise BuilderError(self.name, f"its private key {file} cannot be used: {_words(error)}") from None

    def _trusted_keys(self) -> Sequence[asyncssh.SSHKey] | None:
        """The keys that may be shown; none: any, this first time."""
        text = self.access.host_keys
        if text is None and self.access.trust_file is not None:
            with contextlib.suppress(FileNotFoundError):
                text = self.access.trust_file.read_text(encoding="ascii")
            if text is None:
                return None
        if text is None:
            detail = "its host key is not known: set public_host_key (ssh-keyscan prints it), or allow builders.trust_on_first_use"
            raise BuilderError(self.name, detail)
        try:
            lines = [line.strip() for line in text.splitlines()]
            keys = [asyncssh.import_public_key(line) for line in lines if line and not line.startswith("#")]
        except (asyncssh.KeyImportError, ValueError) as error:
            raise BuilderError(self.name, f"its public_host_key cannot be read: {_words(error)}") from None
        if not keys:
            raise BuilderError(self.name, "its public_host_key is empty")
        return keys

    def _remember(self, client: asyncssh.SSHClientConnection) -> None:
        """Pin the key that was shown, from now on."""
        file = self.access.trust_file
        key = client.get_server_host_key()
        assert file is not None
        assert key is not None
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = file.with_name(f"{file.name}.{os.getpid()}")
        temporary.write_bytes(key.export_public_key())
        temporary.replace(file)


class _Connection:
    """A connection and how many processes run over it."""

    def __init__(self, client: asyncssh.SSHClientConnection) -> None:
        self.client = client
        self.channels = 0


class _SshChannel(Channel):
    """A process on a builder."""

    def __init__(self, process: "asyncssh.SSHClientProcess[bytes]", connection: _Connection) -> None:
        self._process = process
        self._connection: _Connection | None = connection

    @override
    async def read(self, most: int) -> bytes:
        return await _without_ssh_errors(self._process.stdout.read(most))

    @override
    async def read_log(self) -> bytes:
        return await _without_ssh_errors(self._process.stderr.read(PIECE))

    @override
    async def write(self, data: bytes) -> None:
        try:
            self._process.stdin.write(data)
            await self._process.stdin.drain()
        except asyncssh.Error as error:
            raise ConnectionError(_words(error)) from error
        if self._process.channel.is_closing():
            # asyncssh drops what is written to a channel that the other side has closed.
            message = "the builder closed the session"
            raise ConnectionError(message)

    @override
    def end_input(self) -> None:
        with contextlib.suppress(OSError, asyncssh.Error):
            self._process.stdin.write_eof()

    @override
    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        # Closing is not noticed by a remote that is building; a signal is (OpenSSH from 7.9 on).
        with contextlib.suppress(OSError, asyncssh.Error):
            if self._process.exit_status is None and not self._process.channel.is_closing():
                self._process.terminate()
        self._process.close()
        with contextlib.suppress(TimeoutError, asyncssh.Error, OSError):
            await asyncio.wait_for(self._process.wait_closed(), _CLOSE_SECONDS)
        connection.channels -= 1


async def _without_ssh_errors(reading: Any) -> bytes:
    """What ``reading`` gives; asyncssh's errors as those of a lost connection."""
    try:
        data: bytes = await reading
    except asyncssh.Error as error:
        raise ConnectionError(_words(error)) from error
    return data


def _words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer"
    return str(error) or type(error).__name__
