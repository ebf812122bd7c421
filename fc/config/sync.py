"""One synchronisation: from a fetch of the configuration repository to an applied, or a refused, revision."""

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from fc.base.database import Database
from fc.base.errors import EnvironmentMissingError, GitError, InvalidInputError
from fc.base.git import GitMirror
from fc.base.leases import kept
from fc.base.looping import backoff
from fc.base.problems import Problem
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.base.source_settings import SourceSettings
from fc.config import sources
from fc.config.apply import apply_within
from fc.config.compile import Compiled, Compiler
from fc.config.diff import Plan
from fc.config.elsewhere import compile_among_others
from fc.config.errors import ConfigurationError, PlanHeldError, PlanWaitingError, UntrustedError
from fc.config.gate import Gate, Move
from fc.config.inventory import Origin, RevisionStatus, write_revision
from fc.config.load import Loaded, Loader
from fc.config.outside import Surroundings
from fc.config.previews import base_moved
from fc.config.scopes import within
from fc.config.sealing import seal, seals
from fc.config.vetting import Vetting, needs_history
from fc.config.windows import window_state

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


@dataclass(frozen=True, slots=True)
class _Try:
    """One commit that is to be applied."""

    held: sources.Claim
    commit: str
    started: float
    """``time.monotonic()``."""
    signer: str | None = None


class Synchronizer:
    """Follows one configuration repository."""

    def __init__(
        self,
        settings: Settings,
        database: Database,
        secrets: Secrets,
        name: str = sources.SOURCE,
        configured: SourceSettings | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Nothing is fetched yet.

        Args:
            settings: of the service.
            database: where to apply.
            secrets: what references are resolved with.
            name: of the source.
            configured: the source; none: the one that the settings have under that name.
            now: the time, for sync windows.

        Raises:
            InvalidInputError: its URL is no repository URL.
        """
        configured = configured or settings.configuration.followed[name]
        assert configured.url is not None
        self._name = name
        self._configured = configured
        self._database = database
        self._secrets = secrets
        self._mirror = GitMirror(
            settings.data_dir / "git",
            configured.url,
            configured.deploy_key,
            whole=needs_history(configured),
        )
        self._vetting = Vetting(self._mirror, configured)
        self._now = now
        self.loader = Loader(Surroundings.of(settings))
        self._compiler = Compiler()
        self._loaded: tuple[str, Loaded] | None = None
        self._scoped: tuple[Compiled, Compiled] | None = None
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
        await self.follow(held)
        return True

    async def follow(self, held: sources.Claim) -> None:
        """Synchronise what was claimed."""
        started = time.monotonic()
        try:
            async with kept(lambda: sources.renew(self._database, held), sources.LEASE_SECONDS):
                await self._synchronize(held, started)
        except sources.ClaimLostError:
            log.warning("configuration synchronisation was taken over by another process", source=self._name)
        except BaseException:
            # Whatever it was, the next try need not wait until the lease ends.
            await asyncio.shield(sources.release(self._database, held))
            raise

    async def _synchronize(self, held: sources.Claim, started: float) -> None:
        commit = ""
        try:
            commit = await self._mirror.fetch(self._configured.branch)
            moved = await self._look_for_move(held, commit)
            signer = await self._vetting.signer(commit, held.synced_commit)
            compiled = await self._compile(commit)
        except UntrustedError as error:
            await self._refuse(_Try(held, commit, started), error.reasons[0], reasons=error.reasons)
            return
        except (EnvironmentMissingError, GitError, InvalidInputError) as error:
            retry = backoff(held.failures + 1, _FIRST_RETRY_SECONDS, max(_LONGEST_RETRY_SECONDS, self._poll))
            log.warning(
                "configuration repository cannot be read",
                source=self._name,
                error=str(error),
                retry_seconds=round(retry),
            )
            await sources.finish_failed(self._database, held, str(error), retry_seconds=retry)
            return
        this = _Try(held, commit, started, signer)
        try:
            await self._apply(this, compiled, moved)
        except ConfigurationError as error:
            await self._refuse(this, error.summary, problems=error.problems, plan=error.plan)
        except (PlanHeldError, PlanWaitingError) as error:
            await self._wait(this, error)

    async def _look_for_move(self, held: sources.Claim, commit: str) -> Move | None:
        """Note it if the branch no longer holds the commit in force; the move, if somebody has to confirm it."""
        move, known = await self._vetting.move(commit, held.synced_commit)
        if not known:
            log.warning(
                "whether the configuration branch was moved is unknown: its history is too long or cannot be fetched",
                source=self._name,
                was=held.synced_commit,
                now=commit,
            )
        if move is not None and await sources.note_move(self._database, held, move.was, commit):
            log.warning("configuration branch was moved", source=self._name, was=move.was, now=commit)
        if self._configured.force_push == "allow" or held.synced_commit is None:
            return None
        return move if known else Move(held.synced_commit, commit)

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
        compiled = await compile_among_others(
            self._database,
            self._name,
            lambda others: self._compiler.compile(loaded.fragments, loaded.problems, others),
        )
        if self._scoped is None or self._scoped[0] is not compiled:
            self._scoped = compiled, within(compiled, self._configured.scope)
        compiled = self._scoped[1]
        return compiled if compiled.problems else seal(compiled, self._secrets.reveal)

    async def _apply(self, this: _Try, compiled: Compiled, moved: Move | None) -> None:
        if compiled.problems:
            raise ConfigurationError(compiled.problems)
        sealed = seals(compiled)
        latest = await sources.latest_revision(self._database, self._name)
        if self._seen == _Seen(this.commit, sealed, latest):
            await sources.finish_synced(self._database, this.held, this.commit, self._poll)
            return
        origin = Origin(self._name, await self._mirror.commit_info(this.commit), this.signer)
        trailers = await self._mirror.trailers(this.commit, CONFIRMATION)
        windows = window_state(self._configured.sync_windows, self._now())
        async with self._database.transaction() as connection:
            await sources.hold(connection, this.held)
            by_person = await sources.confirmed(connection, self._name)
            gate = Gate(moved, not windows.open, windows.changes_at, by_person)
            applied = await apply_within(
                connection,
                origin,
                compiled.resources,
                confirmed=trailers,
                gate=gate,
                started=this.started,
                parts=compiled.parts,
            )
            latest = await sources.latest_revision(connection, self._name)
            await sources.finish_synced(connection, this.held, this.commit, self._poll)
            await base_moved(connection, self._name, this.commit)
        self._seen = _Seen(this.commit, sealed, latest)
        if applied.revision is not None:
            seconds = round(time.monotonic() - this.started, 3)
            log.info(
                "configuration applied",
                source=self._name,
                commit=this.commit,
                seconds=seconds,
                **applied.plan.summary,
            )

    async def _wait(self, this: _Try, error: PlanHeldError | PlanWaitingError) -> None:
        """Record a plan that is held, or waits for a window. The same plan again is no other revision."""
        self._seen = None
        status: RevisionStatus = "held" if isinstance(error, PlanHeldError) else "waiting"
        origin = Origin(self._name, await self._mirror.commit_info(this.commit), this.signer)
        async with self._database.transaction() as connection:
            await sources.hold(connection, this.held)
            if not await sources.held_alike(connection, self._name, this.commit, error.digest, status):
                await write_revision(
                    connection,
                    origin,
                    time.monotonic() - this.started,
                    status=status,
                    plan=error.plan,
                    reasons=error.reasons,
                    digest=error.digest,
                )
                log.warning(
                    "configuration held" if status == "held" else "configuration waits for a sync window",
                    source=self._name,
                    commit=this.commit,
                    digest=error.digest,
                    reasons=error.reasons,
                )
            if isinstance(error, PlanHeldError):
                await sources.finish_held(connection, this.held, this.commit, error, self._poll)
            else:
                await sources.finish_waiting(connection, this.held, this.commit, error, self._poll)
            await base_moved(connection, self._name, this.commit)

    async def _refuse(
        self,
        this: _Try,
        message: str,
        *,
        problems: tuple[Problem, ...] = (),
        reasons: tuple[str, ...] = (),
        plan: Plan | None = None,
    ) -> None:
        """Record a commit that cannot be applied. The same failure again is no other revision."""
        self._seen = None
        origin = Origin(self._name, await self._mirror.commit_info(this.commit), this.signer)
        if len(reasons) > 1:
            message = f"{message} (and {len(reasons) - 1} more)"
        async with self._database.transaction() as connection:
            await sources.hold(connection, this.held)
            if not await sources.failed_alike(connection, self._name, this.commit, problems, reasons):
                await write_revision(
                    connection,
                    origin,
                    time.monotonic() - this.started,
                    status="failed",
                    problems=problems,
                    reasons=reasons,
                    plan=plan,
                )
                log.warning(
                    "configuration refused",
                    source=self._name,
                    commit=this.commit,
                    problems=len(problems) + len(reasons),
                    first=message,
                )
            await sources.finish_failed(
                connection,
                this.held,
                message,
                retry_seconds=self._poll,
                commit=this.commit,
                problems=problems,
            )
            await base_moved(connection, self._name, this.commit)
