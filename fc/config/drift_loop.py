"""The background work on what is there: finding drift, healing it, and deleting what git removed long ago."""

import asyncio
from typing import ClassVar

import structlog
from typing_extensions import override

from fc.base import notify
from fc.base.looping import Loop, Services
from fc.config.drift_log import look
from fc.config.heal import heal_due
from fc.config.language import KINDS
from fc.config.retention import retire

_GATHER_SECONDS = 0.5
"""How long further notices are waited for: who changes one row often changes the next."""

log = structlog.get_logger(__name__)


class _Notice(asyncio.Event):
    """An event that remembers to have been set until somebody has seen to it."""

    came = False

    @override
    def set(self) -> None:
        self.came = True
        super().set()


class DriftLoop(Loop):
    """Compares rows with the inventory after a change by hand, after an application, and otherwise every interval."""

    name: ClassVar[str] = "drift"
    channels: ClassVar[tuple[str, ...]] = (notify.HAND_WRITES,)
    interval: ClassVar[float] = 10.0

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._notice = _Notice()
        self.wake = self._notice
        self._database = services.database
        self._reveal = services.secrets.reveal
        self._every = float(services.settings.configuration.drift_interval)
        policy = services.settings.configuration.drift
        self._healed = [kind.name for kind in KINDS if policy.heals(kind.name)]

    @override
    async def turn(self) -> bool:
        """Compare if it is due or a notice came, and heal."""
        noticed = self._notice.came
        if noticed:
            await asyncio.sleep(_GATHER_SECONDS)
        self._notice.came = False
        looked = await look(self._database, self._every, now=noticed)
        if looked == "again":
            self._notice.came = True
            return True
        if looked == "recorded" and self._healed:
            done = await heal_due(self._database, self._healed, self._reveal, retry_seconds=self._every)
            if done.healed or done.failures:
                log.warning("drift healed", healed=len(done.healed), failed=len(done.failures))
        return False


class RetentionLoop(Loop):
    """Deletes what git removed long ago, a batch at a time."""

    name: ClassVar[str] = "retention"
    channels: ClassVar[tuple[str, ...]] = ()
    interval: ClassVar[float] = 60.0

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._database = services.database
        self._retention = float(services.settings.configuration.retention)

    @override
    async def turn(self) -> bool:
        """Delete if it is due."""
        done = await retire(self._database, self._retention)
        for one in done:
            log.warning("retired", kind=one.kind, key=one.key)
        return bool(done)
