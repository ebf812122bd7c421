"""What an expression cannot do: read, forge, flood, hang, outlive."""

import asyncio
import json
import signal
import sys
import time
from pathlib import Path

import pytest

from fc.base.errors import NixError
from fc.base.nix_cli import Nix
from fc.nix.derivation import parse_derivation
from tests.support.evaluating import SPIN
from tests.support.expressions import Evaluator, errors, names


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


async def test_what_is_wrong_with_the_machine_is_not_blamed_on_a_job(evaluate: Evaluator) -> None:
    # Said here by the expression, since a disk cannot be filled in a test; the words are the kernel's.
    with pytest.raises(NixError, match="No space left"):
        await evaluate('{ a = make "a" { }; b = abort "writing: No space left on device"; }')
