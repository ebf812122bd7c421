"""Child processes: bounded in time and output, and gone when nobody wants them any more."""

import asyncio
import os
from pathlib import Path

import pytest

from fc.base.process import Finished, run_process
from tests.support.waiting import eventually

PATH = {"PATH": "/usr/bin:/bin"}


async def sh(script: str, **settings: object) -> Finished:
    chosen: dict[str, object] = {"environment": PATH, "timeout": 30} | settings
    return await run_process(["/bin/sh", "-c", script], **chosen)  # type: ignore[arg-type]  # named by each test


async def test_output_errors_and_status_are_told() -> None:
    result = await sh("cat; echo no >&2; exit 3", given=b"given")
    assert (result.status, result.output, result.errors) == (3, b"given", b"no\n")
    assert not result.timed_out
    assert not result.overflowed


async def test_nothing_is_inherited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FC_SECRET_X", "hidden")
    result = await sh("env; pwd", directory=tmp_path)
    assert b"hidden" not in result.output
    assert str(tmp_path).encode() in result.output


async def test_too_much_output_ends_the_child() -> None:
    result = await sh("while :; do echo too much; done", output_limit=1000)
    assert result.overflowed
    assert len(result.output) == 1000


async def test_only_the_end_of_the_errors_is_kept() -> None:
    result = await sh("i=0; while [ $i -lt 5000 ]; do echo line $i >&2; i=$((i+1)); done", errors_limit=100)
    assert len(result.errors) == 100
    assert result.errors.endswith(b"line 4999\n")


async def test_a_child_that_ends_without_reading_is_no_error() -> None:
    result = await sh("exit 0", given=b"x" * 1_000_000)
    assert result.status == 0


async def test_a_timeout_ends_the_whole_group(tmp_path: Path) -> None:
    result = await sh(f"sleep 1000 & echo $! > {tmp_path}/pid; wait", timeout=2)
    assert result.timed_out
    await _is_gone(tmp_path)


async def test_cancelling_ends_the_whole_group(tmp_path: Path) -> None:
    running = asyncio.create_task(sh(f"sleep 1000 & echo $! > {tmp_path}/pid; wait"))

    async def begun() -> bool:
        return (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().endswith("\n")

    await eventually(begun, "the child has begun")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await _is_gone(tmp_path)


async def _is_gone(tmp_path: Path) -> None:
    pid = int((tmp_path / "pid").read_text())

    async def gone() -> bool:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return True
        return state == "Z"

    await eventually(gone, "the grandchild is gone")


async def test_a_program_that_is_not_there_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        await run_process(["/absent/program"], environment=PATH, timeout=1)
