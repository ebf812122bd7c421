"""Evaluation with Nix alone: shards of attribute paths in separate processes, each answer kept as it comes."""

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import structlog

from fc.base.errors import FcError, NixError
from fc.base.nix_cli import Nix
from fc.evaluate.nix_expression import expression_config, options, walk_text
from fc.evaluate.nix_process import NixProcess
from fc.evaluate.request import EvaluationRequest, EvaluationResult
from fc.evaluate.shards import ROOT, Answer, AttrPath, Shard, after_crash, job_name, split
from fc.nix.errors import FormatError
from fc.nix.eval_job import EvalError, EvalJob, parse_line

_MOST_MESSAGES = 100
"""Each message of a job that throws costs a process."""
_MOST_PATHS = 250_000

log = structlog.get_logger(__name__)


class TooManyJobsError(FcError):
    """An expression has more attributes than one evaluation may have."""

    code = "too_many_jobs"


class ShardedEvaluation:
    """One evaluation in progress."""

    def __init__(self, nix: Nix, request: EvaluationRequest) -> None:
        self._nix = nix
        self._request = request
        self._config: dict[str, Any] = {}
        self._queue: deque[Shard] = deque()
        self._jobs: list[EvalJob] = []
        self._errors: list[EvalError] = []
        self._thrown: list[AttrPath] = []
        self._failure: str | None = None
        self._seen = 0
        self._current: dict[int, Shard] = {}

    async def run(self) -> EvaluationResult:
        """Evaluate; the jobs and errors that were found, by name.

        Raises:
            InvalidInputError: the expression is not inside the repository.
            NixError: Nix does not work here, such as for want of space.
        """
        try:
            async with asyncio.timeout(self._request.timeout):
                self._config = await expression_config(self._nix, self._request)
                self._queue.append(Shard([ROOT]))
                await self._run_all(tolerant=True)
                self._ask_why()
                await self._run_all(tolerant=False)
        except TimeoutError:
            return EvaluationResult(failure=self._overdue(), timed_out=True)
        except TooManyJobsError as error:
            return EvaluationResult(failure=str(error))
        return EvaluationResult(
            jobs=sorted(self._jobs, key=lambda job: job.attr),
            errors=sorted(self._errors, key=lambda error: error.attr),
            failure=self._failure,
        )

    async def _run_all(self, *, tolerant: bool) -> None:
        """Evaluate what is queued, and what that adds to the queue."""
        running: set[asyncio.Task[None]] = set()
        try:
            while self._queue or running:
                while self._queue and len(running) < self._request.workers:
                    running.add(
                        asyncio.create_task(self._run_shard(self._queue.popleft(), tolerant=tolerant))
                    )
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _ask_why(self) -> None:
        """Queue the paths that threw, one by one: only an uncaught error tells its message."""
        self._queue.extend(Shard([path]) for path in self._thrown[:_MOST_MESSAGES])
        for path in self._thrown[_MOST_MESSAGES:]:
            why = f"it throws, or an assertion fails (the messages of the first {_MOST_MESSAGES} such jobs are kept)"
            self._errors.append(_error(path, why))
        self._thrown.clear()

    async def _run_shard(self, shard: Shard, *, tolerant: bool) -> None:
        async with self._process(shard, tolerant=tolerant) as (process, marker):
            self._current[id(shard)] = shard
            async for line in process.lines():
                _, found, text = line.partition(marker)
                if not found or not self._take(shard, text):
                    process.noise(line)
                else:
                    process.forget_noise()
            exhausted, message = process.exhausted, process.message()
            if process.machine_at_fault:
                raise NixError(message)
        # Left standing when this is cancelled: it tells what took so long.
        del self._current[id(shard)]
        self._thrown.extend(shard.thrown)
        self._queue.extend(split(shard.deferred, self._request.workers))
        if not shard.pending:
            return
        verdict = after_crash(shard, exhausted=exhausted)
        if verdict.blamed == ROOT:
            self._failure = self._readable(message)
        elif verdict.blamed is not None:
            self._errors.append(_error(verdict.blamed, self._readable(message)))
        for retry in verdict.retry:
            self._queue.extend([retry] if retry.alone else split(retry.pending, self._request.workers))

    @asynccontextmanager
    async def _process(self, shard: Shard, *, tolerant: bool) -> AsyncIterator[tuple[NixProcess, bytes]]:
        """A process that evaluates ``shard``, and what its answers are known by."""
        token = secrets.token_hex(16)
        command = self._nix.command(
            "nix-instantiate", "--eval", "--strict", "--json", "--read-write-mode", *options(self._nix, self._request), "-"
        )  # fmt: skip
        given = walk_text(self._config, token, shard.paths, tolerant=tolerant)
        memory = self._request.memory_mb
        async with NixProcess(self._nix, command, given, memory, from_errors=True) as process:
            yield process, token.encode()

    def _take(self, shard: Shard, text: bytes) -> bool:
        """Note one answer; false when it is none."""
        try:
            answer = msgspec.json.decode(text, type=Answer)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return False
        if not shard.take(answer):
            return False
        self._seen += len(answer.names)
        if self._seen > _MOST_PATHS:
            message = f"the expression has more than {_MOST_PATHS} attributes; is a whole package set part of the jobs?"
            raise TooManyJobsError(message)
        if answer.kind == "job":
            self._take_job(answer.path, text)
        elif answer.kind == "skip" and answer.path == ROOT:
            self._failure = "the expression is neither a set of jobs nor a derivation"
        return True

    def _take_job(self, path: AttrPath, text: bytes) -> None:
        name = job_name(path)
        facts = msgspec.json.decode(text)
        try:
            job = parse_line(msgspec.json.encode(facts | {"attr": name, "attrPath": path}))
        except FormatError as error:
            self._errors.append(_error(path, str(error)))
            return
        if isinstance(job, EvalJob):
            self._jobs.append(job)

    def _readable(self, message: str) -> str:
        """A message of Nix with files named as they are in the repository."""
        return message.replace(f"{self._request.source}/", "").replace(str(self._request.source), ".")

    def _overdue(self) -> str:
        """What was going on when the time was over."""
        waiting = sorted(
            job_name(shard.pending[0]) or "the expression itself"
            for shard in self._current.values()
            if shard.pending
        )
        doing = f" while evaluating {', '.join(waiting)}" if waiting else ""
        limit = f"the time limit of {self._request.timeout:.0f} s was reached{doing}"
        return f"{limit}; {len(self._jobs)} jobs had been evaluated"


def _error(path: AttrPath, message: str) -> EvalError:
    return EvalError(attr=job_name(path), attr_path=path, error=message, fatal=path == ROOT)
