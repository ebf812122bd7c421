"""Loops: the background work of a process, woken by notices, slowed down by errors, stopped cleanly."""

import asyncio
import random
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import structlog

from fc.base.database import Database
from fc.base.nix_cli import Nix
from fc.base.notify import Listener
from fc.base.secrets import Secrets
from fc.base.settings import Settings

_FIRST_BACKOFF = 0.5
_LONGEST_BACKOFF = 30.0

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Services:
    """What a loop is built from."""

    settings: Settings
    database: Database
    secrets: Secrets
    nix: Nix
    worker: str
    """Name of this process, ``host:pid``, for people who look at claims."""


class Loop(ABC):
    """One kind of background work.

    A turn is always: claim (short transaction), work (no transaction open), record (short transaction, guarded
    by the claim's token). A loop may start tasks of its own and return at once; it sets ``wake`` when they end.
    """

    name: ClassVar[str]
    channels: ClassVar[tuple[str, ...]]
    """Notices that wake it."""
    interval: ClassVar[float]
    """Longest sleep, in seconds: notices can be lost, and time passes too."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()

    @abstractmethod
    async def turn(self) -> bool:
        """Do what is due. True: there may be more, call again at once."""

    async def drain(self) -> None:  # noqa: B027 - a loop without tasks of its own has nothing to drain
        """The process stops: finish or hand back what runs."""


async def run_loop(loop: Loop, listener: Listener, stop: asyncio.Event) -> None:
    """Run ``loop`` until ``stop`` is set, then drain it. An error is logged and tried again, ever slower."""
    failures = 0
    with listener.subscribe(loop.wake, loop.channels):
        while not stop.is_set():
            loop.wake.clear()
            try:
                more = await loop.turn()
                failures = 0
            except Exception as error:
                failures += 1
                log.exception("loop turn failed", loop=loop.name, failures=failures, error=str(error))
                await _sleep(stop, backoff(failures))
                continue
            if not more:
                await _sleep_until(loop.wake, stop, loop.interval)
    try:
        await loop.drain()
    except Exception as error:
        # The other loops drain at the same time and must come to their end.
        log.exception("loop does not drain", loop=loop.name, error=str(error))


def backoff(failures: int, first: float = _FIRST_BACKOFF, longest: float = _LONGEST_BACKOFF) -> float:
    """Seconds to wait after so many failures in a row: doubling, capped, spread by a quarter."""
    spread = 0.75 + random.random() / 2  # noqa: S311 - spreading retries needs no secrecy
    return min(longest, first * 2.0 ** min(failures - 1, 30)) * spread


async def _sleep(stop: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


async def _sleep_until(wake: asyncio.Event, stop: asyncio.Event, seconds: float) -> None:
    waits = [asyncio.create_task(wake.wait()), asyncio.create_task(stop.wait())]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
