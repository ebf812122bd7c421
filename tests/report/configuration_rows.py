"""Rows that following configuration repositories writes: revisions and previews, flagged to be reported."""

import uuid
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import msgspec

from fc.base.database import Database
from fc.base.settings import Settings
from fc.base.source_settings import AppSettings, ConfigurationSettings, ReportSettings, SourceSettings
from tests.report.rows import COMMIT
from tests.support.github import APP, INSTALLATION

DIGEST = "0123456789abcdef" * 4
HEAD = "d" * 40
REPORT = ReportSettings("github", "ops/fc", token="forge-token")
WITH_APP = ReportSettings("github", "ops/fc", app=AppSettings(APP, INSTALLATION, "app-key"))


def reported(
    settings: Settings,
    report: ReportSettings | None,
    path: str = ".",
    others: Mapping[str, ReportSettings] = MappingProxyType({}),
) -> Settings:
    """``settings`` that follow the default source, reported as ``report`` says, and others by name."""
    url = "https://git.example.org/ops/fc.git"
    configuration = ConfigurationSettings(
        url=url,
        path=path,
        report=report,
        sources={name: SourceSettings(url=url, report=one) for name, one in others.items()},
    )
    return msgspec.structs.replace(settings, configuration=configuration)


async def revision(database: Database, status: str = "applied", **columns: Any) -> uuid.UUID:
    """A revision, newer than those before."""
    return await _insert(
        database,
        "config_revisions",
        {
            "source": "default",
            "commit_hash": COMMIT,
            "status": status,
            "plan": {"digest": DIGEST, "summary": {"create": 3, "update": 1, "delete": 0}, "reasons": []},
        }
        | columns,
    )


async def preview(database: Database, number: int = 7, status: str = "pending", **columns: Any) -> uuid.UUID:
    """A preview; one that is there becomes what is said."""
    return await _insert(
        database,
        "config_previews",
        {"source": "default", "number": number, "head_hash": HEAD, "status": status} | columns,
        "ON CONFLICT (source, number) DO UPDATE SET status = excluded.status, plan = excluded.plan, "
        "errors = excluded.errors, message = excluded.message, head_hash = excluded.head_hash, "
        "report_pending_since = excluded.report_pending_since",
    )


def planned(*changes: dict[str, Any], reasons: tuple[str, ...] = ()) -> dict[str, Any]:
    """A plan as a preview has it, with everything that others may read in it."""
    summary = {"create": 0, "update": 0, "delete": 0}
    for change in changes:
        summary[change["action"]] += 1
    return {"digest": DIGEST, "summary": summary, "reasons": list(reasons), "changes": list(changes)}


def change(number: int, action: str = "create", **values: Any) -> dict[str, Any]:
    """One of a plan's changes, at line ``number``."""
    return {
        "action": action,
        "kind": "jobset",
        "key": f"hello/j{number}",
        "effect": "created",
        "file": "projects.yaml",
        "line": number,
        "fields": [{"field": "branch", "before": None, "after": "main"}],
    } | values


def problem(number: int, message: str = "unknown key") -> dict[str, Any]:
    """An error as rows hold it."""
    return {"file": "projects.yaml", "line": number, "column": 3, "message": message}


async def flags(database: Database) -> int:
    """How many are flagged."""
    count: int = await database.fetchval(
        """SELECT (SELECT count(*) FROM config_revisions WHERE report_pending_since IS NOT NULL)
                + (SELECT count(*) FROM config_previews WHERE report_pending_since IS NOT NULL)"""
    )
    return count


async def _insert(database: Database, table: str, columns: dict[str, Any], conflict: str = "") -> uuid.UUID:
    names = ", ".join(columns)
    places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    found: uuid.UUID = await database.fetchval(
        f"""INSERT INTO {table} ({names}, report_pending_since) VALUES ({places}, clock_timestamp())
        {conflict} RETURNING id""",
        *columns.values(),
    )
    return found
