"""Rows of a build graph, made up: for tests of what happens in the database alone."""

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fc.base.database import Database
from fc.build.schedule import Slots

LOCAL_SLOTS = Slots(name="local", systems=frozenset({"x86_64-linux"}), max_jobs=4)


def drv_path(name: str) -> str:
    """A derivation's path, always the same for the same name."""
    digits = uuid.uuid5(uuid.NAMESPACE_OID, name).hex
    return f"/nix/store/{digits.replace('e', 'z')}-{name}.drv"


@dataclass(frozen=True)
class Rows:
    """What was inserted."""

    jobset_id: uuid.UUID
    derivations: dict[str, uuid.UUID]
    builds: dict[str, uuid.UUID]


async def insert_graph(
    database: Database,
    inputs: Mapping[str, Iterable[str]],
    jobs: Iterable[str],
    *,
    jobset: str = "main",
    shares: int = 100,
    demanded: bool = True,
    **columns: Any,
) -> Rows:
    """Derivations with their inputs, and builds for ``jobs``, as intake leaves them.

    Args:
        database: where to.
        inputs: of each derivation.
        jobs: derivations that are jobs, under their own names.
        jobset: whose builds they are.
        shares: of the jobset.
        demanded: whether every derivation is demanded, and the builds queued.
        columns: further columns of every derivation.
    """
    async with database.transaction() as connection:
        project_id = await connection.fetchval(
            """INSERT INTO projects (name, repository_url) VALUES ('p', 'https://git.example.org/p.git')
            ON CONFLICT (name) DO UPDATE SET name = EXCLUDED.name RETURNING id"""
        )
        jobset_id = await connection.fetchval(
            """INSERT INTO jobsets (project_id, name, nix_expression, scheduling_shares) VALUES ($1, $2, 'release.nix', $3)
            ON CONFLICT (project_id, name) DO UPDATE SET name = EXCLUDED.name RETURNING id""",
            *(project_id, jobset, shares),
        )
        evaluation_id = await connection.fetchval(
            "INSERT INTO evaluations (jobset_id, commit_hash, status) VALUES ($1, $2, 'completed') RETURNING id",
            *(jobset_id, uuid.uuid4().hex),
        )
        derivations = await _insert_derivations(connection, inputs, {"system": "x86_64-linux"} | columns)
        builds = {}
        for job in jobs:
            builds[job] = await connection.fetchval(
                """INSERT INTO builds (evaluation_id, job_name, drv_path, status, derivation_id, queued_at)
                VALUES ($1, $2, $3, 'pending', $4, CASE WHEN $5 THEN now() END) RETURNING id""",
                *(evaluation_id, job, drv_path(job), derivations[job], demanded),
            )
        if demanded:
            await connection.execute(
                "INSERT INTO derivation_demands (derivation_id, jobset_id) SELECT unnest($1::uuid[]), $2",
                *(list(derivations.values()), jobset_id),
            )
    return Rows(jobset_id, derivations, builds)


async def _insert_derivations(
    connection: Any, inputs: Mapping[str, Iterable[str]], given: Mapping[str, Any]
) -> dict[str, uuid.UUID]:
    names = ", ".join(given)
    places = ", ".join(f"${number}" for number in range(5, 5 + len(given)))
    derivations: dict[str, uuid.UUID] = {}
    for name, needed in inputs.items():
        count = len(list(needed))
        derivations[name] = await connection.fetchval(
            f"INSERT INTO derivations (drv_path, name, status, missing_inputs, {names}) VALUES ($1, $2, $3, $4, {places}) RETURNING id",
            *(drv_path(name), name, "ready" if count == 0 else "pending", count, *given.values()),
        )
        await connection.execute(
            "INSERT INTO derivation_outputs (derivation_id, name) VALUES ($1, 'out')", derivations[name]
        )
    for name, needed in inputs.items():
        for one in needed:
            await connection.execute(
                "INSERT INTO derivation_inputs (derivation_id, input_id) VALUES ($1, $2)",
                *(derivations[name], derivations[one]),
            )
    return derivations


async def derivation_statuses(database: Database) -> dict[str, str]:
    """Status of each derivation by name."""
    return {
        row["name"]: row["status"] for row in await database.fetch("SELECT name, status FROM derivations")
    }


async def build_statuses(database: Database) -> dict[str, str]:
    """Status of each build by job."""
    return {
        row["job_name"]: row["status"] for row in await database.fetch("SELECT job_name, status FROM builds")
    }
