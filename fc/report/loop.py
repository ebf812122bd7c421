"""The loops of reporting: flags become tasks, tasks are sent, and forges are asked what no hook said."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import ClassVar

import asyncpg
import structlog
from typing_extensions import override

from fc.base.looping import Loop, Services, backoff
from fc.base.notify import BUILDS_CHANGED, EVALUATIONS_CHANGED, NOTIFICATIONS_PENDING
from fc.forge.status_answers import Answer, Later
from fc.report.configuration_planner import plan_configuration, reported_sources
from fc.report.deliver import deliver
from fc.report.installation_tokens import InstallationTokens
from fc.report.pauses import Pauses
from fc.report.planner import plan_batch
from fc.report.post import LONGEST_POST, Poster
from fc.report.pull_request_loop import LookingAfter
from fc.report.queue import (
    LEASE,
    Task,
    claim,
    hand_back,
    next_due,
    record,
    take_back_expired,
    waiting_destinations,
)
from fc.report.retry import Decision, decide

_SENDING = 32
"""Deliveries of one process at once."""
_SENDING_TO_ONE_HOST = 4
_SWEEP_SECONDS = 15.0
_DRAIN_SECONDS = 5.0

log = structlog.get_logger(__name__)


def make_loops(services: Services) -> list[Loop]:
    """Planning, sending, and looking after pull requests."""
    return [Planning(services), Sending(services), LookingAfter(services)]


class Planning(Loop):
    """Turns flagged builds, evaluations, revisions and previews into tasks."""

    name: ClassVar[str] = "report-plan"
    channels: ClassVar[tuple[str, ...]] = (NOTIFICATIONS_PENDING, EVALUATIONS_CHANGED, BUILDS_CHANGED)
    interval: ClassVar[float] = 5.0

    def __init__(self, services: Services) -> None:
        super().__init__()
        self._services = services

    @override
    async def turn(self) -> bool:
        database, settings = self._services.database, self._services.settings
        # Not "or": what is flagged here does not wait until nothing is flagged there.
        planned = await plan_batch(database, settings)
        return planned + await plan_configuration(database, settings) > 0


class Sending(Loop):
    """Sends tasks, many at once and few to one host, so that a slow one holds up nobody else."""

    name: ClassVar[str] = "report-send"
    channels: ClassVar[tuple[str, ...]] = (NOTIFICATIONS_PENDING,)
    interval: ClassVar[float] = 30.0

    def __init__(self, services: Services, longest_post: float = LONGEST_POST, lease: float = LEASE) -> None:
        super().__init__()
        self._services = services
        self._poster = Poster(longest_post)
        self._tokens = InstallationTokens()
        self._reported = frozenset(reported_sources(services.settings))
        self._longest_post = longest_post
        self._lease = lease
        self._pauses = Pauses()
        self._under_way: dict[asyncio.Task[None], str] = {}
        self._swept = 0.0
        self._alarm: asyncio.TimerHandle | None = None

    @override
    async def turn(self) -> bool:
        database = self._services.database
        now = time.monotonic()
        if now - self._swept >= min(_SWEEP_SECONDS, self._lease):
            count = await take_back_expired(database)
            if count:
                log.warning("took back tasks of a sender that died", count=count)
            self._swept = now
        places = allot(
            [host for host in await waiting_destinations(database) if host not in self._pauses.hosts(now)],
            Counter(self._under_way.values()),
        )
        tasks = (
            await claim(database, places, self._pauses.targets(now), self._lease, self._reported)
            if places
            else []
        )
        for task in tasks:
            sending = asyncio.create_task(self._send(task, now), name=f"send {task.id}")
            self._under_way[sending] = task.destination
            sending.add_done_callback(self._ended)
        if not tasks:
            await self._set_alarm(now)
        return bool(tasks)

    @override
    async def drain(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_DRAIN_SECONDS)
        for sending in list(self._under_way):
            sending.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        await self._poster.close()

    def _ended(self, sending: asyncio.Task[None]) -> None:
        del self._under_way[sending]
        self.wake.set()
        if not sending.cancelled() and (error := sending.exception()) is not None:
            # Its lease runs out and somebody takes it up again.
            log.error("a task was sent but not recorded", task=sending.get_name(), exc_info=error)

    async def _send(self, task: Task, claimed: float) -> None:
        """Deliver one task and record what came of it.

        ``claimed`` is when the claim was asked for, so earlier than when its lease began.
        """
        database = self._services.database
        try:
            if time.monotonic() - claimed > self._lease - self._longest_post:
                await hand_back(database, task)
                return
            answer = await self._deliver(task)
        except asyncio.CancelledError:
            await hand_back(database, task)
            raise
        self._pauses.note(answer, task.target, task.destination, time.monotonic())
        spread = random.random()  # noqa: S311 - spreading retries needs no secrecy
        decision = decide(answer, task.attempts, task.max_attempts, task.age, spread)
        if await self._record(task, decision, claimed + self._lease):
            log.debug("sent", task=str(task.id), kind=task.kind, to=task.destination, decision=str(decision))
        else:
            log.warning("the claim was lost before it was recorded", task=str(task.id))

    async def _deliver(self, task: Task) -> Answer:
        try:
            return await deliver(task, self._services.secrets, self._poster, self._tokens)
        except Exception as error:
            # A fault of ours: tried again like any other, and named in the log, not in the row.
            log.exception("sending failed", task=str(task.id), kind=task.kind)
            return Later(f"FC itself failed ({type(error).__name__}); its log says more")

    async def _record(self, task: Task, decision: Decision, end: float) -> bool:
        """Record, if the database is away again and again until the lease ends."""
        failures = 0
        while True:
            try:
                return await record(self._services.database, task, decision)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
                failures += 1
                wait = backoff(failures)
                if time.monotonic() + wait > end:
                    raise
                await asyncio.sleep(wait)

    async def _set_alarm(self, now: float) -> None:
        """Wake when the next task becomes due or a pause ends; notices tell of new tasks alone."""
        if self._alarm is not None:
            self._alarm.cancel()
        times = [await next_due(self._services.database), self._pauses.next_end(now)]
        soonest = min((seconds for seconds in times if seconds is not None), default=None)
        if soonest is not None and soonest < self.interval:
            self._alarm = asyncio.get_running_loop().call_later(max(soonest, 0.05), self.wake.set)


def allot(
    destinations: Iterable[str],
    under_way: Mapping[str, int],
    most: int = _SENDING,
    most_to_one: int = _SENDING_TO_ONE_HOST,
) -> dict[str, int]:
    """How many more deliveries each destination may have.

    One round after another, those with the fewest first, so that all have some before one has many.
    """
    free = most - sum(under_way.values())
    places: Counter[str] = Counter()
    candidates = sorted(destinations, key=lambda name: (under_way.get(name, 0), name))
    for level in range(most_to_one):
        for name in candidates:
            if free > 0 and under_way.get(name, 0) <= level:
                places[name] += 1
                free -= 1
    return dict(places)
