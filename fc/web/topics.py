"""Topics: what a page shows, whether it has changed, and who waits to hear of it."""

import asyncio
import hashlib
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import structlog

from fc.base.database import Database
from fc.base.notify import Listener
from fc.web.fingerprints import KINDS, Kind

log = structlog.get_logger(__name__)

_PAUSE = 0.5
"""Seconds between two looks at a topic, however many notices come."""
_LONGEST_WAIT = 5.0
"""Seconds after which a watched topic is looked at even without a notice: some changes send none."""

_NAME = re.compile(r"[a-z]{1,20}(?::[0-9a-f-]{36})?")


@dataclass(slots=True, eq=False)
class Subscription:
    """One who watches a topic: only the newest version is held, however slowly it is read."""

    version: str = ""
    changed: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Watched:
    subscriptions: set[Subscription]
    task: "asyncio.Task[None]"


class Topics:
    """Watches the topics that somebody wants to hear of: one look for all who watch the same."""

    def __init__(self, database: Database, listener: Listener) -> None:
        self._database = database
        self._listener = listener
        self._watched: dict[str, _Watched] = {}

    @property
    def watched(self) -> dict[str, int]:
        """How many watch each topic."""
        return {name: len(watched.subscriptions) for name, watched in self._watched.items()}

    async def version(self, topic: str) -> str | None:
        """A word that changes when what ``topic`` shows does; none when there is no such topic."""
        kind, arguments = _parse(topic)
        if kind is None:
            return None
        text = await self._database.fetchval(kind.fingerprint, *arguments)
        return None if text is None else hashlib.sha256(text.encode()).hexdigest()[:16]

    @asynccontextmanager
    async def subscribe(self, topic: str, version: str) -> AsyncIterator[Subscription]:
        """Watch ``topic`` while the block runs, beginning with a version of it."""
        subscription = Subscription(version)
        watched = self._watched.get(topic)
        if watched is None:
            watched = _Watched(set(), asyncio.create_task(self._watch(topic), name=f"topic {topic}"))
            self._watched[topic] = watched
        watched.subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            watched.subscriptions.discard(subscription)
            if not watched.subscriptions and self._watched.get(topic) is watched:
                del self._watched[topic]
                watched.task.cancel()

    async def close(self) -> None:
        """Stop watching."""
        tasks = [watched.task for watched in self._watched.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, topic: str) -> None:
        kind, _ = _parse(topic)
        assert kind is not None
        noticed = asyncio.Event()
        clock = asyncio.get_running_loop().time
        with self._listener.subscribe(noticed, kind.channels):
            while True:
                began = clock()
                try:
                    version = await self.version(topic) or "gone"
                except Exception as error:  # noqa: BLE001 - a database that is away comes back; the pages say so meanwhile
                    log.warning("a topic cannot be read", topic=topic, error=str(error))
                    version = None
                for subscription in self._watched[topic].subscriptions:
                    if version is not None and version != subscription.version:
                        subscription.version = version
                        subscription.changed.set()
                # A look that is dear is had less often: watching takes a tenth of a connection at most.
                await asyncio.sleep(max(_PAUSE, 10 * (clock() - began)))
                await _wait(noticed, _LONGEST_WAIT)
                noticed.clear()


def _parse(topic: str) -> tuple[Kind | None, list[uuid.UUID]]:
    """The kind of a topic's name and the arguments of its query."""
    if not _NAME.fullmatch(topic):
        return None, []
    name, _, key = topic.partition(":")
    kind = KINDS.get(name)
    if kind is None or ("$1" in kind.fingerprint) != bool(key):
        return None, []
    try:
        return kind, [uuid.UUID(key)] if key else []
    except ValueError:
        return None, []


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return
