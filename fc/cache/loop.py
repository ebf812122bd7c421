"""Background work of the cache: channels move, closures of built outputs are recorded."""

from typing import ClassVar

import structlog
from typing_extensions import override

from fc.base.looping import Loop, Services
from fc.base.notify import BUILDS_CHANGED, CONFIG_CHANGED, DERIVATIONS_READY, EVALUATIONS_CHANGED
from fc.cache.channels import move_channels
from fc.cache.record import record_next

log = structlog.get_logger(__name__)


class ChannelLoop(Loop):
    """Moves channels."""

    name: ClassVar[str] = "channels"
    channels: ClassVar[tuple[str, ...]] = (BUILDS_CHANGED, EVALUATIONS_CHANGED, CONFIG_CHANGED)
    interval: ClassVar[float] = 60.0

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._database = services.database

    @override
    async def turn(self) -> bool:
        for move in await move_channels(self._database):
            log.info("channel moved", project=move.project, channel=move.channel, commit=move.commit)
        return False


class CacheLoop(Loop):
    """Records what the binary cache serves."""

    name: ClassVar[str] = "cache"
    channels: ClassVar[tuple[str, ...]] = (BUILDS_CHANGED, DERIVATIONS_READY)
    interval: ClassVar[float] = 30.0

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._database = services.database
        self._nix = services.nix

    @override
    async def turn(self) -> bool:
        return await record_next(self._database, self._nix)


def make_loops(services: Services) -> list[Loop]:
    """The loops of this slice."""
    loops: list[Loop] = [ChannelLoop(services)]
    if services.settings.cache.enabled:
        loops.append(CacheLoop(services))
    return loops
