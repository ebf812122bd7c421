"""Claiming evaluations that others hold for a moment."""

import asyncio
import uuid

from fc.evaluate.claim import claim_evaluation
from tests.support.evaluating import Jobsets


async def test_an_evaluation_locked_by_another_transaction_is_claimed_when_that_ends(
    jobsets: Jobsets,
) -> None:
    """Reports are planned from the same notice as evaluations begin, and lock the same row."""
    _, jobset = await jobsets.add({"x": ""})
    evaluation = await jobsets.database.fetchval(
        "INSERT INTO evaluations (jobset_id, commit_hash, status) VALUES ($1, $2, 'pending') RETURNING id",
        jobset,
        uuid.uuid4().hex,
    )
    async with jobsets.database.transaction() as connection:
        await connection.execute("SELECT FROM evaluations WHERE id = $1 FOR UPDATE", evaluation)
        claiming = asyncio.create_task(claim_evaluation(jobsets.database, uuid.uuid4()))
        done, _ = await asyncio.wait({claiming}, timeout=0.1)
        assert not done
    claimed = await claiming
    assert claimed is not None
    assert claimed.claim.evaluation_id == evaluation


async def test_nothing_to_claim_is_said_at_once(jobsets: Jobsets) -> None:
    assert await claim_evaluation(jobsets.database, uuid.uuid4()) is None
