"""Work that makes very many objects which stay: without Python's search for cycles running over all of them again and again."""

import gc
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

T = TypeVar("T")


class _Pauses:
    """How many stretches of code want no search at the moment; threads may overlap."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted = 0
        self._was_on = False

    def begin(self) -> None:
        with self._lock:
            if self._wanted == 0:
                self._was_on = gc.isenabled()
                gc.disable()
            self._wanted += 1

    def end(self) -> None:
        with self._lock:
            self._wanted -= 1
            if self._wanted == 0 and self._was_on:
                gc.enable()


_PAUSES = _Pauses()


@contextmanager
def uncollected() -> Iterator[None]:
    """Inside of it, no thread searches for cycles of objects. For short stretches alone: what is garbage stays meanwhile.

    What no cycle holds is freed at once, as always.
    """
    _PAUSES.begin()
    try:
        yield
    finally:
        _PAUSES.end()


def in_batches(items: Iterable[T], most: int, weight: Callable[[T], int] = lambda _: 1) -> Iterator[list[T]]:
    """``items`` in their order, in lists that weigh at most ``most`` together; what weighs more stands alone. Pure."""
    batch: list[T] = []
    total = 0
    for item in items:
        one = weight(item)
        if batch and total + one > most:
            yield batch
            batch, total = [], 0
        batch.append(item)
        total += one
    if batch:
        yield batch
