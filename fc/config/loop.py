"""The background work of configuration: following its repository."""

from typing import ClassVar

from typing_extensions import override

from fc.base import notify
from fc.base.looping import Loop, Services
from fc.config.drift_loop import DriftLoop
from fc.config.sync import Synchronizer


class ConfigurationLoop(Loop):
    """Synchronises the configuration repository when a hook asks for it, and otherwise every poll interval."""

    name: ClassVar[str] = "configuration"
    channels: ClassVar[tuple[str, ...]] = (notify.CONFIG_CHANGED,)
    interval: ClassVar[float] = 2.0

    def __init__(self, synchronizer: Synchronizer) -> None:
        super().__init__()
        self._synchronizer = synchronizer
        self._registered = False

    @override
    async def turn(self) -> bool:
        """Synchronise if it is due."""
        if not self._registered:
            await self._synchronizer.register()
            self._registered = True
        return await self._synchronizer.synchronize()


def make_loops(services: Services) -> list[Loop]:
    """The loops that look after what git owns, and one that follows a repository if the settings name it.

    Raises:
        InvalidInputError: ``configuration.url`` is no repository URL.
    """
    loops: list[Loop] = [DriftLoop(services)]
    if services.settings.configuration.url is None:
        return loops
    return [*loops, ConfigurationLoop(Synchronizer(services.settings, services.database, services.secrets))]
