"""Rows that other stages write: a project with a jobset, its evaluations, builds and notifications."""

import uuid
from typing import Any

from fc.base.database import Database

COMMIT = "6113728f27ae82c7b1a177c8d03f9e96e0adf246"
TOKEN = {"secret": "forge-token"}


class Rows:
    """Writes rows as configuration, evaluation and building do."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._inputs = 0

    async def jobset(self, project: str = "hello", name: str = "main") -> uuid.UUID:
        """A jobset of a project; the project is made if it is not there."""
        project_id = await self.database.fetchval(
            """INSERT INTO projects (name, repository_url) VALUES ($1, 'https://git.example.org/r.git')
            ON CONFLICT (name) DO UPDATE SET name = excluded.name RETURNING id""",
            project,
        )
        found: uuid.UUID = await self.database.fetchval(
            "INSERT INTO jobsets (project_id, name, nix_expression) VALUES ($1, $2, 'release.nix') RETURNING id",
            project_id,
            name,
        )
        return found

    async def notification(
        self, kind: str, config: dict[str, Any], project: str = "hello", name: str | None = None
    ) -> uuid.UUID:
        """A target of the project."""
        found: uuid.UUID = await self.database.fetchval(
            """INSERT INTO notification_configs (project_id, notification_type, config, name)
            SELECT id, $2, $3, $4 FROM projects WHERE name = $1 RETURNING id""",
            project,
            kind,
            config,
            name or kind,
        )
        return found

    async def evaluation(
        self, jobset: uuid.UUID, status: str = "completed", commit: str = COMMIT
    ) -> uuid.UUID:
        """An evaluation; each has inputs of its own."""
        self._inputs += 1
        found: uuid.UUID = await self.database.fetchval(
            """INSERT INTO evaluations (jobset_id, commit_hash, status, inputs_hash, evaluation_time)
            VALUES ($1, $2, $3, $4, clock_timestamp()) RETURNING id""",
            jobset,
            commit,
            status,
            str(self._inputs),
        )
        return found

    async def builds(
        self, evaluation: uuid.UUID, count: int, status: str = "pending", prefix: str = "job"
    ) -> None:
        """So many builds, flagged as evaluation flags them: ``job-1`` and on."""
        await self.database.execute(
            """INSERT INTO builds (evaluation_id, job_name, drv_path, status, notification_pending_since)
            SELECT $1, $4 || '-' || n, '/nix/store/x.drv', $3, now() FROM generate_series(1, $2) n""",
            evaluation,
            count,
            status,
            prefix,
        )

    async def settle(self, evaluation: uuid.UUID, job: str, status: str) -> uuid.UUID:
        """A build reaches a status and is flagged, as building does it; its id."""
        found: uuid.UUID = await self.database.fetchval(
            """UPDATE builds SET status = $3, notification_pending_since = clock_timestamp(), completed_at = now()
            WHERE evaluation_id = $1 AND job_name = $2 RETURNING id""",
            evaluation,
            job,
            status,
        )
        return found

    async def settle_all(self, evaluation: uuid.UUID, status: str) -> None:
        """Every unfinished build reaches a status."""
        await self.database.execute(
            """UPDATE builds SET status = $2, notification_pending_since = clock_timestamp(), completed_at = now()
            WHERE evaluation_id = $1 AND status IN ('pending', 'running')""",
            evaluation,
            status,
        )

    async def tasks(self, status: str | None = None) -> list[dict[str, Any]]:
        """The queue in the order of planning."""
        rows = await self.database.fetch(
            "SELECT * FROM notification_tasks WHERE $1::text IS NULL OR status = $1 ORDER BY sequence", status
        )
        return [dict(row) for row in rows]

    async def said(self) -> dict[str, tuple[str, str]]:
        """State and description of the statuses that wait, by context."""
        return {
            content["context"]: (content["state"], content["description"])
            for task in await self.tasks("pending")
            if "context" in (content := task["payload"]["content"])
        }

    async def task(
        self,
        config: uuid.UUID | None = None,
        subject: str | None = None,
        destination: str = "h:443",
        **columns: Any,
    ) -> uuid.UUID:
        """A task as planning makes it, with other values where ``columns`` has them."""
        values = {
            "notification_type": "github_status",
            "notification_config_id": config,
            "subject": subject or str(uuid.uuid4()),
            "destination": destination,
            "payload": {},
        } | columns
        names = ", ".join(values)
        places = ", ".join(f"${number}" for number in range(1, len(values) + 1))
        found: uuid.UUID = await self.database.fetchval(
            f"INSERT INTO notification_tasks ({names}) VALUES ({places}) RETURNING id", *values.values()
        )
        return found
