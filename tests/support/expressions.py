"""Expressions of tests, evaluated by real Nix."""

from pathlib import Path
from typing import Any

from fc.base.nix_cli import Nix
from fc.evaluate.request import EvaluationRequest, EvaluationResult
from fc.evaluate.sharded import ShardedEvaluation
from tests.support.evaluating import MAKE


class Evaluator:
    """Writes expressions and evaluates them."""

    def __init__(self, nix: Nix, source: Path) -> None:
        self.nix = nix
        self.source = source
        source.mkdir()

    def write(self, **files: str) -> None:
        for name, text in files.items():
            (self.source / f"{name}.nix").write_text(text)

    async def __call__(self, text: str = "", **settings: Any) -> EvaluationResult:
        if text:
            self.write(release=f"let {MAKE} in {text}")
        chosen: dict[str, Any] = {"expression": "release.nix", "workers": 2} | settings
        return await ShardedEvaluation(
            self.nix, EvaluationRequest(source=self.source, revision="a" * 40, **chosen)
        ).run()


def names(result: EvaluationResult) -> list[str]:
    assert result.failure is None, result.failure
    return [job.attr for job in result.jobs]


def errors(result: EvaluationResult) -> dict[str, str]:
    return {error.attr: error.error for error in result.errors}
