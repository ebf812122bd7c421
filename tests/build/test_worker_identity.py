"""Which process holds a claim, and whether it lives."""

import os
import subprocess
import sys

from fc.build.worker_identity import is_dead, this_worker


def worker_of(pid: int, started: str = "1") -> str:
    """What a process of this machine with another number or start would have written."""
    machine = this_worker("x").rpartition(" ")[2].partition("/")[0]
    return f"host:{pid} {machine}/{pid}/{started}"


def test_this_process_lives() -> None:
    worker = this_worker("host:1")
    assert worker.startswith("host:1 ")
    assert not is_dead(worker)


def test_a_process_that_has_ended_is_dead() -> None:
    child = subprocess.run(
        [
            sys.executable,
            "-c",
            "from fc.build.worker_identity import this_worker; print(this_worker('child'))",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert is_dead(child.stdout.strip())


def test_a_process_that_only_waits_to_be_reaped_is_dead() -> None:
    with subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from fc.build.worker_identity import this_worker; print(this_worker('child'))",
        ],
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        worker = child.stdout.read().strip()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert is_dead(worker)


def test_another_process_under_the_same_number_is_not_it() -> None:
    assert is_dead(worker_of(os.getpid()))


def test_what_cannot_be_known_from_here_is_left_to_the_lease() -> None:
    assert not is_dead("other-host:7 0123-4567.4026531836/7/12345")
    assert not is_dead("host:7")
    assert not is_dead("")
    assert not is_dead("host:7 unknown/7/1")
    machine = worker_of(7).rpartition(" ")[2].partition("/")[0]
    assert not is_dead(f"host:x {machine}/x/1")
