"""The supervisor: the whole service on one machine, as children that are started, watched and stopped."""

import asyncio
import ctypes
import os
import signal
import socket
import sys
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import structlog

from fc.base.data_dir import DataDirLock, prepare_data_dir
from fc.base.database import OWN_SESSION, unavailable
from fc.base.embedded import EmbeddedPostgres
from fc.base.errors import DatabaseUnavailableError, EnvironmentMissingError
from fc.base.log import configure_logging
from fc.base.looping import backoff
from fc.base.nix_cli import Nix
from fc.base.settings import Settings
from fc.tables.schema_version import SchemaVersion, schema_version

_GRACE_SECONDS = 30.0
"""How long children may take to stop by themselves."""
_STEADY_SECONDS = 60.0
"""A child that ran this long had not failed to start: the next restart is quick again."""
_PR_SET_PDEATHSIG = 1

log = structlog.get_logger(__name__)


def run(settings: Settings, settings_file: Path | None) -> None:
    """Run the service until SIGTERM or SIGINT.

    Raises:
        EnvironmentMissingError: the data directory, the port, Nix or the database cannot be used; says what to do.
        ConflictError: another service runs on the same data directory.
        SchemaMismatchError: the data directory was used by a newer FC.
    """
    configure_logging(settings.log.level, settings.log.form)
    data_dir = prepare_data_dir(settings.data_dir)
    lock = DataDirLock(data_dir)
    lock.acquire()
    try:
        check_port(settings.web.host, settings.web.port)
        Nix.discover(settings)
        postgres = EmbeddedPostgres(data_dir / "postgres") if settings.database.url is None else None
        asyncio.run(_Supervisor(settings, settings_file, postgres).run())
    finally:
        lock.release()


def check_port(host: str, port: int) -> None:
    """Refuse early, in plain words, when the address cannot be listened on.

    Raises:
        EnvironmentMissingError: it is taken, or not ours to take.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            message = (
                f"cannot listen on {host}:{port}: {error.strerror or error}; stop what uses it, "
                "or set web.port (FC_WEB__PORT) to another port"
            )
            raise EnvironmentMissingError(message) from error


@dataclass(slots=True)
class _Child:
    """One process to keep alive."""

    name: str
    failures: int = 0
    process: asyncio.subprocess.Process | None = None


class _Supervisor:
    def __init__(
        self, settings: Settings, settings_file: Path | None, postgres: EmbeddedPostgres | None
    ) -> None:
        self._settings = settings
        self._settings_file = settings_file
        self._postgres = postgres
        self._url = settings.database.url or ""
        self._stop = asyncio.Event()

    async def run(self) -> None:
        running = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            running.add_signal_handler(number, self._stop.set)
        if self._postgres is not None:
            self._url = self._postgres.start()
        try:
            await self._migrate()
            async with asyncio.TaskGroup() as group:
                for name in ("web", "work"):
                    group.create_task(self._keep_alive(_Child(name)))
                group.create_task(self._keep_postgres())
                log.info("serving", url=self._settings.public_url, data_dir=str(self._settings.data_dir))
        finally:
            if self._postgres is not None:
                self._postgres.stop()
        log.info("stopped")

    async def _migrate(self) -> None:
        """Bring the schema up to date, in a process of its own: the supervisor stays small."""
        version = await self._schema_version()
        version.require_known()
        if not version.pending:
            return
        log.info("migrating", pending=len(version.pending))
        migration = await self._spawn("migrate", "up")
        if await migration.wait() != 0:
            message = "the database could not be migrated; the lines above say why"
            raise DatabaseUnavailableError(message)

    async def _schema_version(self) -> SchemaVersion:
        try:
            connection = await asyncpg.connect(self._url, timeout=10, server_settings=OWN_SESSION)
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            raise unavailable(self._url, error) from None
        try:
            return await schema_version(connection)
        finally:
            await connection.close()

    async def _spawn(self, *command: str) -> asyncio.subprocess.Process:
        environment = dict(os.environ) | {"FC_DATABASE__URL": self._url}
        settings = ("--settings", str(self._settings_file)) if self._settings_file is not None else ()
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "fc", *command, *settings),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )

    async def _keep_alive(self, child: _Child) -> None:
        while not self._stop.is_set():
            started = time.monotonic()
            child.process = await self._spawn(child.name)
            await _first(child.process.wait(), self._stop.wait())
            if self._stop.is_set():
                break
            # What the child left running (web workers, say) must not hold its port or its claims.
            _kill_group(child.process.pid)
            child.failures = 1 if time.monotonic() - started > _STEADY_SECONDS else child.failures + 1
            pause = 0.0 if child.failures == 1 else backoff(child.failures - 1)
            log.warning(
                "child died", child=child.name, status=child.process.returncode, restart_in=round(pause, 1)
            )
            await _first(asyncio.sleep(pause), self._stop.wait())
        await _terminate(child)

    async def _keep_postgres(self) -> None:
        """Start the embedded PostgreSQL again should it die; the others reconnect by themselves."""
        while not self._stop.is_set():
            await _first(asyncio.sleep(1), self._stop.wait())
            if self._postgres is None or self._stop.is_set():
                continue
            process = self._postgres.process
            if process is not None and process.poll() is not None:
                log.warning("PostgreSQL died", status=process.returncode)
                try:
                    self._postgres.start()
                except DatabaseUnavailableError as error:
                    log.error("PostgreSQL does not start", error=str(error))  # noqa: TRY400 - the message says it all


async def _first(*waits: Coroutine[object, object, object]) -> None:
    """Return as soon as one of ``waits`` is done; the others are given up."""
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()


async def _terminate(child: _Child) -> None:
    process = child.process
    if process is None or process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), _GRACE_SECONDS)
    except TimeoutError:
        log.warning("child did not stop in time", child=child.name)
    _kill_group(process.pid)
    await process.wait()


def _kill_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return


_LIBC = ctypes.CDLL(None)


def _die_with_parent() -> None:
    """In the child: ask the kernel for SIGTERM when the supervisor is gone."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
