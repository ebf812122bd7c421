"""Deaths and rivals: an evaluation is never lost, never recorded twice, and never blocked for long."""

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from fc.base.database import Database
from fc.base.looping import Services
from fc.evaluate.claim import Claimed, claim_evaluation
from fc.evaluate.local_claims import PREFIX_LENGTH, LocalClaims
from fc.evaluate.record import record_failure, record_result
from fc.evaluate.request import EvaluationRequest
from fc.evaluate.sharded import ShardedEvaluation
from tests.support.evaluating import Jobsets, evaluating, release
from tests.support.waiting import eventually

SLOW = release(
    """builtins.listToAttrs (map (n: { name = "job-${toString n}"; value =
       make "job-${toString n}" { slow = toString gentle; }; }) (builtins.genList (n: n) 5)) // { bad = throw "bad"; }"""
)

_WORKER = """
import asyncio, sys
from pathlib import Path
import pytest

from fc.base.database import Database
from fc.base.looping import Services
from fc.base.nix_cli import Nix
from fc.base.secrets import Secrets
from fc.base.settings import EvaluateSettings, NixSettings, Settings
from tests.support.evaluating import evaluating

async def main(url, data, store):
    settings = Settings(data_dir=Path(data), nix=NixSettings(store=store, options={"substituters": ""}),
                        evaluate=EvaluateSettings(workers=1))
    database = await Database.connect(url)
    async with evaluating(Services(settings=settings, database=database, secrets=Secrets(None), nix=Nix.discover(settings), worker="w")):
        await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


@asynccontextmanager
async def worker(services: Services) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that evaluates; killed at the end."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _WORKER, services.database.url, str(services.settings.data_dir),
        str(services.nix.store_root), cwd=Path(__file__).parents[2], stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _running(jobsets: Jobsets, jobset: uuid.UUID) -> None:
    async def running() -> bool:
        return [row["status"] for row in await jobsets.evaluations(jobset)] == ["running"]

    await eventually(running, "the evaluation runs")


async def test_a_killed_process_is_replaced_at_once_and_nothing_is_recorded_twice(
    services: Services, jobsets: Jobsets
) -> None:
    _, jobset = await jobsets.add({"release.nix": SLOW})
    async with worker(services) as process:
        await _running(jobsets, jobset)
        process.kill()
        await process.wait()
        (interrupted,) = await jobsets.evaluations(jobset)
        assert interrupted["status"] == "running"
    async with evaluating(services):
        # The lease would hold for a minute; the lock that the kernel has let go of says more.
        (evaluation,) = await jobsets.settled(jobset, within=30)
    assert (evaluation["status"], evaluation["attempts"]) == ("completed", 2)
    assert len(await jobsets.builds(evaluation["id"])) == 5
    assert set(await jobsets.errors(evaluation["id"])) == {"bad"}
    assert not LocalClaims(services.settings.data_dir / "claims" / "evaluate").abandoned()


async def test_a_killed_process_in_the_middle_of_recording_leaves_nothing_half_done(
    services: Services, jobsets: Jobsets
) -> None:
    for number in range(4):
        _, jobset = await jobsets.add(
            {"release.nix": release('{ a = make "a" { }; b = make "b" { }; }')}, f"p{number}"
        )
        async with worker(services) as process:

            async def begun(jobset: uuid.UUID = jobset) -> bool:
                return bool(await jobsets.evaluations(jobset))

            await eventually(begun, "the evaluation is recorded")
            # Not waiting for anything: the moment of death is another one each time.
            await asyncio.sleep(number * 0.07)
            process.kill()
            await process.wait()
        # An evaluation that met more than one of these deaths is not given up for it.
        await jobsets.database.execute("UPDATE evaluations SET attempts = 0")
    async with evaluating(services):
        for row in await jobsets.database.fetch("SELECT id FROM jobsets"):
            (evaluation,) = await jobsets.settled(row["id"])
            assert evaluation["status"] == "completed", (evaluation["error_message"], evaluation["attempts"])
            assert set(await jobsets.builds(evaluation["id"])) == {"a", "b"}


async def test_two_processes_share_the_work_without_doing_any_twice(
    services: Services, jobsets: Jobsets
) -> None:
    made = [await jobsets.add({"release.nix": SLOW}, f"project-{number}") for number in range(4)]
    async with worker(services), worker(services):
        for _, jobset in made:
            (evaluation,) = await jobsets.settled(jobset)
            assert (evaluation["status"], evaluation["attempts"]) == ("completed", 1)
            assert len(await jobsets.builds(evaluation["id"])) == 5


async def _claimed(jobsets: Jobsets, jobset: uuid.UUID) -> Claimed:
    await jobsets.database.execute(
        "INSERT INTO evaluations (jobset_id, commit_hash, status) VALUES ($1, $2, 'pending')",
        jobset,
        uuid.uuid4().hex,
    )
    claimed = await claim_evaluation(jobsets.database, uuid.uuid4())
    assert claimed is not None
    return claimed


async def test_a_late_result_changes_nothing(services: Services, jobsets: Jobsets, tmp_path: Path) -> None:
    _, jobset = await jobsets.add({"x": ""})
    late = await _claimed(jobsets, jobset)
    await jobsets.database.execute("UPDATE evaluations SET lease_until = now() - interval '1 second'")
    new = await claim_evaluation(jobsets.database, uuid.uuid4())
    assert new is not None
    (tmp_path / "release.nix").write_text(release('{ a = make "a" { }; }'))
    request = EvaluationRequest(source=tmp_path, revision="a" * 40, expression="release.nix")
    result = await ShardedEvaluation(services.nix, request).run()
    assert not await record_result(jobsets.database, services.nix, late.claim, result)
    assert not await record_failure(jobsets.database, late.claim, "too late")
    assert await jobsets.database.fetchval("SELECT count(*) FROM builds") == 0
    assert await record_result(jobsets.database, services.nix, new.claim, result)
    assert not await record_result(jobsets.database, services.nix, new.claim, result)
    assert await jobsets.database.fetchval("SELECT count(*) FROM builds") == 1


async def test_a_lost_claim_ends_its_work(
    services: Services, jobsets: Jobsets, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fc.evaluate.loop.HeldEvaluation.renew_seconds", 0.05)
    _, jobset = await jobsets.add({"release.nix": release("{ a = spin; }")})
    async with evaluating(services) as (_, evaluate):
        await _running(jobsets, jobset)
        (work,) = evaluate._tasks  # type: ignore[attr-defined]  # only an EvaluateLoop has them
        await database.execute(
            "UPDATE evaluations SET claim_token = gen_random_uuid(), lease_until = now() + interval '1 hour'"
        )
        await asyncio.wait_for(asyncio.shield(asyncio.gather(work, return_exceptions=True)), 60)
    (evaluation,) = await jobsets.evaluations(jobset)
    assert (evaluation["status"], evaluation["attempts"]) == ("running", 1)


def test_only_claims_of_dead_processes_are_abandoned(tmp_path: Path) -> None:
    mine, other = (LocalClaims(tmp_path / "claims") for _ in range(2))
    assert mine.abandoned() == []
    token = mine.new_token()
    assert str(mine.new_token())[:PREFIX_LENGTH] == str(token)[:PREFIX_LENGTH]
    assert token != mine.new_token()
    assert (mine.abandoned(), other.abandoned()) == ([], [])
    dead = str(uuid.uuid4())[:PREFIX_LENGTH]
    (tmp_path / "claims" / dead).write_text("")
    (tmp_path / "claims" / "something else").write_text("")
    assert mine.abandoned() == other.abandoned() == [dead]
    other.forget(dead)
    other.forget(dead)
    mine.close()
    mine.close()
    other.close()
    assert [path.name for path in (tmp_path / "claims").iterdir()] == ["something else"]
