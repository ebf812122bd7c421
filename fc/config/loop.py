"""The background work of configuration: following its repositories."""

import asyncio
import time
from collections.abc import Iterable
from typing import ClassVar

from typing_extensions import override

from fc.base import notify
from fc.base.database import Database
from fc.base.looping import Loop, Services
from fc.config.delegated import DueFile, claim_next
from fc.config.delegated_rows import reconcile_files
from fc.config.delegated_sync import synchronize_file
from fc.config.drift_loop import DriftLoop, RetentionLoop
from fc.config.preview_loop import PreviewLoop
from fc.config.sources import retire
from fc.config.sync import Synchronizer

_FILES_AT_ONCE = 8
_UNPROVEN_AT_ONCE = 4
"""Of these, so many may be of repositories that could not be read last time: if they hang, the others go on."""
_RECONCILE_SECONDS = 60.0


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


class ProjectFilesLoop(Loop):
    """Synchronises the own files of all projects that delegate to them, some at once: none is in another's way."""

    name: ClassVar[str] = "project files"
    channels: ClassVar[tuple[str, ...]] = (notify.CONFIG_CHANGED,)
    interval: ClassVar[float] = 5.0

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services
        self._running: dict[asyncio.Task[None], DueFile] = {}
        self._reconcile_at = 0.0

    @override
    async def turn(self) -> bool:
        """Begin what is due, as far as there is room."""
        database = self._services.database
        if time.monotonic() >= self._reconcile_at:
            # Applying does it too; a project may also have been changed by hand.
            async with database.transaction() as connection:
                await reconcile_files(connection)
            self._reconcile_at = time.monotonic() + _RECONCILE_SECONDS
        while len(self._running) < _FILES_AT_ONCE:
            unproven = sum(not due.proven for due in self._running.values())
            due = await claim_next(database, unproven=unproven < _UNPROVEN_AT_ONCE)
            if due is None:
                break
            task = asyncio.create_task(
                synchronize_file(self._services.settings, database, due), name=due.claim.source
            )
            self._running[task] = due
            task.add_done_callback(self._ended)
        return False

    @override
    async def drain(self) -> None:
        """What has only just been claimed must begin, or it would not be handed back."""
        await asyncio.sleep(0)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self.wake.set()


class ForgettingLoop(Loop):
    """Marks every source as not followed: the settings name none."""

    name: ClassVar[str] = "forgetting"
    channels: ClassVar[tuple[str, ...]] = ()
    interval: ClassVar[float] = 3600.0

    def __init__(self, database: Database) -> None:
        super().__init__()
        self._database = database
        self._done = False

    @override
    async def turn(self) -> bool:
        """Do it once, when the process starts, as those do that follow something."""
        if not self._done:
            await retire(self._database, ())
            self._done = True
        return False


def make_loops(services: Services) -> list[Loop]:
    """Loops for drift, retention, previews and projects' own files, and one for each configuration repository.

    Raises:
        InvalidInputError: a URL is no repository URL.
        SettingsError: a source has no URL, or two have one name.
    """
    followed = services.settings.configuration.followed
    return [
        DriftLoop(services),
        RetentionLoop(services),
        PreviewLoop(services.settings, services.database),
        ProjectFilesLoop(services),
        *([] if followed else [ForgettingLoop(services.database)]),
        *(
            ConfigurationLoop(
                Synchronizer(services.settings, services.database, services.secrets, name, configured),
                followed,
            )
            for name, configured in followed.items()
        ),
    ]
