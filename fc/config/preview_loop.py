"""Previewing pull requests in the background: one at a time, new ones first, synchronisations before all of them."""

import asyncio
import time
from collections.abc import Mapping
from typing import ClassVar

import structlog
from typing_extensions import override

from fc.base import notify
from fc.base.database import Database
from fc.base.errors import GitError
from fc.base.leases import kept
from fc.base.looping import Loop
from fc.base.settings import Settings
from fc.base.source_settings import ReportSettings
from fc.config import previews
from fc.config.previewing import Previewer, PullRequestGoneError

_LONGEST_REST = 2.0
"""Seconds."""

log = structlog.get_logger(__name__)


def previewed_sources(settings: Settings) -> dict[str, ReportSettings]:
    """Sources whose pull requests are previewed, and the forge each of them is on."""
    return {
        name: source.report
        for name, source in settings.configuration.followed.items()
        if source.report is not None
    }


class PreviewLoop(Loop):
    """Plans what open pull requests on configuration repositories would change."""

    name: ClassVar[str] = "configuration previews"
    channels: ClassVar[tuple[str, ...]] = (notify.CONFIG_CHANGED,)
    interval: ClassVar[float] = 5.0

    def __init__(self, settings: Settings, database: Database) -> None:
        """Raises InvalidInputError: a URL is no repository URL."""
        super().__init__()
        self._database = database
        self.previewers: Mapping[str, Previewer] = {
            name: Previewer(settings, database, name) for name in previewed_sources(settings)
        }
        self._cleared = False

    @override
    async def turn(self) -> bool:
        """Plan one pull request if one is due."""
        if not self._cleared:
            await previews.close_others(self._database, self.previewers)
            self._cleared = True
        if not self.previewers:
            return False
        for source, number in await previews.close_found(self._database):
            log.info("pull request is closed", reason="its forge says so", source=source, number=number)
        held = await previews.claim(self._database, self.previewers)
        if held is None:
            return False
        began = time.monotonic()
        await self._plan(held)
        if held.again:
            # After a push to the base all are due: the other loops of this process have half of the time at least.
            await asyncio.sleep(min(_LONGEST_REST, time.monotonic() - began))
        return True

    async def _plan(self, held: previews.Claim) -> None:
        told = {"source": held.source, "number": held.number}
        try:
            async with kept(lambda: previews.renew(self._database, held), previews.LEASE_SECONDS):
                outcome = await self.previewers[held.source].preview(held.number)
        except PullRequestGoneError as error:
            log.info("pull request is closed", reason=str(error), **told)
            await previews.finish_closed(self._database, held)
        except GitError as error:
            log.warning("pull request cannot be read", error=str(error), failures=held.failures, **told)
            await previews.finish_failed(self._database, held, f"it cannot be read: {error}")
        except Exception as error:
            # Whatever a stranger has thought of, it must not keep others from their turn.
            log.exception("pull request cannot be planned", error=str(error), failures=held.failures, **told)
            await previews.finish_failed(self._database, held, "it cannot be planned; the log says why")
        except BaseException:
            await asyncio.shield(previews.hand_back(self._database, held))
            raise
        else:
            if await previews.finish(self._database, held, outcome):
                log.info("pull request planned", status=outcome.status, message=outcome.message, **told)
