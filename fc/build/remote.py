"""One attempt at one derivation: copy what is missing, build, stream the log, bring the outputs home."""

import asyncio
import contextlib
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from fc.base.durations import format_duration
from fc.base.errors import NixError
from fc.base.nix_cli import Nix
from fc.base.settings import BuildersSettings
from fc.build.claims import Claim
from fc.build.logs import LogFile
from fc.build.preparation import Prepared, UnbuildableError, prepare
from fc.build.products import read_finds
from fc.build.roots import Roots
from fc.build.session import Session
from fc.build.settle import Outcome, Output, failing_status
from fc.build.store import LocalStore, references_first
from fc.build.transport import BuilderError
from fc.nix.build_result import BuildResult, BuildStatus
from fc.nix.path_info import PathInfo
from fc.nix.serve import BuildOptions

_MEGABYTE = 1 << 20
_LOG_SLACK = 1 << 16
"""What a log may have beyond its limit: Nix ends the build at the limit, and says so in the log."""
_OVERTIME_SECONDS = 60.0
"""A builder that has not ended a build so long after its time is over never will."""
_LONGEST_MESSAGE = 4000
_EXIT_CODE = re.compile(r"failed with exit code (\d{1,3})\b")


class InputsMissingError(Exception):
    """Inputs that were built have been collected from the head's store since."""

    def __init__(self, paths: set[str]) -> None:
        self.paths = paths
        super().__init__(f"{len(paths)} inputs are no longer in the store, such as {min(paths)}")


class AttemptLostError(Exception):
    """The attempt came to nothing by no fault of the derivation.

    Args:
        reason: for people.
        final_status: what the derivation ends with when no attempt is left.
    """

    def __init__(self, reason: str, final_status: str = "aborted") -> None:
        self.reason = reason
        self.final_status = final_status
        super().__init__(reason)


class HeadTroubleError(Exception):
    """The head's own store or disk fails: nothing can be built for a while, here or elsewhere."""


class Workplace(msgspec.Struct, frozen=True):
    """What every attempt of one process shares."""

    nix: Nix
    settings: BuildersSettings
    data_dir: Path
    store: LocalStore
    roots: Roots


class Attempt:
    """One attempt at one derivation, on one builder.

    Args:
        workplace: shared by all.
        claim: the right to it.
        session: an open session of its own on the builder.
        copying: held while inputs are sent to this builder, so that no path is sent twice at once; none: the
            builder is the head's own store.
    """

    def __init__(
        self, workplace: Workplace, claim: Claim, session: Session, copying: asyncio.Lock | None
    ) -> None:
        self._place = workplace
        self._claim = claim
        self._session = session
        self._copying = copying

    async def run(self) -> Outcome:
        """Build; how the derivation ended.

        Raises:
            AttemptLostError: the builder, not the derivation, failed.
            InputsMissingError: inputs have to be built again first.
            BuilderError: the builder went away.
            HeadTroubleError: the head's own store or disk fails.
        """
        try:
            return await self._logged()
        except BuilderError as error:
            if error.builder == self._claim.builder.name:
                raise
            raise HeadTroubleError(str(error)) from error
        except (OSError, NixError) as error:
            raise HeadTroubleError(str(error)) from error

    async def _logged(self) -> Outcome:
        file = self._place.data_dir / self._claim.log_path
        limit = self._place.settings.max_log_mb * _MEGABYTE + _LOG_SLACK
        with LogFile(file, limit) as log:
            number = self._claim.attempts + 1
            again = f", attempt {number}" if number > 1 else ""
            log.note(f"building {self._claim.drv_path} on {self._claim.builder.name}{again}")
            try:
                outcome = await self._run(log)
            except UnbuildableError as error:
                outcome = Outcome(status="aborted", message=str(error))
            except (AttemptLostError, InputsMissingError, BuilderError) as error:
                log.note(f"attempt lost: {error}")
                raise
            except asyncio.CancelledError:
                log.note("interrupted; it goes on later, here or elsewhere")
                raise
            log.note(outcome.message or outcome.status)
            return outcome

    async def _run(self, log: LogFile) -> Outcome:
        prepared = await prepare(self._place.nix, self._claim.drv_path)
        await self._provide_inputs(prepared, log)
        result = await self._build(prepared, log)
        if result is None:
            limit = self._place.settings.max_log_mb
            return Outcome(
                status="log_limit_exceeded", message=f"it printed more than {limit} MB", exit_code=1
            )
        try:
            ended = await self._collect(prepared, log) if result.status.is_success else self._failure(result)
        except AttemptLostError:
            await self._session.finish_log()
            raise
        # Only now: the session has locked the outputs, and its end is the only end a log has.
        await self._session.finish_log()
        return ended

    async def _provide_inputs(self, prepared: Prepared, log: LogFile) -> None:
        """See that all inputs are valid on the builder, and stay so until the session ends."""
        if self._copying is None:
            _require_inputs(prepared, await self._session.valid_paths(prepared.inputs, lock=True))
            return
        store = self._place.store
        _require_inputs(prepared, await store.valid_paths(prepared.inputs))
        closure = await store.closure(prepared.inputs)
        async with self._copying:
            there = await self._session.valid_paths([info.path for info in closure], lock=True)
            lacking = [info for info in closure if info.path not in there]
            if not lacking:
                return
            size = sum(info.nar_size for info in lacking)
            log.note(
                f"copying {_paths(len(lacking))}, {size / _MEGABYTE:.1f} MB, to {self._claim.builder.name}"
            )
            async with Session(store.carrier) as source:
                for info in lacking:
                    async with contextlib.aclosing(source.dump(info)) as nar:
                        await self._session.add(info, nar)

    async def _build(self, prepared: Prepared, log: LogFile) -> BuildResult | None:
        """What Nix says of the build; none: it printed too much."""
        settings = self._place.settings
        timeout = self._claim.timeout or int(settings.timeout)
        options = BuildOptions(
            max_silent=self._claim.max_silent or int(settings.max_silent),
            timeout=timeout,
            max_log_size=settings.max_log_mb * _MEGABYTE,
        )
        overflow = asyncio.Event()

        def print_log(data: bytes) -> None:
            log.write(data)
            if log.overflowed:
                overflow.set()

        self._session.on_log = print_log
        build = asyncio.create_task(self._session.build(self._claim.drv_path, prepared.basic, options))
        watch = asyncio.create_task(overflow.wait())
        try:
            await asyncio.wait(
                {build, watch}, timeout=timeout + _OVERTIME_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
            if build.done():
                return build.result()
        finally:
            watch.cancel()
            if not build.done():
                build.cancel()
                with contextlib.suppress(asyncio.CancelledError, BuilderError):
                    await build
        if overflow.is_set():
            return None
        reason = f"{self._claim.builder.name} did not end the build {format_duration(_OVERTIME_SECONDS)} after its time was over"
        raise AttemptLostError(reason)

    def _failure(self, result: BuildResult) -> Outcome:
        message = (result.message.strip() or f"Nix ended it as {result.status.name.lower()}")[
            -_LONGEST_MESSAGE:
        ]
        status = failing_status(result)
        if status is None:
            # A fixed-output build may fail by what is elsewhere, so Nix calls every failure of one transient.
            its_own = self._claim.fixed_output and result.status is BuildStatus.TRANSIENT_FAILURE
            reason = f"{self._claim.builder.name}: {message}"
            raise AttemptLostError(reason, "failed" if its_own else "aborted")
        said = _EXIT_CODE.search(message)
        exit_code = int(said[1]) if said is not None else 1
        return Outcome(
            status=status, message=message, exit_code=exit_code, cacheable=result.status.is_permanent
        )

    async def _collect(self, prepared: Prepared, log: LogFile) -> Outcome:
        """Bring the outputs into the head's store, root them, look into them."""
        paths = list(prepared.outputs.values())
        infos = await self._session.path_infos(paths)
        if len(infos) < len(set(paths)):
            lacking = ", ".join(sorted(set(paths) - infos.keys()))
            reason = f"{self._claim.builder.name} says it is built, but does not have {lacking}"
            raise AttemptLostError(reason)
        if self._copying is None:
            return await look_into(self._place, prepared.outputs, infos)
        async with Session(self._place.store.carrier) as head:
            valid = await head.valid_paths(paths, lock=True)
            wanted = [info for info in references_first(infos) if info.path not in valid]
            if wanted:
                size = sum(info.nar_size for info in wanted)
                log.note(f"fetching {_paths(len(wanted))}, {size / _MEGABYTE:.1f} MB")
            for info in wanted:
                async with contextlib.aclosing(self._session.dump(info)) as nar:
                    await head.add(msgspec.structs.replace(info, signatures=()), nar)
            return await look_into(self._place, prepared.outputs, infos)


async def look_into(
    workplace: Workplace, outputs: Mapping[str, str], infos: Mapping[str, PathInfo]
) -> Outcome:
    """Root ``outputs``, which are valid in the head's store, and read what they offer.

    Args:
        workplace: whose store it is.
        outputs: store path by output name.
        infos: what the store knows of them.
    """
    found = tuple(
        Output(name, path, infos[path].nar_hash, infos[path].nar_size)
        for name, path in sorted(outputs.items())
    )
    roots = await workplace.roots.add([output.path for output in found])
    finds = await asyncio.to_thread(read_finds, workplace.nix, found, infos, roots)
    return Outcome(
        status="failed_with_output" if finds.failed else "built",
        message="an output says of itself that it failed (nix-support/failed)" if finds.failed else None,
        outputs=found,
        products=finds.products,
        metrics=finds.metrics,
        exit_code=1 if finds.failed else 0,
    )


def _require_inputs(prepared: Prepared, valid: set[str]) -> None:
    """Refuse to go on without an input.

    Raises:
        InputsMissingError: outputs of other derivations are gone; they can be made again.
        UnbuildableError: a source is gone; only an evaluation can bring it back.
    """
    missing = set(prepared.inputs) - valid
    sources = sorted(missing.intersection(prepared.sources))
    if sources:
        message = f"its source {sources[0]} is not in the head's store any more; evaluate the jobset again"
        raise UnbuildableError(message)
    if missing:
        raise InputsMissingError(missing)


def _paths(count: int) -> str:
    return "1 path" if count == 1 else f"{count} paths"
