"""The build loops in a process of their own: ``python -m tests.support.build_process <settings as JSON>``."""

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import msgspec

from fc.base.database import Database
from fc.base.nix_cli import Nix
from fc.base.settings import Settings
from tests.support.farm import Farm, make_services


def _decode(kind: type, value: Any) -> Any:
    return kind(value)


async def _run(given: dict[str, Any]) -> None:
    settings = msgspec.convert(given["settings"], Settings, dec_hook=_decode)
    settings = msgspec.structs.replace(settings, data_dir=Path(settings.data_dir))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    database = await Database.connect(given["database_url"], size=5)
    async with Farm(make_services(settings, database, Nix.discover(settings))).working():
        await stop.wait()
    await database.close()


if __name__ == "__main__":
    asyncio.run(_run(msgspec.json.decode(sys.argv[1])))
