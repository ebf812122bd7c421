"""Whatever happens in whatever order, the forge ends up showing what is true."""

import asyncio
import random
import uuid

from fc.base.database import Database
from fc.base.looping import Services
from fc.report.loop import Planning, Sending
from fc.report.plan import BuildFacts
from tests.report.rows import COMMIT, TOKEN, Rows
from tests.report.sending import turns
from tests.support.forge import Fault, FaultyForge

JOBS = 12
ROUNDS = 150


async def _live(rows: Rows, evaluation: uuid.UUID, forge: FaultyForge) -> None:
    """Builds end and begin again, and the forge fails every other time."""
    choose = random.Random(7)
    for _ in range(ROUNDS):
        status = choose.choice(["pending", "succeeded", "failed", "dependency_failed", "cancelled"])
        await rows.settle(evaluation, f"job-{choose.randint(1, JOBS)}", status)
        if choose.random() < 0.5:
            forge.next_faults.append(
                choose.choice([Fault(code=500), Fault(code=409), Fault(code=200, body=b"")])
            )
        # Waits are skipped, and no task uses up its tries.
        await rows.database.execute(
            "UPDATE notification_tasks SET next_retry_at = now(), attempts = 0 WHERE status = 'pending'"
        )


async def test_a_forge_with_bad_days_and_racing_processes_end_with_the_truth(
    services: Services, rows: Rows, forge: FaultyForge, database_url: str
) -> None:
    jobset = await rows.jobset()
    await rows.notification("github_status", {"repository": "tools/hello", "token": TOKEN})
    evaluation = await rows.evaluation(jobset)
    await rows.builds(evaluation, JOBS)
    pools = [await Database.connect(database_url, size=3) for _ in range(2)]
    everyone = [
        Services(services.settings, pool, services.secrets, services.nix, f"test:{number}")
        for number, pool in enumerate(pools)
    ]
    loops = [kind(each) for each in everyone for kind in (Planning, Sending)]
    stop = asyncio.Event()

    async def run(loop: Planning | Sending) -> None:
        while not stop.is_set():
            await loop.turn()
            await asyncio.sleep(0)

    running = [asyncio.create_task(run(loop)) for loop in loops]
    try:
        await asyncio.wait_for(_live(rows, evaluation, forge), 120)
    finally:
        stop.set()
        await asyncio.gather(*running)
    forge.next_faults.clear()
    for _ in range(3):
        await rows.database.execute(
            "UPDATE notification_tasks SET next_retry_at = now(), attempts = 0 WHERE status = 'pending'"
        )
        for loop in loops:
            await asyncio.wait_for(turns(loop), 60)
    for loop in loops:
        await loop.drain()
    for pool in pools:
        await pool.close()
    truth = {
        f"fc/hello/main/{row['job_name']}": {"cancelled": "error"}.get(
            state := BuildFacts(row["id"], row["job_name"], row["status"]).state, state
        )
        for row in await rows.database.fetch("SELECT id, job_name, status FROM builds")
    }
    shown = {context: status.state for context, status in forge.statuses["tools/hello", COMMIT].items()}
    shown.pop("fc/hello/main")
    assert shown == truth
    assert {task["status"] for task in await rows.tasks()} == {"completed"}
