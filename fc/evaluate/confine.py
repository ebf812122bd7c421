"""Run as a script: takes limits upon itself, then becomes the program it is told to run.

A program of its own, because a limit set between fork and exec would run Python in a process that may hold any lock.
"""

import ctypes
import os
import resource
import signal
import sys

_PR_SET_PDEATHSIG = 1
_USAGE = 64


def main(arguments: list[str]) -> None:
    """``confine.py PARENT MEGABYTES PROGRAM ARGUMENT…``: MEGABYTES of address space, and death with PARENT."""
    if len(arguments) < 3:  # noqa: PLR2004 - parent, memory, program
        sys.exit(_USAGE)
    parent, megabytes = int(arguments[0]), int(arguments[1])
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # It died before we asked to be told.
        os.kill(os.getpid(), signal.SIGKILL)
    resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.execv(arguments[2], arguments[2:])  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
