"""One synchronisation: from a fetch of the configuration repository to an applied, or a refused, revision."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import structlog

from fc.base.database import Database
from fc.base.errors import GitError, InvalidInputError
from fc.base.git import GitMirror
from fc.base.looping import backoff
from fc.base.problems import Problem, sorted_problems
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.base.source_settings import SourceSettings
from fc.config import sources
from fc.config.apply import apply_within
from fc.config.compile import Compiled, Compiler
from fc.config.errors import ConfigurationError, PlanHeldError
from fc.config.inventory import Origin, owned_by_others, write_revision
from fc.config.load import Loaded, Loader
from fc.config.outside import Surroundings
from fc.config.previews import base_moved
from fc.config.scopes import out_of_scope
from fc.config.sealing import seal

_FIRST_RETRY_SECONDS = 2.0
_LONGEST_RETRY_SECONDS = 60.0
CONFIRMATION = "FC-Confirm"
"""Trailer of a commit that confirms the plan with that digest."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the database was last known to be equal to. If all of it still holds, there is nothing to do."""

    commit: str
    seals: frozenset[tuple[str, str, str | None]]
    revision: uuid.UUID | None


class Synchronizer:
    """Follows one configuration repository."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        secrets: Secrets,
        name: str = sources.SOURCE,
        configured: SourceSettings | None = None,
    ) -> None:
        """Nothing is fetched yet.

        Args:
            settings: of the service.
            database: where to apply.
            secrets: what references are resolved with.
            name: of the source.
            configured: the source; none: the one that the settings have under that name.

        Raises:
            InvalidInputError: its URL is no repository URL.
        """
        configured = configured or settings.configuration.followed[name]
        assert configured.url is not None
        self._name = name
        self._configured = configured
        self._database = database
        self._secrets = secrets
        self._mirror = GitMirror(settings.data_dir / "git", configured.url, configured.deploy_key)
        self.loader = Loader(Surroundings.of(settings))
        self._compiler = Compiler()
        self._loaded: tuple[str, Loaded] | None = None
        self._seen: _Seen | None = None

    async def register(self) -> None:
        """Make the source known, and due."""
        await sources.register(self._database, self._name, self._configured)

    async def retire_others(self, followed: Iterable[str]) -> None:
        """Mark what is not among ``followed`` as not followed any more."""
        await sources.retire(self._database, followed)

    async def synchronize(self) -> bool:
        """Synchronise if it is due; false: it is not, or another process does it."""
        held = await sources.claim(self._database, self._name)
        if held is None:
            return False
        started = time.monotonic()
        try:
            async with _kept(self._database, held):
                await self._synchronize(held, started)
        except sources.ClaimLostError:
            log.warning("configuration synchronisation was taken over by another process", source=self._name)
        except BaseException:
            # Whatever it was, the next try need not wait until the lease ends.
            await asyncio.shield(sources.release(self._database, held))
            raise
        return True

    async def _synchronize(self, held: sources.Claim, started: float) -> None:
        try:
            commit = await self._mirror.fetch(self._configured.branch)
            compiled = await self._compile(commit)
        except (GitError, InvalidInputError) as error:
            retry = backoff(held.failures + 1, _FIRST_RETRY_SECONDS, max(_LONGEST_RETRY_SECONDS, self._poll))
            log.warning(
                "configuration repository cannot be read",
                source=self._name,
                error=str(error),
                retry_seconds=round(retry),
            )
            await sources.finish_failed(self._database, held, str(error), retry_seconds=retry)
            return
        try:
            await self._apply(held, commit, compiled, started)
        except ConfigurationError as error:
            await self._refuse(held, commit, error.summary, error.problems, started)
        except PlanHeldError as error:
            await self._wait(held, commit, error, started)

    @property
    def _poll(self) -> float:
        return max(1.0, self._configured.poll_interval)

    async def _compile(self, commit: str) -> Compiled:
        """The configuration at ``commit``, with the secrets as they are now."""
        # What could not be decrypted may be readable now, without any commit.
        if self._loaded is None or self._loaded[0] != commit or not self._loaded[1].settled:
            loaded = await self.loader.load_commit(self._mirror, commit, self._configured.path)
            self._loaded = (commit, loaded)
        loaded = self._loaded[1]
        compiled = await asyncio.to_thread(self._compiler.compile, loaded.fragments, loaded.problems)
        if compiled.dangling:
            others = await owned_by_others(self._database, self._name, compiled.dangling)
            compiled = await asyncio.to_thread(
                self._compiler.compile, loaded.fragments, loaded.problems, others
            )
        strayed = out_of_scope(compiled.resources, self._configured.scope)
        if strayed:
            compiled = replace(compiled, problems=sorted_problems([*compiled.problems, *strayed]))
        return compiled if compiled.problems else seal(compiled, self._secrets.reveal)

    async def _apply(self, held: sources.Claim, commit: str, compiled: Compiled, started: float) -> None:
        if compiled.problems:
            raise ConfigurationError(compiled.problems)
        seals = frozenset(
            (one.kind, one.key, one.seal) for one in compiled.resources.values() if one.seal is not None
        )
        if self._seen == _Seen(commit, seals, await sources.latest_revision(self._database, self._name)):
            await sources.finish_synced(self._database, held, commit, self._poll)
            return
        origin = Origin(held.source, await self._mirror.commit_info(commit))
        trailers = await self._mirror.trailers(commit, CONFIRMATION)
        async with self._database.transaction() as connection:
            await sources.hold(connection, held)
            confirmed = [*trailers, *await sources.confirmed(connection, held.source)]
            applied = await apply_within(
                connection, origin, compiled.resources, confirmed=confirmed, started=started
            )
            latest = await sources.latest_revision(connection, self._name)
            await sources.finish_synced(connection, held, commit, self._poll)
            await base_moved(connection, self._name, commit)
        self._seen = _Seen(commit, seals, latest)
        if applied.revision is not None:
            seconds = round(time.monotonic() - started, 3)
            log.info(
                "configuration applied",
                source=self._name,
                commit=commit,
                seconds=seconds,
                **applied.plan.summary,
            )

    async def _wait(self, held: sources.Claim, commit: str, error: PlanHeldError, started: float) -> None:
        """Record a plan that waits to be confirmed. The same plan again is no other revision."""
        self._seen = None
        origin = Origin(held.source, await self._mirror.commit_info(commit))
        async with self._database.transaction() as connection:
            await sources.hold(connection, held)
            if not await sources.held_alike(connection, self._name, commit, error.plan.digest):
                await write_revision(
                    connection,
                    origin,
                    time.monotonic() - started,
                    plan=error.plan,
                    reasons=error.reasons,
                    held=True,
                )
                log.warning(
                    "configuration held",
                    source=self._name,
                    commit=commit,
                    digest=error.plan.digest,
                    reasons=error.reasons,
                )
            await sources.finish_held(connection, held, commit, error, self._poll)
            await base_moved(connection, self._name, commit)

    async def _refuse(
        self, held: sources.Claim, commit: str, message: str, problems: tuple[Problem, ...], started: float
    ) -> None:
        """Record a commit that cannot be applied. The same failure again is no other revision."""
        self._seen = None
        origin = Origin(held.source, await self._mirror.commit_info(commit))
        async with self._database.transaction() as connection:
            await sources.hold(connection, held)
            if not await sources.failed_alike(connection, self._name, commit, problems):
                await write_revision(connection, origin, time.monotonic() - started, problems=problems)
                log.warning(
                    "configuration refused",
                    source=self._name,
                    commit=commit,
                    problems=len(problems),
                    first=message,
                )
            await sources.finish_failed(
                connection, held, message, retry_seconds=self._poll, commit=commit, problems=problems
            )
            await base_moved(connection, self._name, commit)


@asynccontextmanager
async def _kept(database: Database, held: sources.Claim) -> AsyncIterator[None]:
    """Renew the lease while the block runs."""
    task = asyncio.create_task(_renew(database, held), name="configuration lease")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _renew(database: Database, held: sources.Claim) -> None:
    while True:
        await asyncio.sleep(sources.LEASE_SECONDS / 3)
        if not await sources.renew(database, held):
            return
