"""More of the story: several sources of configuration, one in each state, and projects with files of their own."""

import uuid
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from fc.base.database import Database
from tests.support.story_rows import Story, commit_hash

LONG = "https://github.com/weather-service-of-the-northern-regions/hardware-inventory-and-network-configuration.git"
RULES = [{"kinds": ["project"], "names": ["team-data-*", "shared"]}, {"kinds": ["user"], "names": ["*"]}]
PROBLEMS = [
    {"file": "racks/north-2/builders-of-the-second-rack-in-the-northern-hall.yaml", "line": 41, "column": 7,
     "message": "remote_builder 'anvil-9': unknown key 'max_job'; did you mean 'max_jobs'?"},
    {"file": "users.yaml", "line": 3, "column": 3, "message": "user 'jonas' is outside of what this source may declare (remote_builder named anvil-*)"},
]  # fmt: skip


@dataclass
class Several:
    """What tests point at."""

    held: uuid.UUID
    """The revision whose plan is held."""
    huge: uuid.UUID
    """A revision with many changes."""
    projects: list[str] = field(default_factory=list)
    """Sources that are a project's own file."""


async def tell_sources(
    database: Database, story: Story, *, projects: int = 130, changes: int = 120
) -> Several:
    """Add them to a story that is told."""
    for name, facts in _sources(story).items():
        await _insert(database, "config_sources", {"name": name} | facts)
        if facts["status"] != "pending":
            await _revision(
                database, name, facts["last_seen_commit"], story.ago(days=4), signer="ana@example.org"
            )
    held = await _revision(
        database, "team-data", commit_hash("team-data"), story.ago(minutes=18), status="held", plan=_plan(),
        subject="Remove the projects of the old pipeline",
    )  # fmt: skip
    await database.execute(
        """INSERT INTO config_pauses (source, reason, paused_by, paused_until, created_at) VALUES
        ('lab', 'The lab moves to the new building', 'cli:mei', $1, $2)""",
        story.now + timedelta(hours=7),
        story.ago(hours=3),
    )
    await database.execute(
        "INSERT INTO config_pauses (source, reason, paused_by, pinned_revision_id) VALUES ('release', 'The new pools starve', 'cli:ana', $1)",
        story.revisions[1],
    )
    huge = await _huge(database, story, changes)
    await _renamed(database, story)
    return Several(held, huge, await _projects(database, story, projects))


def _sources(story: Story) -> dict[str, dict[str, Any]]:
    soon = story.now + timedelta(seconds=40)
    basis = {
        "branch": "main",
        "status": "synced",
        "next_sync_at": soon,
        "last_synced_at": story.ago(seconds=25),
    }
    rows: dict[str, dict[str, Any]] = {
        "archive": {"url": "https://git.example.org/ops/old.git", "active": False},
        "edge": {"url": "git@codeberg.org:weather/edge.git", "status": "waiting", "opens_at": story.now + timedelta(hours=5, minutes=20),
                 "error_message": "changes are applied from 22:00 to 04:00 (Europe/Lisbon)"},
        "hardware": {"url": LONG, "branch": "production-of-the-northern-halls", "path": "racks", "status": "failed", "failures": 3,
                     "error_message": "the configuration has 2 errors", "errors": PROBLEMS,
                     "scope": [{"kinds": ["remote_builder"], "names": ["anvil-*"]}]},
        "lab": {"url": "https://git.example.org/lab/fc.git"},
        "new": {"url": "https://git.example.org/new/fc.git", "status": "pending", "last_synced_at": None},
        "release": {"url": "https://git.example.org/release/fc.git", "forced_from": commit_hash("before"), "forced_at": story.ago(hours=26)},
        "team-data": {"url": "https://gitlab.com/weather/team-data.git", "status": "held", "scope": RULES,
                      "held": {"digest": "4f1c9a7be02d" + "0" * 52, "commit": commit_hash("team-data"),
                               "reasons": ["it removes 6 of 9 projects", "project 'team-data-archive' is protected"]}},
    }  # fmt: skip
    return {
        name: basis | {"last_seen_commit": None if name == "new" else commit_hash(name)} | facts
        for name, facts in rows.items()
    }


def _plan() -> dict[str, Any]:
    gone = [
        {"kind": "project", "key": f"team-data-{number}", "action": "delete", "before": {"enabled": True}, "after": None, "file": None, "line": None}
        for number in range(6)
    ]  # fmt: skip
    changed = {
        "kind": "jobset",
        "key": "shared/main",
        "action": "update",
        "before": {"keep_nr": 3},
        "after": {"keep_nr": 9},
        "file": "shared.yaml",
        "line": 8,
    }
    return {
        "digest": "4f1c9a7be02d" + "0" * 52, "summary": {"delete": 6, "update": 1},
        "reasons": ["it removes 6 of 9 projects", "project 'team-data-archive' is protected"],
        "changes": [*gone, changed], "more": 2,
    }  # fmt: skip


async def _huge(database: Database, story: Story, changes: int) -> uuid.UUID:
    plan = {"summary": {"create": changes * 2}, "digest": "a" * 64}
    commit = commit_hash("huge")
    huge = await _revision(
        database, "main", commit, story.ago(days=9), plan=plan, subject="Declare every sensor station"
    )
    await database.execute(
        """INSERT INTO config_changes (revision_id, kind, key, action, after, file, line)
        SELECT $1, kind, 'station-' || to_char(number, 'FM00000') || CASE kind WHEN 'jobset' THEN '/main' ELSE '' END, 'create',
               '{"enabled": true}', 'stations.yaml', number
        FROM unnest(ARRAY['project', 'jobset']) AS kinds(kind), generate_series(1, $2::int) AS number""",
        huge,
        changes,
    )
    await database.execute(
        """INSERT INTO config_resources (source, kind, key, content, content_hash, file, line, revision_id)
        SELECT 'main', kind, key, after, 'x', file, line, revision_id FROM config_changes WHERE revision_id = $1""",
        huge,
    )
    return huge


async def _renamed(database: Database, story: Story) -> None:
    """The jobset kestrel/next was once kestrel/edge; its first revision is older than its name."""
    old = {"branch": "edge", "nix_expression": "flake.nix", "inputs_token": "«secret» edge-token"}
    first = await _revision(
        database, "main", commit_hash("edge"), story.ago(days=12), subject="Build the edge"
    )
    second = await _revision(
        database,
        "main",
        commit_hash("next"),
        story.ago(days=8.5),
        subject="Call it next",
        signer="ana@example.org",
    )
    rows = [
        (first, "kestrel/edge", "create", None, old, 7, story.ago(days=12)),
        (second, "kestrel/edge", "rename", old, None, 9, story.ago(days=8.5)),
        (second, "kestrel/next", "rename", old, old | {"branch": "next"}, 9, story.ago(days=8.5)),
    ]
    await database.executemany(
        """INSERT INTO config_changes (revision_id, kind, key, action, before, after, line, created_at, file)
        VALUES ($1, 'jobset', $2, $3, $4, $5, $6, $7, 'projects/kestrel.yaml')""",
        rows,
    )
    await database.execute(
        """INSERT INTO config_resources (source, kind, key, content, content_hash, file, line, revision_id)
        VALUES ('main', 'jobset', 'kestrel/next', $1, 'x', 'projects/kestrel.yaml', 9, $2)""",
        old | {"branch": "next", "inputs_token": {"secret": "edge-token"}},
        second,
    )


async def _projects(database: Database, story: Story, count: int) -> list[str]:
    names = []
    for number in range(count):
        name = f"station-{number:03}"
        project = await database.fetchval(
            "INSERT INTO projects (name, repository_url) VALUES ($1, 'https://git.example.org/x.git') RETURNING id",
            name,
        )
        failed = number % 50 == 7
        row = {
            "name": f"project/{name}", "url": f"https://git.example.org/stations/{name}.git", "branch": "main", "path": ".fc.yaml",
            "project_id": project, "status": "failed" if failed else "synced", "last_seen_commit": commit_hash(name),
            "last_synced_at": story.ago(minutes=number), "next_sync_at": story.now + timedelta(minutes=1),
        }  # fmt: skip
        if failed:
            row |= {"errors": PROBLEMS[:1], "error_message": "the configuration has 1 error"}
        await _insert(database, "config_sources", row)
        names.append(f"project/{name}")
    return names


async def _revision(
    database: Database, source: str, commit: str | None, when: datetime, **facts: Any
) -> uuid.UUID:
    row = {
        "source": source, "commit_hash": commit, "author": "Ana Duarte", "subject": "Follow the new halls", "status": "applied",
        "created_at": when, "committed_at": when, "duration_seconds": 0.2, "plan": {},
    } | facts  # fmt: skip
    found: uuid.UUID = await _insert(database, "config_revisions", row)
    return found


async def _insert(database: Database, table: str, row: dict[str, Any]) -> uuid.UUID:
    columns = ", ".join(row)
    values = ", ".join(f"${number}" for number in range(1, len(row) + 1))
    found: uuid.UUID = await database.fetchval(
        f"INSERT INTO {table} ({columns}) VALUES ({values}) RETURNING id", *row.values()
    )
    return found
