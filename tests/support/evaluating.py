"""Jobsets of real repositories, and the loops that evaluate them, for tests."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg

from fc.base.database import Database
from fc.base.looping import Loop, Services, run_loop
from fc.base.notify import Listener
from fc.evaluate.loop import make_loops
from tests.support.repository import Repository
from tests.support.waiting import eventually

MAKE = """
  make = name: extra: derivation ({ inherit name; system = "x86_64-linux"; builder = "/bin/sh";
    args = [ "-c" "echo > $out" ]; } // extra);
"""

SPIN = """
  spin = let loop = body: builtins.foldl' (sum: n: sum + body n) 0 (builtins.genList (n: n) 10000); in
    loop (a: loop (b: loop (c: 1)));
"""
"""Takes days, but little memory and no stack."""

GENTLE = """
  gentle = let loop = body: builtins.foldl' (sum: n: sum + body n) 0 (builtins.genList (n: n) 1000); in
    loop (a: loop (b: 1));
"""
"""Takes a moment in which something can happen, such as a death."""


def release(jobs: str) -> str:
    """A ``release.nix`` with these jobs; ``make name extra`` makes a derivation."""
    return f"let {MAKE} {SPIN} {GENTLE} in {jobs}"


class Jobsets:
    """Declares projects and jobsets as configuration does, and looks at what became of them."""

    def __init__(self, database: Database, directory: Path) -> None:
        self.database = database
        self._directory = directory

    async def add(
        self,
        files: Mapping[str, str | bytes | None] | None,
        project: str = "hello",
        name: str = "main",
        **columns: Any,
    ) -> tuple[Repository, uuid.UUID]:
        """A project with a repository that holds ``files`` (none: it is empty), and a jobset of it."""
        repository = Repository(self._directory / project)
        if files is not None:
            repository.commit(files, f"Begin {project}")
        project_id = await self.database.fetchval(
            "INSERT INTO projects (name, repository_url) VALUES ($1, $2) RETURNING id",
            project,
            repository.url,
        )
        return repository, await self.add_jobset(project_id, name, **columns)

    async def add_jobset(self, project_id: uuid.UUID, name: str, **columns: Any) -> uuid.UUID:
        """Another jobset of a project."""
        values = {"nix_expression": "release.nix", "flake_mode": False, "branch": "main"} | columns
        places = ", ".join(f"${number}" for number in range(3, len(values) + 3))
        jobset: uuid.UUID = await self.database.fetchval(
            f"INSERT INTO jobsets (project_id, name, {', '.join(values)}) VALUES ($1, $2, {places}) RETURNING id",
            project_id,
            name,
            *values.values(),
        )
        return jobset

    async def add_input(
        self, jobset: uuid.UUID, name: str, kind: str, value: str, revision: str | None = None
    ) -> None:
        """An input of a jobset."""
        await self.database.execute(
            "INSERT INTO jobset_inputs (jobset_id, name, input_type, value, revision) VALUES ($1, $2, $3, $4, $5)",
            jobset, name, kind, value, revision,
        )  # fmt: skip

    async def request(self, jobset: uuid.UUID) -> None:
        """Ask for a check."""
        await self.database.execute("UPDATE jobsets SET check_requested_at = now() WHERE id = $1", jobset)

    async def row(self, jobset: uuid.UUID) -> asyncpg.Record:
        """The jobset as it is now."""
        row = await self.database.fetchrow("SELECT * FROM jobsets WHERE id = $1", jobset)
        assert row is not None
        return row

    async def evaluations(self, jobset: uuid.UUID) -> list[asyncpg.Record]:
        """Its evaluations, oldest first."""
        return await self.database.fetch(
            "SELECT * FROM evaluations WHERE jobset_id = $1 ORDER BY evaluation_time, id", jobset
        )

    async def builds(self, evaluation: uuid.UUID) -> dict[str, asyncpg.Record]:
        """The builds of an evaluation by job."""
        rows = await self.database.fetch("SELECT * FROM builds WHERE evaluation_id = $1", evaluation)
        return {row["job_name"]: row for row in rows}

    async def errors(self, evaluation: uuid.UUID) -> dict[str, str]:
        """The errors of an evaluation by job."""
        rows = await self.database.fetch(
            "SELECT job_name, message FROM evaluation_errors WHERE evaluation_id = $1", evaluation
        )
        return {row["job_name"]: row["message"] for row in rows}

    async def settled(self, jobset: uuid.UUID, count: int = 1, within: float = 60) -> list[asyncpg.Record]:
        """Wait until the jobset has so many evaluations and all have an end."""

        async def done() -> bool:
            rows = await self.evaluations(jobset)
            return len(rows) >= count and all(row["status"] not in {"pending", "running"} for row in rows)

        await eventually(done, f"{count} evaluations have an end", within)
        return await self.evaluations(jobset)

    async def checked(self, jobset: uuid.UUID) -> asyncpg.Record:
        """Wait until the check that was asked for, or the first one, has been made."""

        async def done() -> bool:
            row = await self.row(jobset)
            return row["last_checked_at"] is not None and row["check_requested_at"] is None

        await eventually(done, "the jobset is checked")
        return await self.row(jobset)


@asynccontextmanager
async def evaluating(services: Services) -> AsyncIterator[list[Loop]]:
    """The loops of evaluation run as they do in the service; at the end they are drained."""
    listener = Listener(services.database.url)
    await listener.start()
    stop = asyncio.Event()
    loops = make_loops(services)
    running = [asyncio.create_task(run_loop(loop, listener, stop)) for loop in loops]
    try:
        yield loops
    finally:
        stop.set()
        await asyncio.gather(*running)
        await listener.close()
