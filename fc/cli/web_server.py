"""The web process: granian serving the application."""

import multiprocessing
import os
import signal
from pathlib import Path
from types import FrameType

from granian import Granian
from granian.constants import Interfaces, Loops
from granian.log import LogLevels

from fc.base.errors import DatabaseUnavailableError
from fc.base.log import configure_logging
from fc.base.settings import Settings
from fc.web.stop_signal import STOP_SIGNAL

_WORKER_STOP_SECONDS = 5
"""How long open streams may keep a worker from stopping."""


def run(settings: Settings, settings_file: Path | None) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        DatabaseUnavailableError: no database is named.
    """
    configure_logging(settings.log.level, settings.log.form)
    if settings.database.url is None:
        message = "database.url is not set: 'fcctl serve' runs the embedded PostgreSQL; 'web' and 'work' alone need its URL"
        raise DatabaseUnavailableError(message)
    if settings_file is not None:
        # The workers are processes of their own and read the settings again.
        os.environ["FC_SETTINGS_FILE"] = str(settings_file.absolute())
    server = Granian(
        "fc.app:app_from_environment",
        factory=True,
        address=settings.web.host,
        port=settings.web.port,
        interface=Interfaces.ASGI,
        loop=Loops.uvloop,
        workers=settings.web.workers,
        workers_kill_timeout=_WORKER_STOP_SECONDS,
        respawn_failed_workers=True,
        websockets=False,
        log_level=LogLevels.debug if settings.log.level == "debug" else LogLevels.warning,
    )
    server.on_startup(_warn_workers)
    server.serve()


def _warn_workers() -> None:
    """Let workers end their streams before the server stops them: it waits for open responses first."""
    for number in (signal.SIGTERM, signal.SIGINT):
        stop = signal.getsignal(number)

        def warn_and_stop(received: int, frame: FrameType | None, stop: object = stop) -> None:
            for worker in multiprocessing.active_children():
                if worker.pid is not None:
                    os.kill(worker.pid, STOP_SIGNAL)
            if callable(stop):
                stop(received, frame)

        signal.signal(number, warn_and_stop)
