"""Notices between processes: PostgreSQL's LISTEN/NOTIFY, fanned out to the loops and pages of one process."""

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import asyncpg
import structlog

from fc.base.database import OWN_SESSION

JOBSETS_CHANGED = "fc_jobsets_changed"
EVALUATIONS_CHANGED = "fc_evaluations_changed"
DERIVATIONS_READY = "fc_derivations_ready"
BUILDS_CHANGED = "fc_builds_changed"
BUILDERS_CHANGED = "fc_builders_changed"
CONFIG_CHANGED = "fc_config_changed"
NOTIFICATIONS_PENDING = "fc_notifications_pending"
HAND_WRITES = "fc_hand_writes"

CHANNELS = (
    JOBSETS_CHANGED,
    EVALUATIONS_CHANGED,
    DERIVATIONS_READY,
    BUILDS_CHANGED,
    BUILDERS_CHANGED,
    CONFIG_CHANGED,
    NOTIFICATIONS_PENDING,
    HAND_WRITES,
)

_RECONNECT_SECONDS = 1.0
_CONNECT_SECONDS = 10.0
_PROBE_SECONDS = 30.0

log = structlog.get_logger(__name__)


class Listener:
    """One connection that listens to every channel for the whole process.

    A notice is a hint, never the truth: it sets events, and whoever waits looks into the tables. After the
    connection was lost, every event is set once, since notices may have been missed.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._events: dict[str, set[asyncio.Event]] = {channel: set() for channel in CHANNELS}
        self._task: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()

    async def start(self) -> None:
        """Begin to listen; returns when the first connection stands."""
        self._task = asyncio.create_task(self._listen(), name="listener")
        await self._ready.wait()

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    @contextmanager
    def subscribe(self, event: asyncio.Event, channels: Iterable[str]) -> Iterator[asyncio.Event]:
        """Let notices on ``channels`` set ``event`` while the block runs."""
        chosen = tuple(channels)
        for channel in chosen:
            self._events[channel].add(event)
        try:
            yield event
        finally:
            for channel in chosen:
                self._events[channel].discard(event)

    def _on_notice(self, _connection: object, _pid: int, channel: str, _payload: object) -> None:
        for event in self._events[channel]:
            event.set()

    async def _listen(self) -> None:
        while True:
            try:
                await self._listen_once()
            except Exception as error:  # noqa: BLE001 - without its listener a process would be deaf, and not know
                log.warning("listener lost its connection", error=str(error) or type(error).__name__)
            await asyncio.sleep(_RECONNECT_SECONDS)

    async def _listen_once(self) -> None:
        """Listen until the connection is lost."""
        lost = asyncio.Event()
        connection = await asyncpg.connect(self._url, timeout=_CONNECT_SECONDS, server_settings=OWN_SESSION)
        try:
            connection.add_termination_listener(lambda _: lost.set())
            for channel in CHANNELS:
                await connection.add_listener(channel, self._on_notice)
            self._ready.set()
            for events in self._events.values():
                for event in events:
                    event.set()
            while not lost.is_set():
                # A peer that vanished without a word is only noticed by talking to it.
                await connection.execute("SELECT 1", timeout=_PROBE_SECONDS)
                with suppress(TimeoutError):
                    await asyncio.wait_for(lost.wait(), _PROBE_SECONDS)
            message = "the server closed it"
            raise ConnectionError(message)
        finally:
            # At once and without waiting: the peer may be gone, and whoever cancels us must not be kept.
            connection.terminate()
