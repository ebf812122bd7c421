"""Real evaluations by real Nix: what is found, and how failures are told."""

import json
from pathlib import Path

import pytest

from fc.base.errors import InvalidInputError
from fc.base.nix_cli import Nix
from fc.evaluate.request import EvaluationRequest, Input
from fc.evaluate.sharded import ShardedEvaluation
from fc.nix.derivation import parse_derivation
from tests.support.evaluating import MAKE
from tests.support.expressions import Evaluator, errors, names


async def test_jobs_are_found_in_nested_sets_with_all_that_is_known_of_them(evaluate: Evaluator) -> None:
    result = await evaluate(
        """{
          hello = make "hello-1" { outputs = [ "out" "doc" ]; } // { meta = {
            description = "Greets"; homepage = "https://example.org"; license = [ { spdxId = "MIT"; } "custom" ];
            maintainers = [ { github = "ada"; } ]; timeout = 60; maxSilent = 30; schedulingPriority = 7;
            position = "x:1"; broken = throw "not looked at"; }; };
          nested = { deep.job = make "deep" { }; recurseForDerivations = true; version = "1.0"; };
          skipped = { recurseForDerivations = false; job = throw "not looked at"; };
          number = 1; text = "x"; nothing = null; list = [ (make "unseen" { }) ];
        }"""
    )
    assert names(result) == ["hello", "nested.deep.job"]
    assert not result.errors
    hello = result.jobs[0]
    assert (hello.name, hello.system) == ("hello-1", "x86_64-linux")
    assert set(hello.outputs) == {"out", "doc"}
    assert hello.meta == {
        "description": "Greets",
        "homepage": ["https://example.org"],
        "license": ["MIT", "custom"],
        "maintainers": ["ada"],
        "timeout": 60,
        "maxSilent": 30,
        "schedulingPriority": 7,
    }
    assert (hello.timeout, hello.max_silent, hello.scheduling_priority) == (60, 30, 7)
    written = parse_derivation(evaluate.nix.physical(hello.drv_path).read_bytes())
    assert {output.name: output.path for output in written.outputs} == hello.outputs


async def test_functions_are_called_with_the_inputs(evaluate: Evaluator, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "name.nix").write_text('"from-input"')
    evaluate.write(
        release=f"""
        {{ lib, word, flag, src, other ? "default" }}: let {MAKE} in {{
          a = make "a" {{ name = import (lib + "/name.nix"); inherit word other; flag = if flag then "yes" else "no";
            rev = lib.rev; own = src.rev; viaPath = import <lib/name.nix>; }};
          b = {{ system ? "x86_64-linux" }}: make "b" {{ inherit system; }};
          c = {{ absent }}: make "c" {{ }};
        }}"""
    )
    result = await evaluate(
        inputs={
            "lib": Input(
                type="git", value="https://example.org/lib", path=str(tmp_path / "lib"), revision="b" * 40
            ),
            "word": Input(type="string", value='quo"ted ${x} \\n\n'),
            "flag": Input(type="boolean", value="true"),
        }
    )
    assert names(result) == ["a", "b"]
    assert "'absent'" in errors(result)["c"]
    variables = parse_derivation(evaluate.nix.physical(result.jobs[0].drv_path).read_bytes()).env
    assert variables["name"] == variables["viaPath"] == "from-input"
    assert variables["word"] == 'quo"ted ${x} \\n\n'
    assert (variables["other"], variables["flag"], variables["rev"], variables["own"]) == (
        "default", "yes", "b" * 40, "a" * 40,
    )  # fmt: skip


async def test_a_derivation_alone_is_the_job_default(evaluate: Evaluator) -> None:
    assert names(await evaluate('make "alone" { }')) == ["default"]


async def test_an_expression_that_is_no_set_of_jobs_is_a_failure(evaluate: Evaluator) -> None:
    result = await evaluate("[ 1 2 ]")
    assert result.failure == "the expression is neither a set of jobs nor a derivation"


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ('throw "closed today"', "closed today"),
        ("{ a = ", "syntax error"),
        ("import ./absent.nix", "absent.nix"),
        ("{ x }: { }", "'x'"),
    ],
)
async def test_an_expression_that_fails_as_a_whole_says_why(
    evaluate: Evaluator, expression: str, message: str
) -> None:
    result = await evaluate(expression)
    assert result.failure is not None
    assert message in result.failure
    assert str(evaluate.source) not in result.failure
    assert not result.jobs


@pytest.mark.parametrize(("expression", "flake_mode"), [("absent/release.nix", False), ("absent#jobs", True)])
async def test_a_missing_file_is_an_error_that_names_it(
    evaluate: Evaluator, expression: str, flake_mode: bool
) -> None:
    with pytest.raises(InvalidInputError, match=r"there is no .*absent"):
        await evaluate(expression=expression, flake_mode=flake_mode)


@pytest.mark.parametrize("path", ["/etc/passwd", "../outside.nix", "a/../../b", ""])
async def test_an_expression_outside_of_the_repository_is_refused(
    nix: Nix, tmp_path: Path, path: str
) -> None:
    request = EvaluationRequest(source=tmp_path, revision="a" * 40, expression=path)
    with pytest.raises(InvalidInputError, match="not a path inside"):
        await ShardedEvaluation(nix, request).run()


async def test_names_may_hold_anything(evaluate: Evaluator) -> None:
    odd = [
        "a.b",
        'quo"te',
        "new\nline",
        "ünïcödé →",
        "",
        " space ",
        "${x}",
        "-dash",
        "tab\there",
        "back\\slash",
        "日本",
    ]
    quoted = [json.dumps(name, ensure_ascii=False).replace("${", "\\${") for name in odd]
    expression = "\n".join(f'{name} = make "x" {{ n = {number}; }};' for number, name in enumerate(quoted))
    result = await evaluate(f'{{ {expression} plain.a = make "y" {{ }}; }}')
    assert {job.attr_path for job in result.jobs} == {*((name,) for name in odd), ("plain", "a")}
    attrs = names(result)
    assert len(set(attrs)) == len(odd) + 1
    assert {'"a.b"', '"quo\\"te"', '"new\\nline"', '""', "plain.a", "-dash"} <= set(attrs)
    assert not any("\n" in attr for attr in attrs)


async def test_aggregates_name_their_constituents(evaluate: Evaluator) -> None:
    result = await evaluate(
        """rec {
          one = make "one" { };
          two = make "two" { };
          all = make "all" { _hydraAggregate = true; constituents = [ one "two" "${two}" ]; };
          plain = make "plain" { constituents = [ one ]; };
        }"""
    )
    jobs = {job.attr: job for job in result.jobs}
    assert jobs["all"].is_aggregate
    assert set(jobs["all"].constituents) == {jobs["one"].drv_path, jobs["two"].drv_path}
    assert jobs["all"].named_constituents == ("two",)
    assert not jobs["plain"].is_aggregate


async def test_two_thousand_jobs_are_evaluated_by_several_processes(evaluate: Evaluator) -> None:
    result = await evaluate(
        """{
          many = builtins.listToAttrs (map (n: { name = "job-${toString n}"; value =
            if n == 700 then abort "seven hundred" else if builtins.elem n [ 3 1999 ] then throw "no ${toString n}"
            else make "job-${toString n}" { inherit n; }; }) (builtins.genList (n: n) 2000));
        }"""
    )
    assert len(names(result)) == 1997
    assert {name: message.split("\n")[0] for name, message in errors(result).items()} == {
        "many.job-1999": "error: no 1999",
        "many.job-3": "error: no 3",
        "many.job-700": "error: evaluation aborted with the following error message: 'seven hundred'",
    }


async def test_the_messages_of_very_many_failures_are_not_all_asked_for(
    evaluate: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fc.evaluate.sharded._MOST_MESSAGES", 3)
    result = await evaluate(
        'builtins.listToAttrs (map (n: { name = "j${toString n}"; value = throw "no"; }) (builtins.genList (n: n) 9))'
    )
    messages = sorted(errors(result).values())
    assert len(messages) == 9
    assert messages.count("error: no") == 3


async def test_the_same_source_gives_the_same_derivations_wherever_it_lies(nix: Nix, tmp_path: Path) -> None:
    drvs = set()
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        evaluate = Evaluator(nix, tmp_path / place / "source")
        (evaluate.source / "sub").mkdir()
        (evaluate.source / "sub" / "file").write_text("content")
        result = await evaluate('{ a = make "a" { src = ./.; sub = ./sub; }; }')
        drvs.add(result.jobs[0].drv_path)
    assert len(drvs) == 1


@pytest.mark.parametrize("flake_mode", [False, True])
async def test_odd_directories_are_no_problem(nix: Nix, tmp_path: Path, flake_mode: bool) -> None:
    odd = tmp_path / 'a "place" with % 100, blanks; ${x} and \\ ünïcode:?#'
    odd.mkdir()
    evaluate = Evaluator(nix, odd / "source")
    evaluate.write(
        release=f'let {MAKE} in {{ a = make "a" {{ src = ./.; here = <src/release.nix>; }}; }}',
        flake=f'{{ outputs = {{ self }}: let {MAKE} in {{ hydraJobs.a = make "a" {{ src = self; }}; }}; }}',
    )
    expression = "hydraJobs" if flake_mode else "release.nix"
    result = await evaluate(expression=expression, flake_mode=flake_mode)
    assert not result.errors
    assert names(result) == ["a"]
