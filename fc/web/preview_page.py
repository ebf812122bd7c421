"""The page of a pull request on a configuration repository: what merging it would change."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from litestar import Request, Response

from fc.base.database import Database
from fc.base.errors import NotFoundError
from fc.base.problems import Problem
from fc.tables.preview_queries import ConfigPreview, PreviewChange, config_preview, preview_id
from fc.web.configuration_shown import difference
from fc.web.preview_looks import preview_look
from fc.web.rendering import Pages
from fc.web.routing import live, page
from fc.web.topics import Topics

_WOULD = {
    "create": "would add",
    "update": "would change",
    "delete": "would remove",
    "rename": "would rename",
    "adopt": "would adopt",
}
_TONES = {"create": "good", "update": "busy", "delete": "bad", "rename": "busy", "adopt": "busy"}
_PLAIN = {
    "create": "to add",
    "update": "to change",
    "delete": "to remove",
    "rename": "to rename",
    "adopt": "to adopt",
}
_KIND = "preview"
_PAGE = re.compile(
    r"(?P<repository>https?://[^?#\s]+?)/(?P<kind>pull|pulls|-/merge_requests)/[0-9]+", re.ASCII
)
_FILES = {"pull": "blob", "pulls": "src/commit", "-/merge_requests": "-/blob"}
"""Where the files of a commit are on GitHub, on Gitea and Forgejo, and on GitLab."""


@dataclass(frozen=True, slots=True)
class _Shown:
    """A change and its fields, line by line."""

    change: PreviewChange
    lines: list[tuple[str, str, str]]
    link: str | None


@dataclass(frozen=True, slots=True)
class _Linked:
    """A problem, and its line on the forge."""

    problem: Problem
    link: str | None


@page("/configuration/previews/{source:str}/{number:int}")
async def preview_page(
    request: Request[Any, Any, Any],
    database: Database,
    pages: Pages,
    topics: Topics,
    source: str,
    number: int,
) -> Response[str]:
    """One pull request and everything it would change."""
    key = await preview_id(database, source, number)
    current = None if key is None else await live(topics, "preview", key)
    found = await config_preview(database, source, number)
    if current is None or found is None:
        raise NotFoundError(_KIND, f"{source}/{number}")
    preview = found.preview
    return pages.response(
        request,
        "preview.html",
        live=replace(current, unfinished=preview.status == "pending"),
        preview=preview,
        shape=preview_look(preview.status),
        changes=[_shown(preview, change) for change in found.changes],
        more=found.more,
        errors=[_Linked(one, file_link(preview, one.file, one.line)) for one in found.errors],
        changes_in_words=changes_in_words,
        would=_WOULD,
        tones=_TONES,
    )


def changes_in_words(summary: Mapping[str, int]) -> str:
    """How much a plan would change."""
    counts = (f"{count} {_PLAIN.get(action, action)}" for action, count in summary.items() if count)
    return ", ".join(counts) or "nothing"


def file_link(preview: ConfigPreview, file: str, line: int) -> str | None:
    """The page of a line of the head on the forge; none: the forge is not known."""
    found = _PAGE.fullmatch(preview.url or "")
    if found is None:
        return None
    repository, kind = found["repository"], found["kind"]
    path = quote(posixpath.normpath(posixpath.join(preview.path, file)).lstrip("/"))
    return f"{repository}/{_FILES[kind]}/{preview.head_hash}/{path}#L{line}"


def _shown(preview: ConfigPreview, change: PreviewChange) -> _Shown:
    link = None if change.action == "delete" else file_link(preview, change.file, change.line)
    return _Shown(change, difference(change.before, change.after), link)
