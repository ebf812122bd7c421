"""The web process: granian serving the application."""

import os
from pathlib import Path

from granian import Granian
from granian.constants import Interfaces, Loops
from granian.log import LogLevels

from fc.base.errors import DatabaseUnavailableError
from fc.base.log import configure_logging
from fc.base.settings import Settings

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
    Granian(
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
    ).serve()
