"""What pages and API read about evaluations."""

import uuid

import pytest

from fc.base.database import Database
from fc.tables.evaluation_queries import (
    BuildCounts,
    evaluation_errors,
    find_evaluation,
    find_jobset,
    project_jobsets,
    recent_evaluations,
)


@pytest.fixture
async def jobset(database: Database) -> uuid.UUID:
    project = await database.fetchval(
        "INSERT INTO projects (name, repository_url) VALUES ('hello', 'https://example.org/hello') RETURNING id"
    )
    found = await database.fetchval(
        "INSERT INTO jobsets (project_id, name, nix_expression) VALUES ($1, 'main', 'release.nix') RETURNING id",
        project,
    )
    assert isinstance(found, uuid.UUID)
    return found


async def _evaluation(
    database: Database, jobset: uuid.UUID, number: int, status: str = "completed"
) -> uuid.UUID:
    made = await database.fetchval(
        """INSERT INTO evaluations (jobset_id, commit_hash, status, evaluation_time, inputs)
        VALUES ($1, $2, $3, now() + make_interval(secs => $4), '{"x": {"type": "string", "value": "1"}}') RETURNING id""",
        jobset,
        f"{number:040x}",
        status,
        number,
    )
    assert isinstance(made, uuid.UUID)
    return made


async def test_evaluations_are_listed_newest_first_page_by_page(
    database: Database, jobset: uuid.UUID
) -> None:
    made = [await _evaluation(database, jobset, number) for number in range(5)]
    first = await recent_evaluations(database, jobset=jobset, limit=2)
    assert [row.id for row in first] == made[:2:-1]
    second = await recent_evaluations(database, jobset=jobset, before=first[-1].id, limit=2)
    assert [row.id for row in second] == [made[2], made[1]]
    assert [row.id for row in await recent_evaluations(database)] == made[::-1]
    assert await recent_evaluations(database, jobset=uuid.uuid4()) == []


async def test_every_final_status_but_success_counts_as_failed(database: Database, jobset: uuid.UUID) -> None:
    evaluation = await _evaluation(database, jobset, 1)
    for status in ("pending", "running", "succeeded", "failed", "cached_failure", "dependency_failed"):
        await database.execute(
            "INSERT INTO builds (evaluation_id, job_name, drv_path, status) VALUES ($1, 'job ' || $2::text, '/nix/store/x', $2::text)",
            evaluation,
            status,
        )
    (row,) = await recent_evaluations(database)
    assert row.builds == BuildCounts(total=6, pending=1, running=1, succeeded=1, failed=3)
    assert row.builds.unfinished == 2


async def test_an_evaluation_knows_the_completed_one_before_it(database: Database, jobset: uuid.UUID) -> None:
    old = await _evaluation(database, jobset, 1)
    await _evaluation(database, jobset, 2, "failed")
    new = await _evaluation(database, jobset, 3)
    detail = await find_evaluation(database, new)
    assert detail is not None
    assert detail.previous_id == old
    assert detail.inputs == {"x": {"type": "string", "value": "1"}}
    assert (detail.evaluation.project, detail.evaluation.jobset) == ("hello", "main")
    first = await find_evaluation(database, old)
    assert first is not None
    assert first.previous_id is None
    assert await find_evaluation(database, uuid.uuid4()) is None


async def test_errors_are_listed_by_job_page_by_page(database: Database, jobset: uuid.UUID) -> None:
    evaluation = await _evaluation(database, jobset, 1)
    for job in ("b", "a", "c"):
        await database.execute(
            "INSERT INTO evaluation_errors (evaluation_id, job_name, message) VALUES ($1, $2, 'broken')",
            evaluation,
            job,
        )
    assert [row.job for row in await evaluation_errors(database, evaluation)] == ["a", "b", "c"]
    assert [row.job for row in await evaluation_errors(database, evaluation, after="a", limit=1)] == ["b"]
    (row,) = await recent_evaluations(database)
    assert row.errors == 3


async def test_a_jobset_of_a_disabled_project_is_not_enabled(database: Database, jobset: uuid.UUID) -> None:
    found = await find_jobset(database, "hello", "main")
    assert found is not None
    assert found.id == jobset
    assert found.enabled
    await database.execute("UPDATE projects SET enabled = false")
    (state,) = await project_jobsets(database, "hello")
    assert not state.enabled
    assert await find_jobset(database, "hello", "other") is None
