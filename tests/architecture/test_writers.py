"""Each table has named writers: the packages that may write it, how, and which columns where they share it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from fc.config.rows import RULES
from fc.tables.piccolo_app import APP_CONFIG
from tests.support.sql_writes import Write, writes_of

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "develop" / "schema.md"


@dataclass(frozen=True)
class Right:
    """What a package may do to a table."""

    verbs: frozenset[str]
    columns: frozenset[str] | None = None
    """Columns it may update; none: every one."""

    def allows(self, write: Write) -> bool:
        """Whether the statement stays within the right."""
        return write.verb in self.verbs and (self.columns is None or write.columns <= self.columns)


ALL = Right(frozenset({"insert", "update", "delete"}))
INSERTS = Right(frozenset({"insert"}))


def updates(*columns: str) -> Right:
    """May change these columns of rows that others make."""
    return Right(frozenset({"update"}), frozenset(columns))


SETTLES_DERIVATIONS = updates(
    "status", "missing_inputs", "path_length", "attempts", "next_attempt_at", "claim_token", "lease_until", "worker",
    "builder_id", "builder_name", "error_message", "log_path", "started_at", "completed_at",
)  # fmt: skip
SETTLES_BUILDS = updates(
    "status", "started_at", "completed_at", "log_path", "log_url", "build_output_path", "error_message",
    "retry_count", "notification_pending_since", "outputs", "builder_id", "signed", "queued_at",
)  # fmt: skip
FINDS_COMMITS = updates(
    "last_checked_at", "check_requested_at", "next_check_at", "check_failures", "last_error", "last_commit",
    "claim_token", "lease_until", "state",
)  # fmt: skip
ADDS_DERIVATIONS = Right(
    frozenset({"insert", "update"}),
    frozenset({"status", "missing_inputs", "path_length", "timeout", "max_silent"}),
)
BUILDER_HEALTH = updates(
    "consecutive_failures", "disabled_until", "last_failure", "last_error", "last_seen_at"
)

WRITERS: dict[str, dict[str, Right]] = {
    "projects": {"config": ALL},
    "jobsets": {"config": ALL, "evaluate": FINDS_COMMITS},
    "jobset_inputs": {"config": ALL},
    "webhook_configs": {"config": ALL},
    "notification_configs": {"config": ALL},
    "project_members": {"config": ALL},
    "users": {"config": ALL},
    "api_keys": {"config": ALL, "access": updates("last_used_at")},
    "roles": {"config": ALL},
    "worker_pools": {"config": ALL},
    "remote_builders": {"config": ALL, "build": BUILDER_HEALTH},
    "channels": {"config": ALL, "cache": updates("current_evaluation_id", "updated_at")},
    "config_sources": {"config": ALL, "evaluate": updates("sync_requested_at")},
    "config_pauses": {"config": ALL},
    "config_revisions": {"config": ALL, "report": updates("report_pending_since")},
    "config_changes": {"config": INSERTS},
    "config_resources": {"config": ALL},
    "config_adoptions": {"config": ALL},
    "config_previews": {
        "config": ALL,
        "report": updates("report_pending_since", "looked_at", "found_closed_at", "requested_at"),
    },
    "config_drift": {"config": ALL},
    "config_turns": {"config": updates("done_at")},
    "evaluations": {"evaluate": ALL, "report": updates("notification_pending_since")},
    "evaluation_errors": {"evaluate": ALL},
    "webhook_deliveries": {"tables": INSERTS},
    "derivations": {
        "evaluate": ADDS_DERIVATIONS,
        "build": SETTLES_DERIVATIONS,
        "cache": updates("cached_at"),
    },
    "derivation_inputs": {"evaluate": INSERTS},
    "derivation_outputs": {"evaluate": INSERTS, "build": updates("path", "nar_hash", "nar_size")},
    "derivation_demands": {"build": ALL},
    "failed_paths_cache": {"build": ALL},
    "cache_paths": {"cache": ALL},
    "builds": {
        "evaluate": INSERTS,
        "build": SETTLES_BUILDS,
        "report": updates("notification_pending_since"),
    },
    "build_dependencies": {"evaluate": INSERTS},
    "build_steps": {"build": ALL},
    "build_products": {"build": ALL},
    "build_metrics": {"build": ALL},
    "notification_tasks": {"report": ALL},
    "audit_events": {"access": INSERTS},
    # Their writers come with sign-in and with the worker manager.
    "user_sessions": {},
    "starred_jobs": {},
    "workers": {},
    "worker_pool_errors": {},
}

COMPUTED: dict[str, Iterable[str]] = {
    # Files that put a table's name into a statement at run time, and the tables they do it with.
    "fc/config/rows.py": {rule.table for rule in RULES.values()},
}


def package_of(name: str) -> str:
    """The package below ``fc`` that a file belongs to; a module at its top is its own."""
    return Path(name).parts[1].removesuffix(".py")


def all_writes() -> list[tuple[str, Write]]:
    """Every writing statement of the package, by file; those put together at run time once for each table."""
    found = []
    for path in sorted([*(ROOT / "fc").rglob("*.py"), *(ROOT / "fc").rglob("*.sql")]):
        name = str(path.relative_to(ROOT))
        for write in writes_of(path):
            tables = [write.table] if write.table else COMPUTED.get(name, [""])
            found += [(name, Write(write.line, write.verb, table, write.columns)) for table in tables]
    return found


WRITES = all_writes()


def test_every_table_has_an_entry() -> None:
    assert set(WRITERS) == {table._meta.tablename for table in APP_CONFIG.table_classes}


def test_nobody_writes_a_table_who_is_not_listed_as_its_writer() -> None:
    trespasses = [
        f"{name}:{write.line}: {write.verb} {write.table or 'a table that cannot be read'}"
        f" {sorted(write.columns) if write.columns else ''}"
        for name, write in WRITES
        if not (right := WRITERS.get(write.table, {}).get(package_of(name))) or not right.allows(write)
    ]
    assert trespasses == []


def test_every_listed_writer_writes() -> None:
    writing = {(write.table, package_of(name)) for name, write in WRITES}
    listed = {(table, package) for table, writers in WRITERS.items() for package in writers}
    assert sorted(listed - writing) == []


def test_every_file_listed_for_computed_statements_has_one() -> None:
    computing = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "fc").rglob("*.py")
        if any(not write.table for write in writes_of(path))
    }
    assert computing == set(COMPUTED)


def test_every_listed_column_exists() -> None:
    columns = {
        table._meta.tablename: {column._meta.name for column in table._meta.columns}
        for table in APP_CONFIG.table_classes
    }
    unknown = [
        f"{table}.{column}"
        for table, writers in WRITERS.items()
        for right in writers.values()
        for column in sorted((right.columns or frozenset()) - columns[table])
    ]
    assert unknown == []


def test_nobody_writes_through_piccolo() -> None:
    outside = [
        str(path.relative_to(ROOT))
        for path in (ROOT / "fc").rglob("*.py")
        if package_of(str(path.relative_to(ROOT))) != "tables"
        and re.search(r"^\s*(?:from|import) piccolo\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert outside == []


def test_the_page_about_the_schema_names_the_same_writers() -> None:
    rows = re.findall(r"^\| `(\w+)` \|[^|]*\| ([^|]*) \|$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    named = {
        table: sorted(re.findall(r"\b[a-z]+\b", writers.replace("nobody yet", ""))) for table, writers in rows
    }
    assert named == {table: sorted(writers) for table, writers in WRITERS.items()}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ('"INSERT INTO builds (id) VALUES ($1)"', [("insert", "builds", [])]),
        ('"insert into Builds AS b DEFAULT VALUES"', [("insert", "builds", [])]),
        (
            '"INSERT INTO builds (id) SELECT 1 ON CONFLICT (id) DO UPDATE SET status = EXCLUDED.status, keep = true"',
            [("insert", "builds", []), ("update", "builds", ["keep", "status"])],
        ),
        (
            '"WITH a AS (INSERT INTO builds VALUES (1)) INSERT INTO users VALUES (1) ON CONFLICT DO UPDATE SET id = 1"',
            [("insert", "builds", []), ("insert", "users", []), ("update", "users", ["id"])],
        ),
        (
            "'UPDATE builds AS b SET status = CASE WHEN a IS DISTINCT FROM c THEN 1 END, outputs = f(1, 2), \"keep\" = (SELECT 1 FROM t) FROM d'",
            [("update", "builds", ["keep", "outputs", "status"])],
        ),
        (
            '"UPDATE builds SET (status, keep) = (1, 2) WHERE id = $1"',
            [("update", "builds", ["keep", "status"])],
        ),
        ('"UPDATE ONLY public.builds b SET keep = true"', [("update", "builds", ["keep"])]),
        ('f"UPDATE builds SET {column} = 1"', [("update", "builds", [""])]),
        ('f"UPDATE {table} SET keep = true"', [("update", "", ["keep"])]),
        ('"UPDATE " + table + " SET keep = true"', [("update", "", ["keep"])]),
        ('"DELETE FROM %s" % table', [("delete", "", [])]),
        ('"delete from {} where x".format(table)', [("delete", "", [])]),
        ('"DELETE FROM builds " "WHERE id = $1"', [("delete", "builds", [])]),
        ('"TRUNCATE TABLE builds"', [("delete", "builds", [])]),
        ('"COPY builds (id, keep) FROM STDIN"', [("insert", "builds", [])]),
        ('c.copy_records_to_table("builds", records=rows)', [("insert", "builds", [])]),
        ("c.copy_records_to_table(name, records=rows)", [("insert", "", [])]),
        (
            '"MERGE INTO builds USING x ON y"',
            [("delete", "builds", []), ("insert", "builds", []), ("update", "builds", [""])],
        ),
        ('"SELECT id FROM builds FOR UPDATE SKIP LOCKED"', []),
        ('"SELECT id FROM builds b FOR UPDATE OF b SKIP LOCKED"', []),
        ('"COPY builds TO STDOUT"', []),
        ('def f():\n    """UPDATE builds SET x = 1 is what this does not do."""', []),
    ],
)
def test_what_a_statement_writes_is_read_from_it(
    tmp_path: Path, source: str, expected: list[tuple[str, str, list[str]]]
) -> None:
    file = tmp_path / "statement.py"
    file.write_text(f"x = {source}\n" if not source.startswith("def") else source, encoding="utf-8")

    found = sorted((write.verb, write.table, sorted(write.columns)) for write in writes_of(file))

    assert found == expected


def test_a_right_ends_at_its_columns() -> None:
    assert updates("keep").allows(Write(1, "update", "builds", frozenset({"keep"})))
    assert not updates("keep").allows(Write(1, "update", "builds", frozenset({"keep", "status"})))
    assert not updates("keep").allows(Write(1, "update", "builds", frozenset({""})))
    assert not updates("keep").allows(Write(1, "delete", "builds"))
    assert not INSERTS.allows(Write(1, "update", "builds", frozenset({"keep"})))
