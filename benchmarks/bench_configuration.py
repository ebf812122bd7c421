"""The configuration engine at size: first load, plan and apply; one line changed; nothing changed; growth.

Prints one line of JSON for 10,000 resources and one for growth. Times are also given as ratios to plain tools in the
same run, because machines differ and are shared: loading to libyaml's bare events over the same texts, applying to
COPY of as many rows. Each size is measured in a process of its own, so that peak memory is its own.
"""

import asyncio
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import asyncpg
from ruamel.yaml.cyaml import CParser  # type: ignore[attr-defined]  # a compiled class, re-exported without a type
from ruamel.yaml.events import StreamEndEvent
from typing_extensions import override

from fc.base.database import Database
from fc.base.durations import Duration
from fc.base.embedded import EmbeddedPostgres
from fc.base.git import GitMirror
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.base.source_settings import ConfigurationSettings
from fc.config import sources
from fc.config.apply import apply, make_plan
from fc.config.compile import compile_fragments
from fc.config.drift_log import look
from fc.config.inventory import Origin
from fc.config.load import Loader
from fc.config.sealing import seal
from fc.config.sources import SOURCE
from fc.config.sync import Synchronizer
from fc.tables.migrate import migrate_up
from tests.support.configuration import value_of, write
from tests.support.counted import Tally, counted_database
from tests.support.large_configuration import PER_FILE, large_files
from tests.support.repository import Repository

_ROUNDS = 5
_PROCESSES = {20: 7, 200: 3, 1000: 1}
"""Measurements by number of files: what lasts a quarter of a second is measured more often than what lasts ten."""


class _Fetched(GitMirror):
    """A mirror that knows how long its fetches took."""

    seconds = 0.0

    @override
    async def fetch(self, wanted: str) -> str:
        began = time.perf_counter()
        try:
            return await super().fetch(wanted)
        finally:
            self.seconds += time.perf_counter() - began


def _events(texts: dict[str, str]) -> float:
    """Seconds in which libyaml reads all of it to events."""
    began = time.perf_counter()
    for text in texts.values():
        parser = CParser(text)
        while type(parser.get_event()) is not StreamEndEvent:
            pass
    return time.perf_counter() - began


async def _copy(database: Database, rows: list[tuple[str, str, str]]) -> float:
    """Seconds in which COPY writes as many rows."""
    async with database.transaction() as connection:
        await connection.execute(
            "CREATE TEMPORARY TABLE plain (kind text, key text, content text) ON COMMIT DROP"
        )
        began = time.perf_counter()
        await connection.copy_records_to_table("plain", records=rows)
        return time.perf_counter() - began


async def _first(url: str, texts: dict[str, str], directory: Path) -> dict[str, float]:
    """Everything is new: seconds to load and plan it, and to apply it."""
    database = await Database.connect(url, size=2)
    began = time.perf_counter()
    loaded = Loader().load_directory(directory)
    compiled = seal(compile_fragments(loaded.fragments, loaded.problems), lambda one: value_of(one["secret"]))
    assert not compiled.problems
    plan = await make_plan(database, SOURCE, compiled.resources)
    planned = time.perf_counter() - began
    began = time.perf_counter()
    await apply(database, Origin(SOURCE), compiled.resources, expected_digest=plan.digest)
    applied = time.perf_counter() - began
    began = time.perf_counter()
    assert await look(database, 600, now=True) == "recorded"
    compared = time.perf_counter() - began
    rows = [(one.kind, one.key, json.dumps(one.fields)) for one in compiled.resources.values()]
    figures = {
        "resources": len(rows),
        "files": len(texts),
        "load_compile_plan_seconds": round(planned, 3),
        "load_compile_plan_ratio_to_libyaml_events": round(planned / _events(texts), 1),
        "apply_seconds": round(applied, 3),
        "apply_ratio_to_copy": round(applied / await _copy(database, rows), 1),
        "compare_with_rows_seconds": round(compared, 3),
        "peak_memory_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }
    await database.close()
    return figures


async def _again(url: str, texts: dict[str, str], directory: Path) -> dict[str, Any]:
    """The same repository through the service's own synchronisation: one line changed, and nothing changed."""
    repository = Repository(directory / "repository")
    repository.commit(dict(texts))
    settings = Settings(
        data_dir=directory / "data",
        configuration=ConfigurationSettings(url=repository.url, poll_interval=Duration(3600)),
    )
    tally = Tally()
    async with counted_database(url, tally) as database:
        synchronizer = Synchronizer(settings, database, Secrets(directory))
        assert settings.configuration.url is not None
        mirror = _Fetched(settings.data_dir / "git", settings.configuration.url)
        synchronizer._mirror = mirror  # noqa: SLF001 - fetching is not what is measured
        await synchronizer.register()

        async def timed() -> float:
            await sources.request_sync(database)
            tally.reset()
            mirror.seconds = 0.0
            began = time.perf_counter()
            assert await synchronizer.synchronize()
            return time.perf_counter() - began - mirror.seconds

        await timed()
        one_line, nothing = [], []
        for number in range(_ROUNDS):
            repository.commit({next(iter(texts)): next(iter(large_files(1, f"Round {number}").values()))})
            parsed = synchronizer.loader.parsed
            one_line.append(await timed())
            changed = {
                "statements": len(tally.statements),
                "rows": tally.rows,
                "parsed": synchronizer.loader.parsed - parsed,
            }
            parsed = synchronizer.loader.parsed
            nothing.append(await timed())
            same = {
                "statements": len(tally.statements),
                "rows": tally.rows,
                "parsed": synchronizer.loader.parsed - parsed,
            }
    return {
        "one_line_changed_ms": round(1000 * statistics.median(one_line)),
        "one_line_changed": changed,
        "nothing_changed_ms": round(1000 * statistics.median(nothing)),
        "nothing_changed": same,
    }


async def _measure(url: str, files: int) -> dict[str, Any]:
    texts = large_files(files)
    await migrate_up(url)
    with tempfile.TemporaryDirectory(prefix="fc-bench-") as made:
        first = await _first(url, texts, write(Path(made) / "plain", texts))
        return {**first, **await _again(url, texts, Path(made))}


def _in_a_process(url: str, files: int) -> dict[str, Any]:
    """Measured alone, on an empty database."""
    name = f"bench_{files}_{time.monotonic_ns()}"
    asyncio.run(_create(url, name))
    command = [sys.executable, __file__, url.replace("@/postgres?", f"@/{name}?"), str(files)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, Any] = json.loads(answer.splitlines()[-1])
    return result


def _seconds(measured: dict[str, Any]) -> float:
    """From files to rows."""
    return float(measured["load_compile_plan_seconds"] + measured["apply_seconds"])


async def _create(url: str, name: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="fc-bench-") as made:
        server = EmbeddedPostgres(Path(made))
        url = server.start()
        try:
            runs = {
                files * PER_FILE: [_in_a_process(url, files) for _ in range(times)]
                for files, times in _PROCESSES.items()
            }
        finally:
            server.stop()
    results = {size: sorted(ones, key=_seconds)[len(ones) // 2] for size, ones in runs.items()}
    print(json.dumps({"benchmark": "configuration", **results[200 * PER_FILE]}))
    costs = {size: 1e6 * _seconds(one) / size for size, one in results.items()}
    growth = {
        "benchmark": "configuration_growth",
        "microseconds_per_resource": {size: round(cost) for size, cost in costs.items()},
        "largest_to_smallest": round(max(costs.values()) / min(costs.values()), 2),
        "one_line_changed_ms": {size: one["one_line_changed_ms"] for size, one in results.items()},
        "nothing_changed_ms": {size: one["nothing_changed_ms"] for size, one in results.items()},
        "one_line_changed": {size: one["one_line_changed"] for size, one in results.items()},
        "nothing_changed": {size: one["nothing_changed"] for size, one in results.items()},
    }
    print(json.dumps(growth))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        print(json.dumps(asyncio.run(_measure(sys.argv[1], int(sys.argv[2])))))
    else:
        main()
