"""One assignment from its claim to its settlement, whatever happens in between."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import asyncpg
import structlog

from fc.base.database import Database
from fc.build.claims import Claim, claim, hand_back, retry_later
from fc.build.fleet import Handle
from fc.build.health import pause, record_failure, record_seen, record_success
from fc.build.intake import Root, absorb
from fc.build.remote import Attempt, AttemptLostError, HeadTroubleError, InputsMissingError, Workplace
from fc.build.schedule import Assignment, Slots
from fc.build.session import Session
from fc.build.settle import Outcome, settle
from fc.build.transport import BuilderError

DATABASE_ERRORS = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError)

_LONGEST_MESSAGE = 4000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pauses:
    """Seconds to wait after failures: doubling from the first to the longest."""

    builder_first: float = 5.0
    builder_longest: float = 600.0
    attempt_first: float = 5.0
    attempt_longest: float = 600.0
    head_first: float = 5.0
    head_longest: float = 60.0
    recording: float = 60.0
    """How long a result is offered to a database that does not answer, before the lease decides."""


@dataclass(slots=True)
class Work:
    """What the tasks of one process share.

    Args:
        database: where claims and results are recorded.
        workplace: store, settings, logs.
        worker: this process, as claims name it.
        pauses: after failures.
        on_head_trouble: called with the reason when the head's own store fails: nothing can go on for a while.
    """

    database: Database
    workplace: Workplace
    worker: str
    pauses: Pauses
    on_head_trouble: Callable[[str], None]
    claims: dict[uuid.UUID, "asyncio.Task[None]"] = field(default_factory=dict)
    """The task of each claim that stands."""
    head_troubles: dict[uuid.UUID, int] = field(default_factory=dict)
    """How often in a row the head's store failed for a derivation."""
    recording: set[uuid.UUID] = field(default_factory=set)
    """Claims that are being ended just now."""


async def work_on(
    work: Work,
    assignment: Assignment,
    handle: Handle,
    copying: asyncio.Lock | None,
    claimed: Callable[[], None],
) -> None:
    """Open a session, claim, build, settle. Fails only by cancellation; its claim then stays to be handed back.

    A builder proves that it can be reached before anything is claimed for it: an outage costs no attempts and
    leaves no steps behind.

    Args:
        work: shared by all.
        assignment: what, and where.
        handle: the builder.
        copying: lock for sending inputs; none: the builder is the head's own store.
        claimed: called when the claim was made, or not made.
    """
    builder = assignment.builder
    try:
        async with handle.used(), Session(handle.carrier) as session:
            right = await claim(work.database, assignment.candidate.derivation_id, builder, work.worker)
            claimed()
            if right is None:
                return
            task = asyncio.current_task()
            assert task is not None
            work.claims[right.token] = task
            try:
                if builder.id is not None:
                    await record_seen(work.database, builder)
                await _attempt(work, right, Attempt(work.workplace, right, session, copying))
            except asyncio.CancelledError:
                raise  # the claim stays, to be handed back
            except BaseException:
                work.claims.pop(right.token, None)
                raise
            work.claims.pop(right.token, None)
    except BuilderError as error:
        await _builder_failed(work, builder, error)
    except DATABASE_ERRORS as error:
        # Nothing can be recorded: the lease decides, and what was built is found to be there.
        log.warning("lost sight of the database", derivation=assignment.candidate.drv_path, error=str(error))


async def _attempt(work: Work, right: Claim, attempt: Attempt) -> None:
    builder = right.builder
    try:
        outcome = await attempt.run()
    except InputsMissingError as error:
        await _build_inputs_again(work, right, error)
    except AttemptLostError as error:
        await _lost(work, right, error.reason, error.final_status)
        await _builder_works(work, builder)
    except BuilderError as error:
        await _lost(work, right, str(error), "aborted")
        await _builder_failed(work, builder, error)
    except HeadTroubleError as error:
        work.on_head_trouble(str(error))
        # Not its fault, as far as can be known; but should it be, it must not stop everything again and again.
        troubles = work.head_troubles[right.derivation_id] = (
            work.head_troubles.get(right.derivation_id, 0) + 1
        )
        delay = pause(troubles, work.pauses.attempt_first, work.pauses.attempt_longest)
        await _hand_back(work, right, str(error), delay)
    except Exception as error:
        log.exception("attempt failed in an unforeseen way", derivation=right.drv_path)
        await _lost(work, right, f"FC failed: {type(error).__name__}: {error}", "aborted")
    else:
        work.head_troubles.pop(right.derivation_id, None)
        await _record(work, right, outcome)
        await _builder_works(work, builder)


@contextlib.contextmanager
def _recording(work: Work, right: Claim) -> Iterator[None]:
    """While the block ends the claim, nobody is to wonder that it stands no longer."""
    work.recording.add(right.token)
    try:
        yield
        work.claims.pop(right.token, None)
    finally:
        work.recording.discard(right.token)


async def _record(work: Work, right: Claim, outcome: Outcome) -> None:
    """Settle, also through a restart of the database."""
    with _recording(work, right):
        in_time = await _settle_patiently(work, right, outcome)
    log.info(
        "derivation ended" if in_time else "result came too late",
        derivation=right.drv_path,
        status=outcome.status,
        builder=right.builder.name,
    )


async def _settle_patiently(work: Work, right: Claim, outcome: Outcome) -> bool:
    tries = 0
    deadline = time.monotonic() + work.pauses.recording
    while True:
        try:
            return await settle(work.database, right.derivation_id, outcome, right.token)
        except DATABASE_ERRORS as error:
            its_fault = isinstance(error, asyncpg.DataError | asyncpg.IntegrityConstraintViolationError)
            if its_fault or time.monotonic() > deadline:
                raise
            tries += 1
            await asyncio.sleep(pause(tries, 0.5, 5.0))


async def _lost(work: Work, right: Claim, reason: str, final_status: str) -> None:
    """Try again later, or give up when it has been tried often enough."""
    tried = right.attempts + 1
    most = work.workplace.settings.max_attempts
    reason = reason[:_LONGEST_MESSAGE]
    if tried < most:
        delay = pause(tried, work.pauses.attempt_first, work.pauses.attempt_longest)
        with _recording(work, right):
            await retry_later(work.database, right.token, reason, delay)
        log.warning("attempt lost", derivation=right.drv_path, attempt=tried, again_in=delay, reason=reason)
        return
    message = f"{reason} (attempt {tried} of {most})"
    await _record(work, right, Outcome(status=final_status, message=message, exit_code=1))


async def _build_inputs_again(work: Work, right: Claim, error: InputsMissingError) -> None:
    """Hand the derivation back and have its inputs built anew, for everybody who needs it."""
    rows = await work.database.fetch(
        """SELECT jobset_id, derivation_id, build_id, global_priority, local_priority, wanted_since
        FROM derivation_demands WHERE derivation_id = $1""",
        right.derivation_id,
    )
    await _hand_back(work, right, str(error), work.pauses.attempt_first)
    for row in rows:
        root = Root(**{name: value for name, value in row.items() if name != "jobset_id"})
        await absorb(work.database, work.workplace, row["jobset_id"], [root])


async def _hand_back(work: Work, right: Claim, reason: str, delay: float) -> None:
    with _recording(work, right):
        await hand_back(work.database, [right.token], reason, delay)


async def _builder_works(work: Work, builder: Slots) -> None:
    if builder.id is not None:
        await record_success(work.database, builder)


async def _builder_failed(work: Work, builder: Slots, error: BuilderError) -> None:
    log.warning("builder failed", builder=error.builder, error=error.detail)
    if builder.id is None or error.builder != builder.name:
        work.on_head_trouble(str(error))
        return
    await record_failure(
        work.database, builder, error.detail, work.pauses.builder_first, work.pauses.builder_longest
    )
