"""The story as an object, and how its evaluations and builds become rows."""

import hashlib
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from fc.base.database import Database
from fc.build.logs import log_path_of
from tests.support import story_texts as texts

_BASE32 = "0123456789abcdfghijklmnpqrsvwxyz"
_DIGEST = "sha256:1rcq8j8kzpcfvd1n7sdmfr0gkrmq6cv0brq0pjxl2smmk6vcsj7q"


def store_path(name: str, seed: str = "") -> str:
    """A store path of this name; the same each time."""
    digest = hashlib.sha256(f"{seed}{name}".encode()).digest()
    return f"/nix/store/{''.join(_BASE32[byte % 32] for byte in digest)}-{name}"


def commit_hash(seed: str) -> str:
    """A commit hash; the same each time."""
    return hashlib.sha256(seed.encode()).hexdigest()[:40]


@dataclass
class Story:
    """What tests and screenshots point at."""

    database: Database
    data_dir: Path
    rows: Any = None
    """Where it is told: a connection in one transaction, later the database."""
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    evaluations: dict[str, list[uuid.UUID]] = field(default_factory=dict)
    """By ``project/jobset``, oldest first."""
    builds: dict[tuple[uuid.UUID, str], uuid.UUID] = field(default_factory=dict)
    """By evaluation and job."""
    logs: dict[uuid.UUID, Path] = field(default_factory=dict)
    """By build."""
    revisions: list[uuid.UUID] = field(default_factory=list)
    """Oldest first; the last one failed."""

    def build(self, jobset: str, job: str, evaluation: int = -1) -> uuid.UUID:
        """A build of the newest evaluation, or of an older one."""
        return self.builds[self.evaluations[jobset][evaluation], job]

    def ago(self, **how_long: float) -> datetime:
        """A moment before now."""
        return self.now - timedelta(**how_long)

    def grow_log(self, build: uuid.UUID, text: str) -> None:
        """Append to the log of a build, as the build stage does."""
        with self.logs[build].open("a", encoding="utf-8") as file:
            file.write(text)

    async def finish(self, build: uuid.UUID, status: str) -> None:
        """Let a running build end."""
        await self.database.execute(
            """UPDATE derivations SET status = $2, completed_at = now()
            WHERE id = (SELECT derivation_id FROM builds WHERE id = $1)""",
            build,
            "built" if status == "succeeded" else status,
        )
        await self.database.execute(
            "UPDATE build_steps SET status = $2, completed_at = now(), exit_code = $3 WHERE build_id = $1",
            build,
            status,
            0 if status == "succeeded" else 1,
        )
        await self.database.execute(
            "UPDATE builds SET status = $2, completed_at = now(), notification_pending_since = now() WHERE id = $1",
            build,
            status,
        )


async def add_evaluation(story: Story, jobset: str, jobset_id: uuid.UUID, **columns: Any) -> uuid.UUID:
    number = len(story.evaluations.setdefault(jobset, []))
    subject, author = texts.COMMITS[(number * 2 + len(jobset)) % len(texts.COMMITS)]
    began = columns["evaluation_time"]
    row: dict[str, Any] = {
        "jobset_id": jobset_id,
        "commit_hash": commit_hash(f"{jobset}{number}"),
        "status": "completed",
        "cause": "push",
        "commit_subject": subject,
        "commit_author": author,
        "committed_at": began - timedelta(seconds=40),
        "inputs_hash": "x",
        "started_at": began + timedelta(seconds=1),
        "completed_at": began + timedelta(seconds=9),
    } | columns
    names = ", ".join(row)
    values = ", ".join(f"${index}" for index in range(1, len(row) + 1))
    identity: uuid.UUID = await story.rows.fetchval(
        f"INSERT INTO evaluations ({names}) VALUES ({values}) RETURNING id", *row.values()
    )
    story.evaluations[jobset].append(identity)
    return identity


async def add_build(story: Story, evaluation: uuid.UUID, job: str, status: str, **facts: Any) -> uuid.UUID:
    """A build with its derivation, its step and its log."""
    system = facts.get("system", "x86_64-linux")
    name = f"{job.rpartition('.')[0] or job}-{facts.get('version', '2.4.1')}"
    drv_path = store_path(f"{name}.drv", f"{evaluation}{job}")
    builder = facts.get("builder", "anvil-1") if status not in {"pending", "dependency_failed"} else None
    started = facts.get("started") if status not in {"pending", "dependency_failed"} else None
    completed = facts.get("completed") if status not in {"pending", "running"} else None
    derivation_status = {"succeeded": "built", "pending": facts.get("waits", "ready")}.get(status, status)
    log_path = log_path_of(drv_path) if started else None
    builder_id = await story.rows.fetchval("SELECT id FROM remote_builders WHERE name = $1", builder)
    derivation = await story.rows.fetchval(
        """INSERT INTO derivations (drv_path, name, system, status, missing_inputs, builder_id, builder_name, log_path, started_at,
            completed_at, created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        ON CONFLICT (drv_path) DO UPDATE SET name = EXCLUDED.name RETURNING id""",
        drv_path, name, system, derivation_status, 1 if facts.get("waits") == "pending" else 0, builder_id, builder, log_path,
        started, completed, facts["created"],
    )  # fmt: skip
    build: uuid.UUID = await story.rows.fetchval(
        """INSERT INTO builds (evaluation_id, job_name, drv_path, status, started_at, completed_at, log_path, error_message,
            outputs, build_output_path, builder_id, system, derivation_id, meta, created_at, queued_at)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $15) RETURNING id""",
        evaluation, job, drv_path, status, started, completed, log_path, facts.get("error"),
        {"out": store_path(name)}, store_path(name) if status == "succeeded" else None, builder_id, system, derivation,
        {"description": texts.DESCRIPTIONS.get(job.partition(".")[0], "")}, facts["created"],
    )  # fmt: skip
    story.builds[evaluation, job] = build
    if status == "pending":
        await story.rows.execute(
            """INSERT INTO derivation_demands (derivation_id, jobset_id, build_id, wanted_since)
            SELECT $1, jobset_id, $2, $3 FROM evaluations WHERE id = $4""",
            derivation,
            build,
            facts["created"],
            evaluation,
        )
    if started:
        assert log_path is not None
        await story.rows.execute(
            """INSERT INTO build_steps (build_id, step_number, command, started_at, completed_at, exit_code, derivation_id,
                builder_id, builder_name, status, log_path, error_output) VALUES ($1, 1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)""",
            build, "build", started, completed, None if completed is None else int(status != "succeeded"), derivation,
            builder_id, builder, None if status == "running" else status, log_path, facts.get("error"),
        )  # fmt: skip
        story.logs[build] = story.data_dir / log_path
        story.logs[build].parent.mkdir(parents=True, exist_ok=True)
        story.logs[build].write_text(texts.log(job, status), encoding="utf-8")
    return build
