"""Pages of single resources: what is in force, who owns it, everything that was done to it."""

from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response

from fc.base.database import Database
from fc.tables.config_resource_queries import (
    declared_rows,
    find_resource,
    list_resources,
    owned_kinds,
    resource_changes,
)
from fc.tables.config_source_queries import find_source, owned_counts
from fc.tables.drift_queries import drift_of
from fc.web.configuration_shown import changed, difference
from fc.web.rendering import Pages, jobset_url, project_url
from fc.web.routing import cursor, page, rest_of_path

_CHANGES = 20
_RESOURCES = 100
_NEAR = 8
_LONGEST_KEY = 1000
_INSIDE = {"project": "jobset", "jobset": "input"}
"""What is declared inside of what, most of all."""


@page("/configuration/resources")
async def resources_page(request: Request[Any, Any, Any], database: Database, pages: Pages) -> Response[str]:
    """Everything of one kind that git owns, in pages."""
    source = _text(request.query_params.get("source", ""))
    owned = await owned_counts(database, source or None)
    asked = _kind(request.query_params.get("kind", ""))
    kind = asked or next(iter(owned), "")
    prefix, after = (_text(request.query_params.get(name, "")) for name in ("prefix", "after"))
    rows = await list_resources(
        database, kind, prefix=prefix, after=after, limit=_RESOURCES + 1, source=source or None
    )
    more = rows[_RESOURCES - 1].key if len(rows) > _RESOURCES else None
    return pages.response(
        request,
        "configuration/resources.html",
        owned=owned,
        kind=kind,
        source=source,
        prefix=prefix,
        after=after,
        rows=rows[:_RESOURCES],
        following="?"
        + urlencode({"kind": kind, "prefix": prefix, "after": more} | ({"source": source} if source else {}))
        if more
        else None,
    )


@page("/configuration/resources/{kind:str}/{key:path}")
async def resource_page(
    request: Request[Any, Any, Any],
    database: Database,
    pages: Pages,
    kind: str,
    key: Path,  # noqa: ARG001 - it would join slashes that belong to the key
) -> Response[str]:
    """One resource, in force or gone, with its whole history a page at a time."""
    named = _text(rest_of_path(request, "/configuration/resources/").partition("/")[2])
    name = _kind(kind)
    start = cursor(request.query_params.get("before"))
    resource = await find_resource(database, name, named)
    changes = await resource_changes(database, name, named, before=start, limit=_CHANGES + 1)
    if resource is None and not changes and start is None:
        return await _unknown(request, database, pages, name, named)
    owner = resource.source if resource else changes[0].source if changes else None
    return pages.response(
        request,
        "configuration/resource.html",
        kind=name,
        key=named,
        resource=resource,
        drift=await drift_of(database, name, named) if resource else None,
        fields=difference(None, resource.content) if resource else [],
        source=await find_source(database, owner) if owner else None,
        thing=await _thing(database, name, named),
        inside=_INSIDE.get(name),
        changes=[(change, changed_fields(change)) for change in changes[:_CHANGES]],
        before=start,
        older=changes[_CHANGES - 1].id if len(changes) > _CHANGES else None,
    )


def changed_fields(change: Any) -> list[tuple[str, str, str]]:
    """The fields of one change; of the old key of what was renamed, none: they stand under the new one."""
    if change.action == "rename" and change.after is None:
        return []
    return changed(change).lines


async def _unknown(
    request: Request[Any, Any, Any], database: Database, pages: Pages, kind: str, key: str
) -> Response[str]:
    """A page that helps whoever mistyped, or asks for what was made by hand."""
    kinds = await owned_kinds(database)
    near = []
    for prefix in (key, key.rpartition("/")[0], key[:3], ""):
        near = await list_resources(database, kind, prefix=prefix, limit=_NEAR)
        if near:
            break
    return pages.response(
        request,
        "configuration/unknown_resource.html",
        status_code=404,
        kind=kind,
        key=key,
        kinds=kinds,
        near=near,
        thing=await _thing(database, kind, key),
    )


async def _thing(database: Database, kind: str, key: str) -> tuple[str, str, bool] | None:
    """The page of what a resource is, or stands in: its address, what it shows, and whether it is the thing itself."""
    project, _, rest = key.partition("/")
    jobset = rest.partition("/")[0]
    if kind in {"user", "role", "api_key", "worker_pool"}:
        return None
    found = await declared_rows(database, kind, key)
    if "remote_builder" in found:
        return "/builders", "Builders", True
    if "jobset" in found and kind in {"jobset", "input"}:
        return jobset_url(project, jobset), f"Jobset {project}/{jobset}", kind == "jobset"
    if "project" in found:
        return project_url(project), f"Project {project}", kind == "project"
    return None


def _kind(text: str) -> str:
    return _text(text).replace("-", "_")[:50]


def _text(text: str) -> str:
    """What may be asked for: PostgreSQL takes no zero bytes, and keys are not endless."""
    return text.replace("\0", "")[:_LONGEST_KEY]
