"""Loops are woken by notices and by time, slowed down by errors, and stopped cleanly."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import ClassVar

import pytest
from typing_extensions import override

from fc.base import looping
from fc.base.database import Database
from fc.base.looping import Loop, backoff, run_loop
from fc.base.notify import BUILDS_CHANGED, Listener
from tests.support.waiting import eventually


class Counting(Loop):
    """Counts its turns; ``answers`` are what they do, the last one for ever."""

    name: ClassVar[str] = "counting"
    channels: ClassVar[tuple[str, ...]] = (BUILDS_CHANGED,)
    interval: ClassVar[float] = 3600

    def __init__(self, *answers: bool | Exception) -> None:
        super().__init__()
        self.answers = list(answers) or [False]
        self.turns = 0
        self.drained = False

    @override
    async def turn(self) -> bool:
        self.turns += 1
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        await asyncio.sleep(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    @override
    async def drain(self) -> None:
        self.drained = True

    async def reaches(self, turns: int) -> None:
        async def reached() -> bool:
            return self.turns >= turns

        await eventually(reached, f"turn {turns}")


@pytest.fixture
def listener() -> Listener:
    """One that was never started: subscriptions work, notices are sent by hand."""
    return Listener("postgresql://nowhere.invalid/fc")


def notice(listener: Listener) -> None:
    listener._on_notice(None, 0, BUILDS_CHANGED, "")


async def run_until(loop: Loop, listener: Listener, check: Callable[[], Awaitable[None]]) -> None:
    """Run the loop, wait for ``check``, stop the loop and wait for its end."""
    stop = asyncio.Event()
    task = asyncio.create_task(run_loop(loop, listener, stop))
    try:
        await check()
        assert not task.done()
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)


async def settled() -> None:
    """Let everything that is ready run."""
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_loop_turns_at_once_and_then_sleeps(listener: Listener) -> None:
    loop = Counting()

    async def check() -> None:
        await loop.reaches(1)
        await settled()
        assert loop.turns == 1

    await run_until(loop, listener, check)


async def test_a_loop_with_more_to_do_is_called_again_at_once(listener: Listener) -> None:
    loop = Counting(True, True, True, False)

    async def check() -> None:
        await loop.reaches(4)
        await settled()
        assert loop.turns == 4

    await run_until(loop, listener, check)


async def test_a_notice_wakes_a_loop(listener: Listener) -> None:
    loop = Counting()

    async def check() -> None:
        for turn in range(1, 4):
            await loop.reaches(turn)
            notice(listener)
        await loop.reaches(4)

    await run_until(loop, listener, check)


async def test_a_notice_of_the_database_wakes_a_loop(database: Database) -> None:
    listener = Listener(database.url)
    await listener.start()
    loop = Counting()

    async def check() -> None:
        await loop.reaches(1)
        await database.execute("SELECT pg_notify($1, '')", BUILDS_CHANGED)
        await loop.reaches(2)

    await run_until(loop, listener, check)
    await listener.close()


async def test_a_notice_that_comes_during_a_turn_is_not_lost(listener: Listener) -> None:
    class Late(Counting):
        @override
        async def turn(self) -> bool:
            if self.turns == 0:
                notice(listener)
            return await super().turn()

    loop = Late()
    await run_until(loop, listener, lambda: loop.reaches(2))


async def test_a_loop_wakes_itself(listener: Listener) -> None:
    loop = Counting()

    async def check() -> None:
        await loop.reaches(1)
        loop.wake.set()
        await loop.reaches(2)

    await run_until(loop, listener, check)


async def test_a_loop_wakes_after_its_interval_without_any_notice(listener: Listener) -> None:
    class Brief(Counting):
        interval: ClassVar[float] = 0.001

    loop = Brief()
    await run_until(loop, listener, lambda: loop.reaches(5))


async def test_an_error_is_followed_by_a_pause_that_grows_and_is_forgotten_after_success(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted: list[int] = []

    def no_pause(failures: int) -> float:
        counted.append(failures)
        return 0

    monkeypatch.setattr(looping, "backoff", no_pause)
    loop = Counting(ValueError("one"), OSError("two"), True, ValueError("three"), False)
    await run_until(loop, listener, lambda: loop.reaches(5))
    assert counted == [1, 2, 1]


async def test_a_loop_that_pauses_after_an_error_stops_at_once(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looping, "backoff", lambda _failures: 3600)
    loop = Counting(ValueError("always"))
    await run_until(loop, listener, lambda: loop.reaches(1))
    assert loop.drained
    assert loop.turns == 1


async def test_stopping_lets_the_turn_finish_and_then_drains(listener: Listener) -> None:
    events: list[str] = []
    begun, go = asyncio.Event(), asyncio.Event()

    class Slow(Counting):
        @override
        async def turn(self) -> bool:
            begun.set()
            await go.wait()
            events.append("turned")
            return True

        @override
        async def drain(self) -> None:
            events.append("drained")

    stop = asyncio.Event()
    task = asyncio.create_task(run_loop(Slow(), listener, stop))
    await begun.wait()
    stop.set()
    await settled()
    assert events == []
    go.set()
    await asyncio.wait_for(task, 60)
    assert events == ["turned", "drained"]


async def test_a_stop_before_the_first_turn_is_not_lost(listener: Listener) -> None:
    loop = Counting()
    stop = asyncio.Event()
    stop.set()
    await asyncio.wait_for(run_loop(loop, listener, stop), 60)
    assert (loop.turns, loop.drained) == (0, True)


async def test_a_loop_that_does_not_drain_leaves_the_others_to_drain(listener: Listener) -> None:
    class Broken(Counting):
        @override
        async def drain(self) -> None:
            message = "no"
            raise ValueError(message)

    good, stop = Counting(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(run_loop(Broken(), listener, stop))
        group.create_task(run_loop(good, listener, stop))
        await good.reaches(1)
        stop.set()
    assert good.drained


async def test_a_stopped_loop_hears_no_more_notices(listener: Listener) -> None:
    loop = Counting()
    await run_until(loop, listener, lambda: loop.reaches(1))
    loop.wake.clear()
    notice(listener)
    assert not loop.wake.is_set()


async def test_a_cancelled_loop_leaves_no_task_behind(listener: Listener) -> None:
    loop = Counting()
    before = asyncio.all_tasks()
    task = asyncio.create_task(run_loop(loop, listener, asyncio.Event()))
    await loop.reaches(1)
    await settled()
    task.cancel()
    await asyncio.wait([task])
    await settled()
    assert asyncio.all_tasks() == before


def test_the_pause_doubles_and_has_an_end() -> None:
    for failures in range(1, 2000):
        expected = min(30.0, 0.5 * 2.0 ** min(failures - 1, 100))
        assert 0.75 * expected <= backoff(failures) <= 1.25 * expected


def test_pauses_are_spread() -> None:
    assert len({backoff(3) for _ in range(20)}) > 1
