"""The head's own store: questions to it, over one process that is kept while it is used."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TypeVar

from fc.build.session import Session
from fc.build.transport import BuilderError, LocalCarrier
from fc.nix.path_info import PathInfo

T = TypeVar("T")

_IDLE_SECONDS = 20.0
"""After so long without a question the process is ended: an idle service holds no Nix in memory."""


class LocalStore:
    """Questions to the head's store. One at a time; the answers come from one process of Nix."""

    def __init__(self, carrier: LocalCarrier) -> None:
        self.carrier = carrier
        self._session: Session | None = None
        self._turn = asyncio.Lock()
        self._used = 0.0

    async def valid_paths(self, paths: Iterable[str]) -> set[str]:
        """Which of ``paths`` are valid.

        Raises:
            BuilderError: the store cannot be asked; likewise below.
        """
        wanted = list(paths)
        return await self._ask(lambda session: session.valid_paths(wanted)) if wanted else set()

    async def path_infos(self, paths: Iterable[str]) -> dict[str, PathInfo]:
        """What is known of those of ``paths`` that are valid."""
        wanted = list(paths)
        return await self._ask(lambda session: session.path_infos(wanted)) if wanted else {}

    async def closure(self, paths: Iterable[str]) -> list[PathInfo]:
        """The closure of ``paths``, which must be valid; each path after those it refers to."""
        wanted = list(paths)
        if not wanted:
            return []

        async def ask(session: Session) -> dict[str, PathInfo]:
            return await session.path_infos(await session.closure(wanted))

        return references_first(await self._ask(ask))

    async def rest(self) -> None:
        """End the process when it has not been needed for a while."""
        if self._session is not None and time.monotonic() - self._used > _IDLE_SECONDS:
            await self.close()

    async def close(self) -> None:
        """End the process."""
        async with self._turn:
            await self._drop()

    async def _ask(self, question: Callable[[Session], Awaitable[T]]) -> T:
        async with self._turn:
            self._used = time.monotonic()
            if self._session is not None:
                # It may have been ended by somebody else: then a new one is asked.
                with contextlib.suppress(BuilderError):
                    return await self._asked(self._session, question)
            session = Session(self.carrier)
            await session.__aenter__()
            self._session = session
            return await self._asked(session, question)

    async def _asked(self, session: Session, question: Callable[[Session], Awaitable[T]]) -> T:
        try:
            return await question(session)
        except BaseException:
            # Also when the asker was cancelled: half an answer would be taken for the next one.
            await self._drop()
            raise

    async def _drop(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def references_first(infos: Mapping[str, PathInfo]) -> list[PathInfo]:
    """``infos`` in an order in which each path comes after those of its references that are among them."""
    ordered: list[PathInfo] = []
    begun: set[str] = set()
    for start in sorted(infos):
        stack = [(start, False)]
        while stack:
            path, done = stack.pop()
            if done:
                ordered.append(infos[path])
            elif path in infos and path not in begun:
                begun.add(path)
                stack.append((path, True))
                stack += [(reference, False) for reference in infos[path].references]
    return ordered
