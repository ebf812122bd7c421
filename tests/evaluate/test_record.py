"""Recording builds and their graph, alone and against everybody else."""

import asyncio
import random
import uuid
from collections.abc import Iterable, Mapping

import pytest

from fc.base.database import Database
from fc.base.errors import NixError
from fc.base.nix_cli import Nix
from fc.build.settle import Outcome, Output, settle
from fc.evaluate.graph import read_graph
from fc.evaluate.record import Claim, record_result
from fc.evaluate.record_graph import limits_of, read_known, record_graph
from fc.evaluate.request import EvaluationResult
from fc.nix.eval_job import EvalError, EvalJob
from fc.tables.graph_lock import lock_graph
from tests.support.drv_files import drv_path, job, store_path, write_derivations
from tests.support.evaluating import Jobsets


class Recorder:
    """Records made-up results."""

    def __init__(self, database: Database, nix: Nix, jobset: uuid.UUID) -> None:
        self.database = database
        self.nix = nix
        self.jobset = jobset

    async def claim(self) -> Claim:
        token = uuid.uuid4()
        evaluation = await self.database.fetchval(
            """INSERT INTO evaluations (jobset_id, commit_hash, status, claim_token) VALUES ($1, $2, 'running', $3)
            RETURNING id""",
            self.jobset, uuid.uuid4().hex, token,
        )  # fmt: skip
        return Claim(evaluation, token)

    async def record(self, jobs: Iterable[EvalJob], errors: Iterable[EvalError] = ()) -> uuid.UUID:
        claim = await self.claim()
        result = EvaluationResult(jobs=list(jobs), errors=list(errors))
        assert await record_result(self.database, self.nix, claim, result)
        return claim.evaluation_id

    async def derivations(self) -> dict[str, tuple[str, int]]:
        rows = await self.database.fetch("SELECT name, status, missing_inputs FROM derivations")
        return {row["name"]: (row["status"], row["missing_inputs"]) for row in rows}

    async def finish(self, name: str, status: str = "built") -> None:
        derivation = await self.database.fetchval("SELECT id FROM derivations WHERE name = $1", name)
        outputs = (Output(name="out", path=store_path(name)),) if status == "built" else ()
        assert await settle(self.database, derivation, Outcome(status=status, outputs=outputs))


@pytest.fixture
async def recorder(database: Database, nix: Nix, jobsets: Jobsets) -> Recorder:
    _, jobset = await jobsets.add({"x": ""})
    return Recorder(database, nix, jobset)


async def _dependencies(recorder: Recorder, evaluation: uuid.UUID) -> set[tuple[str, str]]:
    rows = await recorder.database.fetch(
        """SELECT a.job_name AS waiting, b.job_name AS needed FROM build_dependencies d
        JOIN builds a ON a.id = d.build_id JOIN builds b ON b.id = d.dependency_build_id WHERE a.evaluation_id = $1""",
        evaluation,
    )
    return {(row["waiting"], row["needed"]) for row in rows}


GRAPH = {
    "app": ["lib", "tool"],
    "lib": ["middle"],
    "middle": ["base"],
    "tool": [],
    "base": [],
    "app2": ["app"],
}


async def test_the_whole_graph_below_the_jobs_is_recorded(recorder: Recorder) -> None:
    write_derivations(recorder.nix, GRAPH, requiredSystemFeatures="kvm big", preferLocalBuild="1")
    evaluation = await recorder.record([job("app2"), job("lib"), job("base"), job("base", "base-again")])
    assert await recorder.derivations() == {
        "app2": ("pending", 1), "app": ("pending", 2), "lib": ("pending", 1), "middle": ("pending", 1),
        "tool": ("ready", 0), "base": ("ready", 0),
    }  # fmt: skip
    assert await _dependencies(recorder, evaluation) == {
        ("app2", "lib"), ("lib", "base"), ("lib", "base-again"),
    }  # fmt: skip
    rows = await recorder.database.fetch(
        "SELECT required_features, prefer_local, fixed_output FROM derivations"
    )
    assert {(*row["required_features"], row["prefer_local"], row["fixed_output"]) for row in rows} == {
        ("big", "kvm", True, False)
    }
    lengths = await recorder.database.fetch("SELECT name FROM derivations ORDER BY path_length DESC, name")
    assert [row["name"] for row in lengths] == ["base", "middle", "lib", "tool", "app", "app2"]


async def test_what_is_known_is_neither_read_nor_inserted_again(recorder: Recorder) -> None:
    write_derivations(recorder.nix, GRAPH)
    await recorder.record([job("app")])
    for name in ("lib", "middle", "base", "tool"):
        recorder.nix.physical(drv_path(name)).unlink()
    before = await recorder.database.fetchval("SELECT max(created_at) FROM derivations")
    evaluation = await recorder.record([job("app2"), job("middle")])
    assert await _dependencies(recorder, evaluation) == {("app2", "middle")}
    newer = await recorder.database.fetch("SELECT name FROM derivations WHERE created_at > $1", before)
    assert [row["name"] for row in newer] == ["app2"]


async def test_a_longer_chain_above_makes_what_is_below_more_urgent(recorder: Recorder) -> None:
    write_derivations(recorder.nix, GRAPH)
    await recorder.record([job("lib")])
    before = await recorder.database.fetchval("SELECT path_length FROM derivations WHERE name = 'base'")
    await recorder.record([job("app2")])
    after = await recorder.database.fetchval("SELECT path_length FROM derivations WHERE name = 'base'")
    assert after > before
    await recorder.record([job("lib")])
    assert (
        await recorder.database.fetchval("SELECT path_length FROM derivations WHERE name = 'base'") == after
    )


async def test_earlier_durations_weigh(recorder: Recorder) -> None:
    write_derivations(recorder.nix, {"slow": [], "top": ["slow"]})
    await recorder.database.execute(
        """INSERT INTO derivations (drv_path, name, system, status, started_at, completed_at)
        VALUES ('/nix/store/old', 'slow', 'x', 'built', now() - interval '500 seconds', now())"""
    )
    await recorder.record([job("top")])
    assert (
        await recorder.database.fetchval("SELECT path_length FROM derivations WHERE status = 'ready'") == 510
    )


async def test_inputs_that_are_built_do_not_count(recorder: Recorder) -> None:
    write_derivations(recorder.nix, GRAPH)
    await recorder.record([job("base"), job("tool")])
    await recorder.finish("base")
    await recorder.finish("tool", "failed")
    await recorder.record([job("app")])
    found = await recorder.derivations()
    assert (found["middle"], found["app"], found["lib"]) == (("ready", 0), ("pending", 2), ("pending", 1))


async def test_the_limits_of_a_job_are_those_of_its_derivation(recorder: Recorder) -> None:
    write_derivations(recorder.nix, {"a": []})
    await recorder.record(
        [job("a", meta={"timeout": 60}), job("a", "b", meta={"timeout": 90, "maxSilent": 5})]
    )
    row = await recorder.database.fetchrow("SELECT timeout, max_silent FROM derivations")
    assert row is not None
    assert tuple(row) == (90, 5)
    await recorder.record([job("a")])
    row = await recorder.database.fetchrow("SELECT timeout, max_silent FROM derivations")
    assert row is not None
    assert tuple(row) == (None, None)


async def test_a_derivation_that_cannot_be_read_spoils_only_the_jobs_that_need_it(recorder: Recorder) -> None:
    write_derivations(recorder.nix, {"good": [], "top": ["middle", "good"], "middle": ["bad"]})
    recorder.nix.physical(drv_path("bad")).write_bytes(b'DrvWithVersion("xp-dyn-drv",[])')
    evaluation = await recorder.record([job("good"), job("top"), job("bad")], [_error("other", "why")])
    assert set(await recorder.derivations()) == {"good"}
    errors = await recorder.database.fetch(
        "SELECT job_name, message FROM evaluation_errors ORDER BY job_name"
    )
    assert [row["job_name"] for row in errors] == ["bad", "other", "top"]
    assert "not a valid derivation" in errors[2]["message"]
    assert (
        await recorder.database.fetchval("SELECT count(*) FROM builds WHERE evaluation_id = $1", evaluation)
        == 1
    )


def _error(name: str, message: str) -> EvalError:
    return EvalError(attr=name, attr_path=(name,), error=message)


async def test_a_derivation_that_is_gone_is_no_failure_of_the_expression(recorder: Recorder) -> None:
    write_derivations(recorder.nix, {"top": ["gone"]})
    with pytest.raises(NixError, match="not in the store"):
        await recorder.record([job("top")])
    assert await recorder.derivations() == {}


async def test_nothing_too_long_or_unprintable_stops_the_rest(recorder: Recorder) -> None:
    write_derivations(recorder.nix, {"a": []}, system="s" * 500, requiredSystemFeatures="k\udcffvm x\x1fy")
    name = "n" * 300
    meta = {"description": "\ud800\0", "license": ["\udcff"], "unknown": "x" * 1000}
    del meta["description"], meta["license"]
    await recorder.record([job("a", name), job("a", meta=meta)], [_error("e\n\t", "nul \0 and \udcff")])
    errors = await recorder.database.fetch(
        "SELECT job_name, message FROM evaluation_errors ORDER BY job_name"
    )
    assert [(row["job_name"], row["message"]) for row in errors] == [
        ("e\n\t", "nul  and ?"),
        (name, "the name of this job has more than 255 characters"),
    ]
    row = await recorder.database.fetchrow("SELECT system, required_features FROM derivations")
    assert row is not None
    assert row["system"] == "s" * 50
    assert "k?vm" in row["required_features"]
    assert await recorder.database.fetchval("SELECT meta FROM builds") == {}


async def test_an_aggregate_waits_for_its_constituents(recorder: Recorder) -> None:
    write_derivations(
        recorder.nix, {"all": ["a"], "a": [], "b-1": [], "b-2": [], "not-a-job": [], "glob": []}
    )
    evaluation = await recorder.record(
        [
            job("a"), job("b-1"), job("b-2"),
            job("all", constituents=(drv_path("a"), drv_path("not-a-job")), named_constituents=("b-1",)),
            job("glob", "globbed", named_constituents=("b-*",), glob_constituents=True),
            job("glob", "broken", named_constituents=("a", "absent")),
        ]
    )  # fmt: skip
    rows = await recorder.database.fetch(
        "SELECT job_name, constituents FROM builds WHERE is_aggregate ORDER BY 1"
    )
    assert [tuple(row) for row in rows] == [("all", ["a", "b-1"]), ("globbed", ["b-1", "b-2"])]
    assert {("all", "a"), ("all", "b-1"), ("globbed", "b-1"), ("globbed", "b-2")} <= await _dependencies(
        recorder, evaluation
    )
    error = await recorder.database.fetchrow("SELECT job_name, message FROM evaluation_errors")
    assert error is not None
    assert tuple(error) == ("broken", "constituents of this aggregate are no jobs: absent")


async def test_a_failure_keeps_the_errors_and_makes_no_builds(recorder: Recorder) -> None:
    for timed_out, status in ((False, "failed"), (True, "timed_out")):
        claim = await recorder.claim()
        result = EvaluationResult(failure="no \0 good", errors=[_error("a", "x")], timed_out=timed_out)
        assert await record_result(recorder.database, recorder.nix, claim, result)
        row = await recorder.database.fetchrow("SELECT * FROM evaluations WHERE id = $1", claim.evaluation_id)
        assert row is not None
        assert (row["status"], row["error_message"]) == (status, "no  good")
    assert await recorder.database.fetchval("SELECT count(*) FROM evaluation_errors") == 2


async def test_jobs_found_before_a_failure_are_kept_with_it(recorder: Recorder) -> None:
    write_derivations(recorder.nix, {"a": []})
    claim = await recorder.claim()
    result = EvaluationResult(jobs=[job("a")], failure="died half-way")
    assert await record_result(recorder.database, recorder.nix, claim, result)
    assert await recorder.database.fetchval("SELECT status FROM evaluations") == "completed"
    error = await recorder.database.fetchrow("SELECT job_name, message FROM evaluation_errors")
    assert error is not None
    assert tuple(error) == ("", "died half-way")


async def test_recording_stopped_half_way_is_completed_by_the_next(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fc.evaluate.record_graph.CHUNK", 2)
    write_derivations(recorder.nix, GRAPH)
    async with recorder.database.transaction() as blocking:
        await lock_graph(blocking)
        recording = asyncio.create_task(recorder.record([job("app2")]))
        await asyncio.sleep(0)
    recording.cancel()
    await asyncio.gather(recording, return_exceptions=True)
    await recorder.record([job("app2")])
    assert len(await recorder.derivations()) == 6
    await _counts_are_exact(recorder)


async def _counts_are_exact(recorder: Recorder) -> None:
    wrong = await recorder.database.fetch(
        """SELECT d.name, d.status, d.missing_inputs, c.missing FROM derivations d CROSS JOIN LATERAL (
            SELECT count(*) AS missing FROM derivation_inputs i JOIN derivations x ON x.id = i.input_id
            WHERE i.derivation_id = d.id AND x.status NOT IN ('built', 'failed_with_output')
        ) c WHERE d.status IN ('pending', 'ready') AND (d.missing_inputs <> c.missing OR (d.status = 'ready') <> (c.missing = 0))"""
    )
    assert [tuple(row) for row in wrong] == []


async def test_builds_that_end_while_dependents_are_recorded_are_never_miscounted(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fc.evaluate.record_graph.CHUNK", 5)
    chance = random.Random(7)
    leaves = [f"leaf-{number}" for number in range(30)]
    write_derivations(recorder.nix, {name: [] for name in leaves})
    await recorder.record([job(name) for name in leaves])
    tops: Mapping[str, list[str]] = {f"top-{number}": chance.sample(leaves, 6) for number in range(60)}
    write_derivations(recorder.nix, tops)
    rounds = [[job(name) for name in list(tops)[start::3]] for start in range(3)]

    async def end_all() -> None:
        for name in chance.sample(leaves, len(leaves)):
            await recorder.finish(name)

    await asyncio.gather(end_all(), *(recorder.record(jobs) for jobs in rounds))
    await _counts_are_exact(recorder)
    found = await recorder.derivations()
    assert all(found[name] == ("ready", 0) for name in tops)


async def test_evaluations_recorded_at_once_share_one_graph(
    recorder: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fc.evaluate.record_graph.CHUNK", 7)
    graph = {f"n{number}": [f"n{one}" for one in range(max(0, number - 3), number)] for number in range(60)}
    write_derivations(recorder.nix, graph)
    made = await asyncio.gather(
        *(recorder.record([job("n59"), job(f"n{number}")]) for number in (58, 40, 30, 20))
    )
    assert len(await recorder.derivations()) == 60
    assert await recorder.database.fetchval("SELECT count(*) FROM derivation_inputs") == sum(
        map(len, graph.values())
    )
    assert await recorder.database.fetchval("SELECT count(*) FROM builds") == 8
    assert len(set(made)) == 4
    await _counts_are_exact(recorder)


async def test_ten_thousand_derivations_are_recorded(recorder: Recorder) -> None:
    graph = {
        f"n{number}": [f"n{one}" for one in {number // 2, number // 3} if one != number]
        for number in range(10_000)
    }
    write_derivations(recorder.nix, graph)
    jobs = [job(name) for name in graph]
    read = await read_graph(recorder.nix, recorder.database, [one.drv_path for one in jobs])
    known = await read_known(recorder.database, read.known)
    await record_graph(recorder.database, read, known, limits_of(jobs))
    evaluation = await recorder.record(jobs)
    count = "SELECT count(*) FROM builds WHERE evaluation_id = $1 AND derivation_id IS NOT NULL"
    assert await recorder.database.fetchval(count, evaluation) == 10_000
    await recorder.database.execute("ANALYZE")
    assert len(await _dependencies(recorder, evaluation)) == sum(map(len, graph.values()))
    await _counts_are_exact(recorder)
