"""The page of what was reported to forges and elsewhere."""

from dataclasses import replace
from typing import Any

from litestar import Request, Response

from fc.base.database import Database
from fc.tables.overview_queries import NotificationRow, recent_notifications
from fc.web.rendering import Pages
from fc.web.routing import cursor, live, page
from fc.web.statuses import Look, look
from fc.web.topics import Topics

_TASKS = 50
_STATUSES = {"pending", "running", "completed", "failed"}


def task_look(task: NotificationRow) -> Look:
    """How a delivery stands."""
    if task.status == "pending":
        return Look("will be tried again", "warn", "warn") if task.attempts else Look("waits", "wait", "wait")
    if task.status == "running":
        return Look("being sent", "busy", "busy")
    return Look("given up", "bad", "bad") if task.status == "failed" else look(task.status)


@page("/notifications")
async def notifications_page(
    request: Request[Any, Any, Any], database: Database, pages: Pages, topics: Topics
) -> Response[str]:
    """What was reported, and what stands in the way of the rest."""
    current = await live(topics, "notifications")
    asked = request.query_params.get("status")
    chosen = asked if asked in _STATUSES else None
    start = cursor(request.query_params.get("before"))
    tasks = await recent_notifications(database, status=chosen, before=start, limit=_TASKS + 1)
    return pages.response(
        request,
        "notifications.html",
        live=replace(current, unfinished=any(task.status in {"pending", "running"} for task in tasks)),
        tasks=tasks[:_TASKS],
        chosen=chosen,
        older=tasks[_TASKS - 1].id if len(tasks) > _TASKS else None,
        task_look=task_look,
    )
