"""Evaluation by whatever this machine has for it."""

from fc.base.nix_cli import Nix
from fc.evaluate.nix_eval_jobs import evaluate_with_nix_eval_jobs, find_nix_eval_jobs
from fc.evaluate.request import EvaluationRequest, EvaluationResult
from fc.evaluate.sharded import ShardedEvaluation


async def evaluate(nix: Nix, request: EvaluationRequest) -> EvaluationResult:
    """Evaluate a request with nix-eval-jobs where it is installed, else with Nix alone.

    Raises:
        InvalidInputError: the expression is not inside the repository.
        NixError: Nix cannot even be asked.
    """
    program = find_nix_eval_jobs(nix)
    if program is not None:
        return await evaluate_with_nix_eval_jobs(program, nix, request)
    return await ShardedEvaluation(nix, request).run()
