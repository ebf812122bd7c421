"""The service at rest: time from start to the first 200 of /health, memory and CPU when idle.

Prints one line of JSON. Start is also given as a ratio to starting a Python that only imports the web framework and
the database driver, measured in the same run, because machines differ and are shared.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support.service import RunningService, children

_STARTS = 5
_IDLE_SECONDS = 20.0
_TICKS = os.sysconf("SC_CLK_TCK")


def _own(service: RunningService) -> list[int]:
    """FC's own processes: the supervisor and its Python children, not PostgreSQL's."""
    assert service.process is not None
    below = children(service.process.pid)
    return [
        service.process.pid,
        *(pid for pid, line in below.items() if "python" in line and "postgres -D" not in line),
    ]


def _pss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _bare_start() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import litestar, asyncpg"], check=True)
    return time.perf_counter() - began


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="fc-bench-") as made:
        service = RunningService(Path(made))
        service.start().stop()
        starts, bare = [], []
        for _ in range(_STARTS):
            bare.append(_bare_start())
            began = time.perf_counter()
            service.start()
            starts.append(time.perf_counter() - began)
            service.stop()
        service.start()
        time.sleep(5)
        own = _own(service)
        before = sum(map(_cpu_seconds, own))
        began = time.perf_counter()
        time.sleep(_IDLE_SECONDS)
        cpu = (sum(map(_cpu_seconds, own)) - before) / (time.perf_counter() - began)
        memory = {pid: _pss_mb(pid) for pid in own}
        service.stop()
    start = statistics.median(starts)
    result = {
        "benchmark": "service",
        "start_to_health_seconds": round(start, 2),
        "start_ratio_to_bare_imports": round(start / statistics.median(bare), 2),
        "idle_pss_mb": round(sum(memory.values())),
        "processes": len(own),
        "idle_cpu_percent_of_a_core": round(100 * cpu, 2),
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
