"""Which process holds a claim: named so exactly that its death is known at once on the same machine."""

import os
from pathlib import Path

_PROC = Path("/proc")
_UNKNOWN = "unknown"
_AFTER_NAME = 22 - 3
"""proc_pid_stat(5): the start time is field 22; the first after the command's name, which may hold anything, is 3."""


def this_worker(name: str) -> str:
    """What this process writes beside its claims.

    Args:
        name: for people, such as ``host:pid``.
    """
    pid = os.getpid()
    return f"{name} {_machine()}/{pid}/{_start_time(pid)}"


def is_dead(worker: str) -> bool:
    """Whether the process that wrote ``worker`` ran where this one runs, and has ended.

    False also when it cannot be known from here: then its lease decides.
    """
    machine, _, process = worker.rpartition(" ")[2].partition("/")
    pid, _, started = process.partition("/")
    if machine in {_UNKNOWN, ""} or machine != _machine() or not pid.isdecimal():
        return False
    now = _start_time(int(pid))
    return now != started if now is not None else not _exists(int(pid))


def _exists(pid: int) -> bool:
    """Whether there is such a process; /proc may be hidden from us (hidepid), a signal's answer is not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _machine() -> str:
    """This boot of this kernel, as seen from this process namespace; process numbers mean nothing outside of it."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot}.{(_PROC / 'self/ns/pid').stat().st_ino}"
    except OSError:
        return _UNKNOWN


def _start_time(pid: int) -> str | None:
    """When the process began, in ticks since the boot; empty: it only waits to be reaped; none: it cannot be seen."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    after_name = fields.rpartition(")")[2].split()
    return "" if after_name[0] in "ZX" else after_name[_AFTER_NAME]
