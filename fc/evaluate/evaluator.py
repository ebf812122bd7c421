"""Evaluation by whatever this machine has for it."""

import re

import structlog

from fc.base.nix_cli import Nix
from fc.evaluate.nix_eval_jobs import evaluate_with_nix_eval_jobs, find_nix_eval_jobs
from fc.evaluate.request import EvaluationRequest, EvaluationResult
from fc.evaluate.sharded import ShardedEvaluation

_UNFIT = re.compile(r"unrecogni[sz]ed (?:flag|option)|unknown (?:flag|option|setting)")

log = structlog.get_logger(__name__)


async def evaluate(nix: Nix, request: EvaluationRequest) -> EvaluationResult:
    """Evaluate a request with nix-eval-jobs where it is installed, else with Nix alone.

    Raises:
        InvalidInputError: the expression is not inside the repository.
        NixError: Nix does not work here, such as for want of space.
    """
    program = find_nix_eval_jobs(nix)
    if program is not None:
        result = await evaluate_with_nix_eval_jobs(program, nix, request)
        if result.jobs or not _UNFIT.search(result.failure or ""):
            return result
        log.warning("nix-eval-jobs is of a version that cannot be used", said=result.failure)
    return await ShardedEvaluation(nix, request).run()
