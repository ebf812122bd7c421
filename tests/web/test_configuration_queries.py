"""What pages of configuration ask: each by an index, whatever else there is."""

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from fc.base.database import Database
from fc.tables.config_change_queries import change_counts, changes_in, planned_changes
from fc.tables.config_resource_queries import (
    declared_rows,
    find_resource,
    list_resources,
    owned_kinds,
    resource_changes,
)
from fc.tables.config_source_queries import (
    find_source,
    owned_counts,
    project_sources,
    recent_revisions,
    settings_sources,
    source_health,
)
from fc.tables.configuration_queries import config_owners, config_revisions
from tests.support.story_rows import Story
from tests.support.story_sources import tell_sources

NEVER = uuid.UUID(int=1)
QUESTIONS: dict[str, tuple[Callable[[Database], Awaitable[Any]], str]] = {
    "revisions": (lambda asked: config_revisions(asked, limit=5), "idx_config_revisions_created_at"),
    "older revisions": (lambda asked: config_revisions(asked, before=NEVER, limit=5), "idx_config_revisions_created_at"),
    "revisions of a source": (lambda asked: config_revisions(asked, source="main", before=NEVER), "idx_config_revisions_source"),
    "resources": (lambda asked: list_resources(asked, "project", prefix="station-", after="station-1"), "idx_config_resources_key"),
    "resources of a source": (lambda asked: list_resources(asked, "project", source="main"), "idx_config_resources_source_key"),
    "a resource": (lambda asked: find_resource(asked, "jobset", "kestrel/next"), "config_resources"),
    "its history": (lambda asked: resource_changes(asked, "jobset", "kestrel/next", before=NEVER), "idx_config_changes_resource"),
    "changes": (lambda asked: changes_in(asked, NEVER, kind="project", after=NEVER), "idx_config_changes_revision"),
    "their counts": (lambda asked: change_counts(asked, NEVER), "idx_config_changes_revision"),
    "a plan": (lambda asked: planned_changes(asked, NEVER), "config_revisions_pkey"),
    "what git owns": (owned_counts, "config_resources"),
    "what a source owns": (lambda asked: owned_counts(asked, "main"), "idx_config_resources_source"),
    "kinds": (owned_kinds, "config_resources"),
    "owners": (lambda asked: config_owners(asked, "remote_builder", ["a", "b"]), "config_resources"),
    "a source": (lambda asked: find_source(asked, "main"), "config_sources_name_key"),
    "sources of projects": (lambda asked: project_sources(asked, after="project/a"), "config_sources_name_key"),
    "revisions of the last hour": (recent_revisions, "idx_config_revisions_created_at"),
    "the row itself": (lambda asked: declared_rows(asked, "jobset", "nimbus/main"), "projects"),
}  # fmt: skip


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[Any, ...]]]:
    """Every query that is asked from now on, with its arguments."""
    noted: list[tuple[str, tuple[Any, ...]]] = []
    for name in ("fetch", "fetchrow", "fetchval"):
        original = getattr(Database, name)

        def noting(self: Database, sql: str, *arguments: Any, original: Any = original) -> Any:
            noted.append((sql, arguments))
            return original(self, sql, *arguments)

        monkeypatch.setattr(Database, name, noting)
    return noted


async def test_no_question_reads_a_whole_table(
    database: Database, story: Story, asked: list[tuple[str, tuple[Any, ...]]]
) -> None:
    await tell_sources(database, story, projects=3, changes=400)
    await database.execute(
        """INSERT INTO config_revisions (source, status, created_at)
        SELECT 'lab', 'applied', now() - make_interval(mins => number) FROM generate_series(1, 3000) AS number"""
    )
    await database.execute("ANALYZE")
    for name, (question, index) in QUESTIONS.items():
        asked.clear()
        await question(database)
        [(sql, arguments)] = asked
        async with database.transaction() as connection:
            # What an index is there for is never read as a whole, even where that would be cheap.
            await connection.execute("SET LOCAL enable_seqscan = off")
            plan = "\n".join(
                row[0] for row in await connection.fetch(f"EXPLAIN (COSTS off) {sql}", *arguments)
            )
        assert "Seq Scan" not in plan, (name, plan)
        assert index in plan, (name, plan)


async def test_turning_over_sorts_nothing(
    database: Database, story: Story, asked: list[tuple[str, tuple[Any, ...]]]
) -> None:
    await tell_sources(database, story, projects=3, changes=400)
    await database.execute("ANALYZE")
    for name in ("revisions", "older revisions", "resources", "resources of a source", "sources of projects"):
        asked.clear()
        await QUESTIONS[name][0](database)
        [(sql, arguments)] = asked
        async with database.transaction() as connection:
            for setting in ("enable_seqscan", "enable_sort", "enable_bitmapscan"):
                await connection.execute(f"SET LOCAL {setting} = off")
            plan = "\n".join(
                row[0] for row in await connection.fetch(f"EXPLAIN (COSTS off) {sql}", *arguments)
            )
        outer = plan.partition("SubPlan")[0]
        assert "Sort" not in outer.splitlines()[1], (name, plan)


async def test_the_settings_sources_come_without_those_of_projects(database: Database, story: Story) -> None:
    several = await tell_sources(database, story, projects=60)
    names = [source.name for source in await settings_sources(database)]
    assert names == ["archive", "edge", "hardware", "lab", "main", "new", "release", "team-data"]
    health = {source.name: source for source in await source_health(database)}
    assert set(health) == {*names} - {"archive"}
    assert (health["hardware"].failures, health["hardware"].errors, health["lab"].paused) == (3, 2, True)
    first = await project_sources(database, limit=40)
    rest = await project_sources(database, after=first[-1].name, limit=40)
    assert [source.name for source in first + rest] == several.projects
    trouble = await project_sources(database, trouble=True)
    assert [source.name for source in trouble] == ["project/station-007", "project/station-057"]


async def test_a_rename_knows_its_other_key_even_among_others(database: Database, story: Story) -> None:
    await tell_sources(database, story)
    revision = await database.fetchval("SELECT id FROM config_revisions WHERE subject = 'Call it next'")
    # Another rename in the same revision, of an equal declaration, and what has taken the old name since.
    await database.execute(
        """INSERT INTO config_changes (revision_id, kind, key, action, before, after, file, line, created_at)
        SELECT revision_id, kind, replace(key, 'kestrel', 'other'), action, before, after, file, line + 40, created_at
        FROM config_changes WHERE revision_id = $1""",
        revision,
    )
    await database.execute(
        """INSERT INTO config_changes (revision_id, kind, key, action, after, file, line)
        VALUES ($1, 'jobset', 'kestrel/edge', 'create', '{}', 'projects/kestrel.yaml', 30)""",
        revision,
    )
    [new] = await resource_changes(database, "jobset", "kestrel/next")
    assert new.other_key == "kestrel/edge"
    taken, old, made = await resource_changes(database, "jobset", "kestrel/edge")
    assert (taken.other_key, old.other_key, made.other_key) == (None, "kestrel/next", None)


async def test_keys_are_ordered_and_found_by_their_bytes(database: Database, story: Story) -> None:
    keys = ["%", "A-1", "_x", "a", "a-1", "a/1", "a1", "aé", "b", "ä", "\U0001f4a9"]
    await database.executemany(
        "INSERT INTO config_resources (source, kind, key, content, content_hash, file, line) VALUES ('main', 'role', $1, '{}', 'x', 'a', 1)",
        [(key,) for key in keys],
    )
    assert [row.key for row in await list_resources(database, "role")] == sorted(
        keys, key=lambda key: key.encode()
    )
    assert [row.key for row in await list_resources(database, "role", prefix="a")] == [
        "a",
        "a-1",
        "a/1",
        "a1",
        "aé",
    ]
    assert [row.key for row in await list_resources(database, "role", prefix="%")] == ["%"]
    assert [row.key for row in await list_resources(database, "role", after="b")] == ["ä", "\U0001f4a9"]
