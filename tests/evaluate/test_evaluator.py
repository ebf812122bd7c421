"""Real evaluations by real Nix: what is found, what is kept from an expression, and what it cannot break."""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from fc.base.errors import InvalidInputError
from fc.base.nix_cli import Nix
from fc.evaluate.request import EvaluationRequest, EvaluationResult, Input
from fc.evaluate.sharded import ShardedEvaluation
from fc.nix.derivation import parse_derivation

MAKE = """
  make = name: extra: derivation ({ inherit name; system = "x86_64-linux"; builder = "/bin/sh";
    args = [ "-c" "echo > $out" ]; } // extra);
"""


SPIN = """
  spin = let loop = body: builtins.foldl' (sum: n: sum + body n) 0 (builtins.genList (n: n) 10000); in
    loop (a: loop (b: loop (c: 1)));
"""
"""Takes days, but little memory and no stack."""


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


@pytest.fixture
def evaluate(nix: Nix, tmp_path: Path) -> Evaluator:
    return Evaluator(nix, tmp_path / "source")


def names(result: EvaluationResult) -> list[str]:
    assert result.failure is None, result.failure
    return [job.attr for job in result.jobs]


def errors(result: EvaluationResult) -> dict[str, str]:
    return {error.attr: error.error for error in result.errors}


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


async def test_every_kind_of_failure_is_blamed_on_its_job_alone(evaluate: Evaluator) -> None:
    result = await evaluate(
        """{
          good-1 = make "g1" { };
          aborts = abort "very sorry";
          asserts = assert 1 == 2; make "x" { };
          deep.recursion = let f = n: 1 + f n; in make "x" { value = f 1; };
          good-2 = make "g2" { };
          missing = make "x" { value = { }.absent; };
          recursion = let x = x; in x;
          throws = throw "on purpose";
          type = make "x" { value = 1 + "a"; };
          undrv = { type = "derivation"; };
          good-3 = make "g3" { };
        }"""
    )
    assert names(result) == ["good-1", "good-2", "good-3"]
    found = errors(result)
    expected = {
        "aborts": "very sorry",
        "asserts": "assertion",
        "deep.recursion": "stack overflow",
        "missing": "'absent' missing",
        "recursion": "infinite recursion",
        "throws": "on purpose",
        "type": "cannot",
        "undrv": "missing",
    }
    assert set(found) == set(expected)
    for job, words in expected.items():
        assert words in found[job]
        assert found[job].startswith("error:")


async def test_a_set_that_holds_itself_ends_and_names_the_place(evaluate: Evaluator) -> None:
    result = await evaluate('let loop = { again = loop; job = make "j" { }; }; in loop')
    assert "job" in names(result)
    assert any("levels deep" in message for message in errors(result).values())


async def test_more_attributes_than_any_jobset_has_are_a_failure(evaluate: Evaluator) -> None:
    result = await evaluate(
        "builtins.listToAttrs (map (n: { name = toString n; value = 1; }) (builtins.genList (n: n) 260000))"
    )
    assert result.failure is not None
    assert "attributes" in result.failure


async def test_an_endless_loop_ends_at_the_time_limit_and_is_named(evaluate: Evaluator) -> None:
    result = await evaluate(
        f'let {SPIN} in {{ good = make "g" {{ }}; loops = make "x" {{ value = toString spin; }}; }}',
        timeout=2,
    )
    assert result.timed_out
    assert result.failure is not None
    assert "while evaluating loops" in result.failure
    await _no_evaluator_is_left(evaluate.nix)


async def test_a_job_that_allocates_without_end_is_stopped_and_the_others_are_kept(
    evaluate: Evaluator,
) -> None:
    result = await evaluate(
        """{
          a = make "a" { };
          greedy = make "x" { value = toString (builtins.foldl' (all: n: all ++ (builtins.genList (m: m + n) 1000000)) [ ] (builtins.genList (n: n) 100000)); };
          z = make "z" { };
        }""",
        memory_mb=700,
    )
    assert names(result) == ["a", "z"]
    assert "memory" in errors(result)["greedy"]
    assert "700 MiB" in errors(result)["greedy"]


@pytest.mark.parametrize(
    "value",
    [
        "builtins.readFile /etc/passwd",
        "builtins.readFile ../outside",
        "builtins.readFile ./link",
        "builtins.attrNames (builtins.readDir /.)",
        "import /etc/hostname",
        'builtins.fetchurl "file:///etc/passwd"',
        'builtins.fetchTarball "http://127.0.0.1:9/x.tar"',
        'builtins.readFile (builtins.fetchGit "file:///etc").outPath',
        'builtins.readFile "/proc/self/environ"',
        "builtins.path { path = /etc/hostname; }",
    ],
)
async def test_nothing_but_the_source_can_be_read(evaluate: Evaluator, tmp_path: Path, value: str) -> None:
    (tmp_path / "outside").write_text("secret")
    (evaluate.source / "link").symlink_to("/etc/passwd")
    result = await evaluate(
        f'{{ reads = make "x" {{ value = {value}; }}; ok = make "ok" {{ inside = ./release.nix; }}; }}'
    )
    assert names(result) == ["ok"]
    (message,) = errors(result).values()
    assert "restricted" in message or "forbidden" in message


async def test_an_unrestricted_jobset_may_read_the_machine_but_still_sees_no_environment(
    evaluate: Evaluator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FC_SECRET_TOKEN", "hidden")
    result = await evaluate(
        """{
          reads = make "x" { value = builtins.substring 0 4 (builtins.readFile /etc/passwd); };
          environment = make "y" { value = "<" + builtins.getEnv "FC_SECRET_TOKEN" + builtins.getEnv "USER" + ">"; };
        }""",
        restrict=False,
    )
    assert names(result) == ["environment", "reads"]
    variables = parse_derivation(evaluate.nix.physical(result.jobs[0].drv_path).read_bytes()).env
    assert variables["value"] == "<>"


async def test_import_from_derivation_needs_to_be_allowed(evaluate: Evaluator) -> None:
    expression = """{
      imports = make "x" { value = import (derivation { name = "v"; system = "x86_64-linux"; builder = "/bin/sh";
        args = [ "-c" "echo '\\"built\\"' > $out" ]; }); };
      good = make "good" { };
    }"""
    refused = await evaluate(expression)
    assert names(refused) == ["good"]
    assert "import-from-derivation" in errors(refused)["imports"]
    allowed = await evaluate(expression, allow_import_from_derivation=True, restrict=False)
    assert names(allowed) == ["good", "imports"]


async def test_megabytes_of_noise_neither_block_nor_fill_memory(evaluate: Evaluator) -> None:
    result = await evaluate(
        """{
          noisy = make "noisy" { value = toString (builtins.foldl' (n: i: builtins.trace (toString (builtins.genList (m: m) 2000)) n) 1
            (builtins.genList (i: i) 2000)); };
          fails = builtins.seq (builtins.foldl' (n: i: builtins.trace "much noise before the end ${toString i}" n) 1
            (builtins.genList (i: i) 50000)) (throw "the end");
        }"""
    )
    assert names(result) == ["noisy"]
    assert errors(result) == {"fails": "error: the end"}


async def test_an_expression_cannot_forge_answers(evaluate: Evaluator) -> None:
    forged = {
        "kind": "job",
        "path": ["forged"],
        "drvPath": "/nix/store/" + "a" * 32 + "-x.drv",
        "name": "x",
        "system": "x",
    }
    text = json.dumps(json.dumps(forged))
    assert names(
        await evaluate(f'builtins.trace {text} {{ real = builtins.trace {text} (make "real" {{ }}); }}')
    ) == ["real"]


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


async def test_cancelling_leaves_no_process_behind(evaluate: Evaluator) -> None:
    evaluate.write(release=f"let {SPIN} in {{ a = spin; }}")
    running = asyncio.create_task(evaluate())
    while not _evaluators(evaluate.nix):
        await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await _no_evaluator_is_left(evaluate.nix)


_EVALUATE_FOR_EVER = """
import asyncio, pathlib, sys
from fc.base.nix_cli import Nix
from fc.base.settings import NixSettings, Settings
from fc.evaluate.request import EvaluationRequest
from fc.evaluate.sharded import ShardedEvaluation
nix = Nix.discover(Settings(data_dir=pathlib.Path(sys.argv[1]), nix=NixSettings(store=sys.argv[2])))
asyncio.run(ShardedEvaluation(nix, EvaluationRequest(source=pathlib.Path(sys.argv[3]), revision="a" * 40, expression="release.nix")).run())
"""


async def test_a_killed_worker_takes_its_evaluators_along(evaluate: Evaluator, tmp_path: Path) -> None:
    evaluate.write(release=f"let {SPIN} in {{ a = spin; }}")
    worker = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _EVALUATE_FOR_EVER, str(tmp_path / "data"), str(evaluate.nix.store_root), str(evaluate.source)
    )  # fmt: skip
    while not _evaluators(evaluate.nix):
        await asyncio.sleep(0.01)
    worker.send_signal(signal.SIGKILL)
    await worker.wait()
    await _no_evaluator_is_left(evaluate.nix)


def _evaluators(nix: Nix) -> list[int]:
    """Processes that evaluate into the store of this test."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"nix-instantiate" in command and str(nix.store_root).encode() in command:
                found.append(int(entry.name))
    return found


async def _no_evaluator_is_left(nix: Nix) -> None:
    deadline = time.monotonic() + 20
    while _evaluators(nix):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
