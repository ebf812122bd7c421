"""Flakes, evaluated by real Nix."""

import os
from typing import Any

from fc.evaluate.request import EvaluationResult
from fc.nix.derivation import parse_derivation
from tests.support.evaluating import MAKE
from tests.support.expressions import Evaluator, errors, names

FLAKE = f"""{{
  outputs = {{ self }}: let {MAKE} in {{
    %s
    checks.x86_64-linux.lint = make "lint" {{ src = self; }};
    packages.x86_64-linux.default = make "default" {{ rev = self.rev; time = toString self.lastModified; sub = ./sub; }};
    nixosConfigurations.x = throw "not looked at";
  }};
}}"""


async def _flake(evaluate: Evaluator, outputs: str, **settings: Any) -> EvaluationResult:
    (evaluate.source / "sub").mkdir(exist_ok=True)
    (evaluate.source / "sub" / "file").write_text("content")
    evaluate.write(flake=FLAKE.replace("%s", outputs))
    for path in [*evaluate.source.rglob("*"), evaluate.source]:
        os.utime(path, (1_700_000_000, 1_700_000_000))
    chosen: dict[str, Any] = {"expression": "hydraJobs", "flake_mode": True} | settings
    return await evaluate(**chosen)


async def test_the_jobs_of_a_flake_are_its_hydra_jobs(evaluate: Evaluator) -> None:
    result = await _flake(
        evaluate, 'hydraJobs.hello.x86_64-linux = make "hello" { }; hydraJobs.bad = throw "bad one";'
    )
    assert names(result) == ["hello.x86_64-linux"]
    assert errors(result) == {"bad": "error: bad one"}


async def test_a_flake_without_hydra_jobs_offers_checks_and_packages(evaluate: Evaluator) -> None:
    for expression in ("hydraJobs", ".", "flake.nix"):
        result = await _flake(evaluate, "", expression=expression)
        assert not result.errors
        assert names(result) == ["checks.x86_64-linux.lint", "packages.x86_64-linux.default"]
    variables = parse_derivation(evaluate.nix.physical(result.jobs[1].drv_path).read_bytes()).env
    assert variables["rev"] == "a" * 40
    assert variables["time"] == "1700000000"


async def test_any_output_of_a_flake_can_be_chosen(evaluate: Evaluator) -> None:
    assert names(await _flake(evaluate, "", expression="packages.x86_64-linux")) == ["default"]
    result = await _flake(evaluate, "", expression="absent")
    assert result.failure is not None
    assert "'absent' missing" in result.failure


async def test_a_flake_may_lie_in_a_directory(evaluate: Evaluator) -> None:
    (evaluate.source / "inner").mkdir()
    (evaluate.source / "inner" / "flake.nix").write_text(
        FLAKE.replace("%s", 'hydraJobs.inner = make "inner" { };')
    )
    for expression in ("inner#hydraJobs", "inner/flake.nix"):
        assert names(await evaluate(expression=expression, flake_mode=True)) == ["inner"]


async def test_a_flake_is_evaluated_purely(evaluate: Evaluator) -> None:
    result = await _flake(
        evaluate,
        """hydraJobs = { reads = make "x" { value = builtins.readFile /etc/passwd; }; env = make "y" { value = builtins.getEnv "HOME"; };
        time = make "z" { value = builtins.currentTime; }; };""",
    )
    assert names(result) == ["env"]
    assert set(errors(result)) == {"reads", "time"}


async def test_a_flake_without_outputs_for_jobs_says_so(evaluate: Evaluator) -> None:
    evaluate.write(flake="{ outputs = { self }: { x = 1; }; }")
    result = await evaluate(expression="hydraJobs", flake_mode=True)
    assert result.failure is not None
    assert "neither hydraJobs nor checks nor packages" in result.failure
