"""Looking after pull requests whose hooks may have been lost: each forge is asked now and then, and about few at once."""

import asyncio
import time
from collections import defaultdict
from typing import ClassVar

import structlog
from typing_extensions import override

from fc.base.looping import Loop, Services
from fc.base.source_settings import SourceSettings
from fc.forge.status_answers import Later, Refused
from fc.report.asking import Asker, Gone
from fc.report.configuration_planner import reported_sources
from fc.report.looks import LOOK_SECONDS, Look, claim_look, find, note
from fc.report.post import Poster
from fc.report.target import target_of_source

MOST_LOOKS = 20
"""Pull requests of one source that are asked about in one round."""
_ROUND_SECONDS = 60.0
_LONGEST_ANSWER = 10.0
"""Seconds: nobody waits for it."""

log = structlog.get_logger(__name__)


class LookingAfter(Loop):
    """Finds pull requests that were closed, or got new commits, though no hook said so."""

    name: ClassVar[str] = "report-look"
    channels: ClassVar[tuple[str, ...]] = ()
    interval: ClassVar[float] = _ROUND_SECONDS

    def __init__(self, services: Services, longest_answer: float = _LONGEST_ANSWER) -> None:
        """Raises SettingsError: a source has no URL, or two have one name."""
        super().__init__()
        self._services = services
        self._sources = reported_sources(services.settings)
        self._poster = Poster(longest_answer)
        self._asker = Asker(services.secrets, self._poster)
        self._rests: dict[str, float] = {}
        """Until when a source's forge is left alone, by the monotonic clock."""
        self._said: defaultdict[str, set[int | None]] = defaultdict(set)
        """By source, for which pull requests it was said that they cannot be asked about; none: for all."""
        self._round: asyncio.Task[None] | None = None

    @override
    async def turn(self) -> bool:
        """Begin a round, unless one is under way: a slow forge holds up neither the others' nor the end of the process."""
        if self._sources and (self._round is None or self._round.done()):
            self._round = asyncio.create_task(self.look(), name=self.name)
            self._round.add_done_callback(_ended)
        return False

    @override
    async def drain(self) -> None:
        if self._round is not None:
            self._round.cancel()
            await asyncio.gather(self._round, return_exceptions=True)
        await self._poster.close()

    async def look(self) -> None:
        """One round: every source at the same time, its pull requests one after another."""
        now = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for name, source in self._sources.items():
                if self._rests.get(name, 0.0) <= now:
                    group.create_task(self._look_at(name, source))

    async def _look_at(self, name: str, source: SourceSettings) -> None:
        for _ in range(MOST_LOOKS):
            look = await claim_look(self._services.database, name)
            if look is None or not await self._ask(name, source, look):
                return

    async def _ask(self, name: str, source: SourceSettings, look: Look) -> bool:
        """Ask about one, and hand over what was found; false: its forge is left alone for a while."""
        report = source.report
        assert report is not None
        target = target_of_source(report, self._services.settings.forges)
        answer = await self._asker.ask(report.forge, target, look.number)
        if isinstance(answer, Later | Refused):
            return self._failed(name, look, answer)
        self._said[name] -= {None, look.number}
        finding = find(answer, source.branch, look.head)
        if finding is not None and await note(self._services.database, look, finding):
            log.info("pull request is not as hooks said", source=name, number=look.number, found=finding)
        return True

    def _failed(self, name: str, look: Look, answer: Later | Refused) -> bool:
        alone = isinstance(answer, Gone)
        about = look.number if alone else None
        if about not in self._said[name]:
            self._said[name].add(about)
            log.warning(
                "forge does not say how a pull request stands",
                source=name,
                number=look.number,
                reason=answer.reason,
            )
        if not alone:
            wait = answer.after if isinstance(answer, Later) else None
            self._rests[name] = time.monotonic() + max(wait or 0.0, LOOK_SECONDS)
        return alone


def _ended(looking: asyncio.Task[None]) -> None:
    if not looking.cancelled() and (error := looking.exception()) is not None:
        # The next round tries again.
        log.error("pull requests cannot be looked after", exc_info=error)
