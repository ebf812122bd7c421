"""``fcctl demo`` from start to end, and with the background process killed in the middle."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import asyncpg

from fc.base.embedded import EmbeddedPostgres
from fc.cli.demo.expectations import SECOND_PUSH
from tests.support.service import children, clean_environment, until, until_gone

_STEPS = """
SELECT s.drv_path, count(*) FILTER (WHERE s.status = 'succeeded') AS succeeded
FROM (SELECT DISTINCT d.drv_path, t.status, t.started_at FROM build_steps t JOIN derivations d ON d.id = t.derivation_id) s
GROUP BY 1
"""


def _demo(directory: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "fc", "demo", "--directory", str(directory), "--exit-when-done"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=clean_environment(COLUMNS="140"),
        start_new_session=True,
    )


def _results(output: str) -> dict[str, str]:
    """``project/jobset/job`` to result, from the table the demo prints."""
    rows = re.findall(r"^(\w+) +(\w+) +([\w-]+) +[✓✗] (\w+(?: \w+)?) +as expected", output, re.MULTILINE)
    return {f"{project}/{jobset}/{job}": result.replace(" ", "_") for project, jobset, job, result in rows}


async def _times_built(directory: Path) -> dict[str, int]:
    """How often each derivation was built to its end."""
    postgres = EmbeddedPostgres(directory / "data" / "postgres")
    connection = await asyncpg.connect(postgres.start())
    try:
        return {row["drv_path"]: row["succeeded"] for row in await connection.fetch(_STEPS)}
    finally:
        await connection.close()
        postgres.stop()


def test_everything_ends_as_expected(tmp_path: Path) -> None:
    demo = _demo(tmp_path / "demo")
    output, _ = demo.communicate(timeout=300)
    assert demo.returncode == 0, output + (tmp_path / "demo" / "fc.log").read_text(errors="replace")[-5000:]
    assert _results(output) == SECOND_PUSH, output
    log = (tmp_path / "demo" / "fc.log").read_text(errors="replace")
    assert "Traceback" not in log, log


def test_a_killed_background_process_changes_nothing_in_the_end(tmp_path: Path) -> None:
    directory = tmp_path / "demo"
    demo = _demo(directory)
    killed = 0
    # Twice, at different moments: while the first builds run, and again some builds later.
    for pause in (0.5, 2.0):
        until(lambda: _worker(demo.pid) is not None and _builds_run(demo.pid), "builds run")
        time.sleep(pause)
        worker = _worker(demo.pid)
        if worker is not None and demo.poll() is None:
            os.kill(worker, signal.SIGKILL)
            killed += 1
            until_gone(worker, "the killed process")
            until(lambda: _worker(demo.pid) is not None, "it is started again")
    output, _ = demo.communicate(timeout=300)
    assert killed == 2
    assert demo.returncode == 0, output + (directory / "fc.log").read_text(errors="replace")[-5000:]
    assert _results(output) == SECOND_PUSH, output
    assert set(asyncio.run(_times_built(directory)).values()) <= {0, 1}


def test_a_directory_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    demo = _demo(tmp_path)
    output, _ = demo.communicate(timeout=60)
    assert demo.returncode == 1
    assert "no demo made it" in output
    assert (tmp_path / "precious").read_text() == "kept"


def _worker(root: int) -> int | None:
    found = [pid for pid, line in children(root).items() if "-m fc work" in line]
    return found[0] if found else None


def _builds_run(root: int) -> bool:
    """Whether a build's own process, the sandbox's shell, runs below the demo."""
    return any("sh -e -c" in line and "echo" in line for line in children(root).values())
