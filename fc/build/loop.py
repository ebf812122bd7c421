"""The build loops: what is new is taken in, free slots are filled, claims are kept alive, dead ones taken over."""

import asyncio
import time
import uuid
from collections.abc import Iterable
from datetime import datetime

import structlog
from typing_extensions import override

from fc.base.looping import Loop, Services
from fc.base.notify import BUILDERS_CHANGED, DERIVATIONS_READY
from fc.build.claims import HEARTBEAT_SECONDS, hand_back, renew, take_over_expired
from fc.build.fleet import Fleet, Handle
from fc.build.health import pause
from fc.build.intake import settle_there, take_in
from fc.build.queue import read_candidates, read_usage, slots_of
from fc.build.remote import Workplace
from fc.build.roots import Roots
from fc.build.schedule import NOMINAL_SECONDS, Assignment, Slots, plan
from fc.build.store import LocalStore
from fc.build.transport import LocalCarrier
from fc.build.worker import Pauses, Work, work_on
from fc.build.worker_identity import this_worker
from fc.tables.builder_queries import LOCAL, BuilderRow, builder_key_files, list_builders

_GRACE_SECONDS = 4.0
"""How long running builds may go on when the process stops; what is not done then is handed back."""
_USAGE_SECONDS = 20.0
"""How old the sums of what jobsets have used may be."""

_STEADY_SECONDS = 60.0
"""So long after trouble with the head's store, the next trouble is a new one."""

log = structlog.get_logger(__name__)


class BuildLoop(Loop):
    """Takes in new builds and fills free slots. Builds run in tasks of their own."""

    name = "build"
    channels = (DERIVATIONS_READY, BUILDERS_CHANGED)
    interval = 5.0

    def __init__(self, services: Services, pauses: Pauses | None = None) -> None:
        super().__init__()
        self._database = services.database
        self._settings = services.settings.builders
        data_dir = services.settings.data_dir.absolute()
        self._systems = frozenset(services.nix.systems)
        carrier = LocalCarrier(services.nix, LOCAL, self._settings.local_features, services.nix.systems)
        self._local = Handle(carrier, ())
        self._fleet = Fleet(self._settings, data_dir)
        self.work = Work(
            database=self._database,
            workplace=Workplace(
                nix=services.nix,
                settings=self._settings,
                data_dir=data_dir,
                store=LocalStore(carrier),
                roots=Roots(services.nix, data_dir),
            ),
            worker=this_worker(services.worker),
            pauses=pauses or Pauses(),
            on_head_trouble=self._pause_for_head,
        )
        self._tasks: dict[asyncio.Task[None], Assignment] = {}
        self._starting: dict[uuid.UUID, str] = {}
        """Builder by derivation, from the plan to the claim."""
        self._usage: dict[uuid.UUID, float] = {}
        self._usage_until = 0.0
        self._head_failures = 0
        self._head_until = 0.0
        self._begun = False

    @override
    async def turn(self) -> bool:
        if not self._begun:
            await take_over_expired(self._database)
            self._begun = True
        if time.monotonic() < self._head_until:
            return False
        try:
            more = await take_in(self._database, self.work.workplace)
            await self._fill_slots()
        except BaseExceptionGroup as group:
            # One of several short cuts failed; its error says more than the group's.
            raise group.exceptions[0] from group
        await self.work.workplace.store.rest()
        if time.monotonic() > self._head_until + _STEADY_SECONDS:
            self._head_failures = 0
        return more

    @override
    async def drain(self) -> None:
        """Let builds end for a moment, then hand back the others: no attempt is counted."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_GRACE_SECONDS)
        running = list(self._tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        tokens = list(self.work.claims)
        if tokens:
            handed = await hand_back(self._database, tokens, "FC was stopped")
            log.info("handed back", builds=handed)
        await self._fleet.close()
        await self.work.workplace.store.close()

    def _pause_for_head(self, reason: str) -> None:
        self._head_failures += 1
        seconds = pause(self._head_failures, self.work.pauses.head_first, self.work.pauses.head_longest)
        self._head_until = time.monotonic() + seconds
        log.error("the head's own store or disk fails", reason=reason, again_in=seconds)

    async def _fill_slots(self) -> None:
        rows = await list_builders(self._database)
        await self._fleet.follow(rows, await builder_key_files(self._database))
        builders = self._slots(rows)
        # The database's clock: all its processes must agree on who is backing off.
        now: datetime = await self._database.fetchval("SELECT now()")
        candidates = await read_candidates(self._database, builders, self._starting.keys(), now)
        if not candidates:
            return
        assignments = plan(candidates, builders, await self._read_usage(), now)
        done = await self._settle_those_there(assignments)
        for assignment in assignments:
            if assignment.candidate.derivation_id not in done:
                self._begin(assignment)

    def _slots(self, rows: Iterable[BuilderRow]) -> list[Slots]:
        starting = list(self._starting.values())
        local = Slots(
            name=LOCAL,
            systems=self._systems,
            supported_features=frozenset(self._settings.local_features),
            max_jobs=self._settings.local_jobs,
            running=sum(assignment.builder.is_local for assignment in self._tasks.values()),
        )
        return [local, *(slots_of(row, starting.count(row.name)) for row in rows)]

    async def _read_usage(self) -> dict[uuid.UUID, float]:
        if time.monotonic() > self._usage_until:
            self._usage = await read_usage(self._database)
            self._usage_until = time.monotonic() + _USAGE_SECONDS
        return self._usage

    async def _settle_those_there(self, assignments: Iterable[Assignment]) -> set[uuid.UUID]:
        """Settle what is in the store already: it was built before a restart, or by somebody else."""
        keys = [assignment.candidate.derivation_id for assignment in assignments]
        rows = await self._database.fetch(
            """SELECT derivation_id, array_agg(path) AS paths FROM derivation_outputs
            WHERE derivation_id = ANY ($1) GROUP BY derivation_id HAVING bool_and(path IS NOT NULL)""",
            keys,
        )
        valid = await self.work.workplace.store.valid_paths(path for row in rows for path in row["paths"])
        there = {row["derivation_id"] for row in rows if valid.issuperset(row["paths"])}
        if there:
            await settle_there(self._database, self.work.workplace, there)
        return there

    def _begin(self, assignment: Assignment) -> None:
        """Start a task for one assignment."""
        candidate, builder = assignment.candidate, assignment.builder
        handle = self._local if builder.id is None else self._fleet.handle(builder.id)
        copying = None if builder.id is None else handle.copying
        self._starting[candidate.derivation_id] = builder.name

        def claimed() -> None:
            self._starting.pop(candidate.derivation_id, None)

        task = asyncio.create_task(
            work_on(self.work, assignment, handle, copying, claimed), name=f"build {candidate.drv_path}"
        )
        self._tasks[task] = assignment

        def ended(task: asyncio.Task[None]) -> None:
            claimed()
            del self._tasks[task]
            self.wake.set()
            if not task.cancelled() and task.exception() is not None:
                log.error("a build's task failed", derivation=candidate.drv_path, exc_info=task.exception())

        task.add_done_callback(ended)
        self._usage[assignment.jobset_id] = self._usage.get(assignment.jobset_id, 0.0) + NOMINAL_SECONDS


class ClaimLoop(Loop):
    """Keeps this process's claims alive and takes over those of processes that are gone."""

    name = "build claims"
    channels = ()
    interval = HEARTBEAT_SECONDS

    def __init__(self, work: Work) -> None:
        super().__init__()
        self._work = work

    @override
    async def turn(self) -> bool:
        tokens = list(self._work.claims)
        if tokens:
            held = await renew(self._work.database, tokens)
            for token in set(tokens) - held:
                if token in self._work.recording:
                    continue
                task = self._work.claims.pop(token, None)
                if task is not None:
                    log.warning("a claim was taken over by another process", task=task.get_name())
                    task.cancel()
        taken = await take_over_expired(self._work.database)
        if taken:
            log.info("took over claims of processes that are gone", claims=taken)
        return False


def make_loops(services: Services) -> list[Loop]:
    """The loops of building."""
    build = BuildLoop(services)
    return [build, ClaimLoop(build.work)]
