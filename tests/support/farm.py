"""A build farm for tests: real derivations recorded as an evaluation records them, loops that run."""

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from fc.base.database import Database
from fc.base.looping import Services, run_loop
from fc.base.nix_cli import Nix
from fc.base.notify import Listener
from fc.base.secrets import Secrets
from fc.base.settings import BuildersSettings, NixSettings, Settings
from fc.build.loop import BuildLoop, ClaimLoop
from fc.build.worker import Pauses
from fc.cli.demo.ssh_builder import SshBuilder
from fc.nix.derivation import Derivation, parse_derivation

QUICK = Pauses(
    builder_first=0.2,
    builder_longest=1.0,
    attempt_first=0.1,
    attempt_longest=0.5,
    head_first=0.2,
    head_longest=0.5,
)
_BUSYBOX = next(path for path in ("/bin/busybox", "/usr/bin/busybox") if Path(path).exists())
_DEADLINE = 90.0

_PRELUDE = """
let
  system = "x86_64-linux";
  build = name: script: attributes: derivation ({
    inherit name system;
    builder = "/bin/sh";
    args = [ "-e" "-c" script ];
  } // attributes);
in
"""


def farm_settings(data_dir: Path, gate: Path, **builders: Any) -> Settings:
    """Settings whose sandboxes see the directory ``gate``, through which tests and builds signal each other."""
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    gate.mkdir(exist_ok=True)
    paths = f"/bin/sh={_BUSYBOX} /gate={gate}"
    return Settings(
        data_dir=data_dir,
        nix=NixSettings(
            store=str(data_dir / "nix-store"),
            system="x86_64-linux",
            options={"substituters": "", "sandbox-paths": paths},
        ),
        builders=BuildersSettings(**builders),
    )


@dataclass(frozen=True)
class Recorded:
    """An evaluation that was recorded."""

    evaluation_id: uuid.UUID
    jobset_id: uuid.UUID
    builds: dict[str, uuid.UUID]
    """Build by job."""
    drv_paths: dict[str, str]
    """Derivation by job."""


def instantiate(nix: Nix, directory: Path, expression: str) -> dict[str, str]:
    """The .drv of each attribute of ``expression``, in which ``build name script attributes`` makes a derivation."""
    file = directory / f"{uuid.uuid4().hex}.nix"
    file.write_text(_PRELUDE + expression)
    found = subprocess.run(
        nix.command(
            "nix-instantiate",
            *("--eval", "--strict", "--json", "--read-write-mode", "--expr"),
            f"builtins.mapAttrs (name: value: value.drvPath) (import {file})",
        ),
        env=nix.environment(),
        capture_output=True,
        check=True,
    )
    return msgspec.json.decode(found.stdout, type=dict[str, str])


async def record(
    database: Database, nix: Nix, directory: Path, expression: str, jobset: str = "main", **build: Any
) -> Recorded:
    """Evaluate ``expression`` and record its jobs as builds of a new evaluation."""
    drv_paths = await asyncio.to_thread(instantiate, nix, directory, expression)
    graph = await asyncio.to_thread(_closure, nix, list(drv_paths.values()))
    async with database.transaction() as connection:
        project_id = await connection.fetchval(
            """INSERT INTO projects (name, repository_url) VALUES ('p', 'https://git.example.org/p.git')
            ON CONFLICT (name) DO UPDATE SET name = EXCLUDED.name RETURNING id"""
        )
        jobset_id = await connection.fetchval(
            """INSERT INTO jobsets (project_id, name, nix_expression) VALUES ($1, $2, 'release.nix')
            ON CONFLICT (project_id, name) DO UPDATE SET name = EXCLUDED.name RETURNING id""",
            project_id,
            jobset,
        )
        evaluation_id = await connection.fetchval(
            """INSERT INTO evaluations (jobset_id, commit_hash, status) VALUES ($1, $2, 'completed') RETURNING id""",
            jobset_id,
            uuid.uuid4().hex,
        )
        ids = {path: await _insert(connection, path, parsed) for path, parsed in graph.items()}
        for path, parsed in graph.items():
            for input_path in parsed.input_drvs:
                await connection.execute(
                    "INSERT INTO derivation_inputs (derivation_id, input_id) VALUES ($1, $2) ON CONFLICT DO NOTHING",
                    ids[path],
                    ids[input_path],
                )
        builds = {}
        for job, path in drv_paths.items():
            columns = {"priority": 100, "global_priority": 0} | build
            builds[job] = await connection.fetchval(
                """INSERT INTO builds (evaluation_id, job_name, drv_path, status, derivation_id, system, priority,
                global_priority, notification_pending_since)
                VALUES ($1, $2, $3, 'pending', $4, $5, $6, $7, now()) RETURNING id""",
                *(evaluation_id, job, path, ids[path], graph[path].system),
                *(columns["priority"], columns["global_priority"]),
            )
    return Recorded(evaluation_id, jobset_id, builds, drv_paths)


async def _insert(connection: Any, path: str, parsed: Derivation) -> uuid.UUID:
    features = list(parsed.required_system_features)
    found: uuid.UUID = await connection.fetchval(
        """INSERT INTO derivations (drv_path, name, system, required_features, prefer_local, fixed_output, missing_inputs)
        VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (drv_path) DO UPDATE SET name = EXCLUDED.name RETURNING id""",
        *(path, path[44:-4], parsed.system, features, parsed.prefer_local_build, parsed.is_fixed_output),
        len(parsed.input_drvs),
    )
    for output in parsed.outputs:
        await connection.execute(
            "INSERT INTO derivation_outputs (derivation_id, name, path) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            *(found, output.name, output.path or None),
        )
    return found


def _closure(nix: Nix, drv_paths: list[str]) -> dict[str, Derivation]:
    found: dict[str, Derivation] = {}
    todo = list(drv_paths)
    while todo:
        path = todo.pop()
        if path not in found:
            found[path] = parse_derivation(nix.physical(path).read_bytes())
            todo += found[path].input_drvs
    return found


async def add_builder(
    database: Database, name: str, builder: SshBuilder | None = None, **columns: Any
) -> uuid.UUID:
    """Declare a remote builder; of ``builder``, if one is given."""
    given: dict[str, Any] = {"name": name, "systems": ["x86_64-linux"], "max_jobs": 1}
    if builder is not None:
        given |= {
            "ssh_uri": builder.ssh_uri,
            "public_host_key": builder.public_host_key,
            "ssh_key_file": str(builder.client_key_file),
        }
    given |= columns
    names = ", ".join(given)
    places = ", ".join(f"${number}" for number in range(1, len(given) + 1))
    found: uuid.UUID = await database.fetchval(
        f"INSERT INTO remote_builders ({names}) VALUES ({places}) RETURNING id", *given.values()
    )
    return found


@dataclass
class Farm:
    """The build loops of one process."""

    services: Services
    pauses: Pauses = QUICK
    stop: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def data_dir(self) -> Path:
        return self.services.settings.data_dir

    @contextlib.asynccontextmanager
    async def working(self) -> AsyncIterator[BuildLoop]:
        """Loops run while the block does; then they are stopped as an operator stops them."""
        listener = Listener(self.services.database.url)
        await listener.start()
        build = BuildLoop(self.services, self.pauses)
        build.interval = 0.2  # type: ignore[misc]  # tests wait for short pauses
        claims = ClaimLoop(build.work)
        stop = asyncio.Event()
        loops = [asyncio.create_task(run_loop(loop, listener, stop)) for loop in (build, claims)]
        try:
            yield build
        finally:
            stop.set()
            await asyncio.gather(*loops)
            await listener.close()


def make_services(settings: Settings, database: Database, nix: Nix) -> Services:
    """What loops are made of."""
    return Services(
        settings=settings,
        database=database,
        secrets=Secrets(None),
        nix=nix,
        worker=f"{socket.gethostname()}:{os.getpid()}",
    )


async def statuses(database: Database, recorded: Recorded) -> dict[str, str]:
    """Status by job."""
    rows = await database.fetch(
        "SELECT job_name, status FROM builds WHERE evaluation_id = $1", recorded.evaluation_id
    )
    return {row["job_name"]: row["status"] for row in rows}


async def until(condition: Callable[[], Awaitable[Any]], what: str, deadline: float = _DEADLINE) -> Any:
    """Wait for ``condition``; what it gave. Fail with ``what`` when it does not come."""
    end = time.monotonic() + deadline
    while not (found := await condition()):
        assert time.monotonic() < end, f"never came true: {what}"
        await asyncio.sleep(0.02)
    return found


async def finished(database: Database, recorded: Recorded, deadline: float = _DEADLINE) -> dict[str, str]:
    """Wait for the end of every build of ``recorded``; status by job."""

    async def all_final() -> bool:
        found = await statuses(database, recorded)
        return not {"pending", "running"} & set(found.values())

    await until(all_final, "every build ends", deadline)
    return await statuses(database, recorded)


async def build_row(database: Database, build_id: uuid.UUID) -> Mapping[str, Any]:
    """A row of ``builds``."""
    row = await database.fetchrow("SELECT * FROM builds WHERE id = $1", build_id)
    assert row is not None
    return dict(row)


async def steps(database: Database, build_id: uuid.UUID) -> list[tuple[str, str, str]]:
    """Name of the derivation, builder and status of each step of a build, in order."""
    rows = await database.fetch(
        """SELECT d.name, s.builder_name, COALESCE(s.status, 'running') AS status FROM build_steps s
        JOIN derivations d ON d.id = s.derivation_id WHERE s.build_id = $1 ORDER BY s.step_number""",
        build_id,
    )
    return [(row["name"], row["builder_name"], row["status"]) for row in rows]


def start_process(settings: Settings, database_url: str) -> "subprocess.Popen[bytes]":
    """The build loops in a process of their own."""
    given = msgspec.json.encode(
        {"settings": msgspec.to_builtins(settings, enc_hook=str), "database_url": database_url}
    )
    return subprocess.Popen(
        [sys.executable, "-m", "tests.support.build_process", given.decode()],
        cwd=Path(__file__).resolve().parents[2],
        stdin=subprocess.DEVNULL,
        start_new_session=True,
    )
