"""Evaluation with nix-eval-jobs, where it is installed."""

import asyncio
import os
import shutil
from pathlib import Path

import msgspec
import structlog

from fc.base.errors import NixError
from fc.base.nix_cli import Nix
from fc.evaluate.nix_expression import expression_config, marked_text, options
from fc.evaluate.nix_process import NixProcess
from fc.evaluate.request import EvaluationRequest, EvaluationResult
from fc.evaluate.shards import job_name
from fc.nix.errors import FormatError
from fc.nix.eval_job import EvalError, EvalJob, parse_line

log = structlog.get_logger(__name__)


def find_nix_eval_jobs(nix: Nix) -> Path | None:
    """The program beside Nix or on PATH; none: it is not installed."""
    found = shutil.which("nix-eval-jobs", path=f"{nix.bin_dir}{os.pathsep}{os.environ.get('PATH', '')}")
    return None if found is None else Path(found).absolute()


async def evaluate_with_nix_eval_jobs(
    program: Path, nix: Nix, request: EvaluationRequest
) -> EvaluationResult:
    """Evaluate a request; the jobs and errors that were found, by name.

    Raises:
        InvalidInputError: the expression is not inside the repository.
        NixError: Nix does not work here, such as for want of space.
    """
    found: list[EvalJob | EvalError] = []
    try:
        async with asyncio.timeout(request.timeout):
            text = marked_text(await expression_config(nix, request))
            command = _command(program, nix, request, text)
            # Its own limit is a soft one: a process over it is replaced after its job.
            async with NixProcess(nix, command, b"", 2 * request.memory_mb, from_errors=False) as process:
                async for line in process.lines():
                    try:
                        found.append(parse_line(line))
                    except FormatError as error:
                        log.warning("nix-eval-jobs wrote a line that is not understood", error=str(error))
                        process.noise(line)
                failure = None if process.status == 0 else process.message()
                if process.machine_at_fault:
                    raise NixError(process.message())
    except TimeoutError:
        limit = f"the time limit of {request.timeout:.0f} s was reached"
        return EvaluationResult(failure=f"{limit}; {len(found)} jobs had been evaluated", timed_out=True)
    named = [msgspec.structs.replace(item, attr=job_name(item.attr_path)) for item in found]
    jobs = [item for item in named if isinstance(item, EvalJob)]
    errors = [item for item in named if isinstance(item, EvalError) and item.attr_path]
    whole = [item.error for item in named if isinstance(item, EvalError) and not item.attr_path]
    return EvaluationResult(
        jobs=sorted(jobs, key=lambda job: job.attr),
        errors=sorted(errors, key=lambda error: error.attr),
        failure=whole[0] if whole else failure,
    )


def _command(program: Path, nix: Nix, request: EvaluationRequest, text: str) -> list[str]:
    store = [] if nix.store is None else ["--option", "store", nix.store]
    limits = ["--workers", str(request.workers), "--max-memory-size", str(request.memory_mb)]
    return [str(program), "--meta", *limits, *store, *options(nix, request), "--expr", text]
