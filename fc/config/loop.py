"""The background work of configuration: following its repositories."""

from collections.abc import Iterable
from typing import ClassVar

from typing_extensions import override

from fc.base import notify
from fc.base.looping import Loop, Services
from fc.config.drift_loop import DriftLoop, RetentionLoop
from fc.config.preview_loop import PreviewLoop
from fc.config.sync import Synchronizer


class ConfigurationLoop(Loop):
    """Synchronises a configuration repository when a hook asks for it, and otherwise every poll interval."""

    name: ClassVar[str] = "configuration"
    channels: ClassVar[tuple[str, ...]] = (notify.CONFIG_CHANGED,)
    interval: ClassVar[float] = 2.0

    def __init__(self, synchronizer: Synchronizer, followed: Iterable[str]) -> None:
        """``followed``: the names of all repositories; others that are known are marked as not followed."""
        super().__init__()
        self._synchronizer = synchronizer
        self._followed = tuple(followed)
        self._registered = False

    @override
    async def turn(self) -> bool:
        """Synchronise if it is due."""
        if not self._registered:
            await self._synchronizer.register()
            await self._synchronizer.retire_others(self._followed)
            self._registered = True
        return await self._synchronizer.synchronize()


def make_loops(services: Services) -> list[Loop]:
    """Loops for drift, retention and previews, and one for each configuration repository: none waits for another.

    Raises:
        InvalidInputError: a URL is no repository URL.
        SettingsError: a source has no URL, or two have one name.
    """
    followed = services.settings.configuration.followed
    return [
        DriftLoop(services),
        RetentionLoop(services),
        PreviewLoop(services.settings, services.database),
        *(
            ConfigurationLoop(
                Synchronizer(services.settings, services.database, services.secrets, name, configured),
                followed,
            )
            for name, configured in followed.items()
        ),
    ]
