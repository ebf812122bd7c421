"""Background work of evaluation: checking jobsets, and evaluating what is new."""

import asyncio
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import ClassVar

import asyncpg
import structlog
from typing_extensions import override

from fc.base.looping import Loop, Services
from fc.base.notify import EVALUATIONS_CHANGED, JOBSETS_CHANGED
from fc.evaluate.attempt import attempt
from fc.evaluate.check import (
    RENEW_SECONDS as RENEW_CHECK_SECONDS,
)
from fc.evaluate.check import (
    DueJobset,
    abandon_checks,
    check,
    claim_due,
    fail_check,
    hand_back_check,
    renew_check,
)
from fc.evaluate.claim import RENEW_SECONDS, Claimed, abandon, claim_evaluation, hand_back, renew, try_later
from fc.evaluate.local_claims import LocalClaims
from fc.evaluate.sources import SourceTrees

_CHECKS_AT_ONCE = 4

log = structlog.get_logger(__name__)


class ClaimingLoop(Loop):
    """Claims pieces of work and does several at once, each in a task of its own, its claim kept alive."""

    def __init__(self, services: Services, at_once: int) -> None:
        super().__init__()
        self._services = services
        self._at_once = at_once
        self._claims = LocalClaims(services.settings.data_dir.absolute() / "claims" / self.name)
        self._tasks: set[asyncio.Task[None]] = set()

    @override
    async def turn(self) -> bool:
        await self._take_over()
        while len(self._tasks) < self._at_once:
            task = await self.begin(self._claims.new_token())
            if task is None:
                return False
            self._tasks.add(task)
            task.add_done_callback(self._ended)
        return False

    @override
    async def drain(self) -> None:
        # What has only just been claimed must begin, or it would not be handed back.
        await asyncio.sleep(0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._claims.close()

    @abstractmethod
    async def begin(self, token: uuid.UUID) -> asyncio.Task[None] | None:
        """Claim a piece of work and begin it; none: there is none."""

    @abstractmethod
    async def abandon(self, prefixes: list[str]) -> None:
        """Set free what dead processes had claimed, whose tokens begin so."""

    async def keep(self, work: Callable[[], Coroutine[None, None, None]], claim: "HeldClaim") -> None:
        """Do ``work`` and renew its claim meanwhile; it is ended when the claim is lost, handed back when we stop."""
        doing = asyncio.create_task(work())
        keeping = asyncio.create_task(_keep_alive(doing, claim))
        try:
            await doing
        except asyncio.CancelledError:
            # Cancelled is either the work alone, since its claim was lost, or all of us, since this process stops.
            doing.cancel()
            await asyncio.gather(doing, return_exceptions=True)
            await claim.hand_back()
            raise
        except Exception as error:
            log.exception("background work failed", loop=self.name, error=str(error))
            await claim.give_up(f"{type(error).__name__}: {error}")
        finally:
            keeping.cancel()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("background work could not be handed back", loop=self.name, error=str(task.exception()))
        self.wake.set()

    async def _take_over(self) -> None:
        prefixes = self._claims.abandoned()
        if prefixes:
            await self.abandon(prefixes)
            for prefix in prefixes:
                self._claims.forget(prefix)


class HeldClaim(ABC):
    """A claim while its work is done."""

    renew_seconds: float

    @abstractmethod
    async def renew(self) -> bool:
        """Keep it for another while; false: it is lost."""

    @abstractmethod
    async def hand_back(self) -> None:
        """Let another begin anew at once."""

    @abstractmethod
    async def give_up(self, message: str) -> None:
        """It went wrong in a way nobody foresaw: let it be tried again, but later."""


async def _keep_alive(doing: asyncio.Task[None], claim: HeldClaim) -> None:
    while True:
        await asyncio.sleep(claim.renew_seconds)
        try:
            if not await claim.renew():
                log.warning("a claim was lost; its work is ended")
                doing.cancel()
                return
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            # Tried again in time; if the lease runs out meanwhile, another takes over and this result is refused.
            log.warning("a claim could not be renewed", error=str(error))


class CheckLoop(ClaimingLoop):
    """Looks whether jobsets have something new to evaluate."""

    name: ClassVar[str] = "check"
    channels: ClassVar[tuple[str, ...]] = (JOBSETS_CHANGED,)
    interval: ClassVar[float] = 1.0

    def __init__(self, services: Services) -> None:
        super().__init__(services, _CHECKS_AT_ONCE)

    @override
    async def begin(self, token: uuid.UUID) -> asyncio.Task[None] | None:
        jobset = await claim_due(self._services.database, token)
        return (
            None if jobset is None else asyncio.create_task(self._check(jobset), name=f"check {jobset.name}")
        )

    @override
    async def abandon(self, prefixes: list[str]) -> None:
        await abandon_checks(self._services.database, prefixes)

    async def _check(self, jobset: DueJobset) -> None:
        async def work() -> None:
            found = await check(self._services.database, self._services.settings, jobset)
            if found is not None:
                log.info("new evaluation", project=jobset.project, jobset=jobset.name, evaluation=str(found))

        await self.keep(work, HeldCheck(self._services, jobset))


class HeldCheck(HeldClaim):
    """A jobset that is being checked."""

    renew_seconds = RENEW_CHECK_SECONDS

    def __init__(self, services: Services, jobset: DueJobset) -> None:
        self._services = services
        self._jobset = jobset

    @override
    async def renew(self) -> bool:
        return await renew_check(self._services.database, self._jobset)

    @override
    async def hand_back(self) -> None:
        await hand_back_check(self._services.database, self._jobset)

    @override
    async def give_up(self, message: str) -> None:
        await fail_check(self._services.database, self._services.settings, self._jobset, message)


class EvaluateLoop(ClaimingLoop):
    """Evaluates what the checks have found."""

    name: ClassVar[str] = "evaluate"
    channels: ClassVar[tuple[str, ...]] = (EVALUATIONS_CHANGED,)
    interval: ClassVar[float] = 5.0

    def __init__(self, services: Services) -> None:
        super().__init__(services, services.settings.evaluate.concurrency)
        self._trees = SourceTrees(services.settings.data_dir.absolute() / "sources")

    @override
    async def begin(self, token: uuid.UUID) -> asyncio.Task[None] | None:
        claimed = await claim_evaluation(self._services.database, token)
        if claimed is None:
            return None
        return asyncio.create_task(self._evaluate(claimed), name=f"evaluate {claimed.claim.evaluation_id}")

    @override
    async def abandon(self, prefixes: list[str]) -> None:
        await abandon(self._services.database, prefixes)

    async def _evaluate(self, claimed: Claimed) -> None:
        async def work() -> None:
            await attempt(self._services, self._trees, claimed)

        await self.keep(work, HeldEvaluation(self._services, claimed))


class HeldEvaluation(HeldClaim):
    """An evaluation in progress."""

    renew_seconds = RENEW_SECONDS

    def __init__(self, services: Services, claimed: Claimed) -> None:
        self._database = services.database
        self._claimed = claimed

    @override
    async def renew(self) -> bool:
        return await renew(self._database, self._claimed.claim)

    @override
    async def hand_back(self) -> None:
        await hand_back(self._database, self._claimed.claim)

    @override
    async def give_up(self, message: str) -> None:
        await try_later(self._database, self._claimed, message)


def make_loops(services: Services) -> list[Loop]:
    """The loops of this slice."""
    return [CheckLoop(services), EvaluateLoop(services)]
