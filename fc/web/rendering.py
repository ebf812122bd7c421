"""Pages out of templates: every value escaped, every page with a validator for its content."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from litestar import Request, Response
from litestar.status_codes import HTTP_304_NOT_MODIFIED

from fc import __version__
from fc.web.ansi import last_line, plain, plain_lines
from fc.web.configuration_shown import (
    TONES,
    WORDS,
    changes_in_words,
    counts_in_words,
    kind_name,
    resource_url,
    scope_in_words,
    source_url,
)
from fc.web.forge_links import commit_link, line_link
from fc.web.shown_values import show_value
from fc.web.static_files import StaticFiles
from fc.web.statuses import evaluation_look, jobset_look, look
from fc.web.times import between, duration, elapsed_tag, size, time_tag

_TEMPLATES = Path(__file__).parent / "templates"
_HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Live:
    """How a page keeps itself current."""

    topic: str
    version: str
    """Of the topic, read before the page's own data: a change in between is seen again rather than lost."""
    unfinished: bool = False
    """Something on it will change soon: without scripts the page loads itself again."""


class Pages:
    """Renders templates."""

    def __init__(self, static: StaticFiles) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.globals.update(
            static=static.url,
            look=look,
            evaluation_look=evaluation_look,
            jobset_look=jobset_look,
            between=between,
            project_url=project_url,
            jobset_url=jobset_url,
            source_url=source_url,
            resource_url=resource_url,
            commit_link=commit_link,
            line_link=line_link,
            changes_in_words=changes_in_words,
            counts_in_words=counts_in_words,
            scope_in_words=scope_in_words,
            words=WORDS,
            tones=TONES,
            version=__version__,
        )
        self._environment.filters.update(
            duration=duration,
            size=size,
            plain=plain,
            plain_lines=plain_lines,
            last_line=last_line,
            short=short,
            store_name=store_name,
            value=show_value,
            kind_name=kind_name,
        )

    def render(
        self, template: str, *, now: datetime | None = None, live: Live | None = None, **context: Any
    ) -> str:
        """The text of a page. Its times are seen from ``now``."""
        moment = now or datetime.now(UTC)
        return self._environment.get_template(template).render(
            ago=_seen_from(time_tag, moment),
            elapsed=_seen_from(elapsed_tag, moment),
            now=moment,
            live=live,
            **context,
        )

    def response(
        self,
        request: Request[Any, Any, Any],
        template: str,
        *,
        live: Live | None = None,
        status_code: int = 200,
        **context: Any,
    ) -> Response[str]:
        """The answer to a request for a page: 304 when the browser has it already."""
        text = self.render(template, live=live, path=request.url.path, **context)
        tag = f'W/"{hashlib.sha256(text.encode()).hexdigest()[:24]}"'
        headers = {"Cache-Control": "no-cache", "ETag": tag}
        if status_code < 300 and tag in request.headers.get("if-none-match", ""):  # noqa: PLR2004 - only what was found
            return Response("", status_code=HTTP_304_NOT_MODIFIED, headers=headers, media_type=_HTML)
        return Response(text, status_code=status_code, headers=headers, media_type=_HTML)


def _seen_from(
    tag: Callable[[datetime | None, datetime], Any], now: datetime
) -> Callable[[datetime | None], Any]:
    return lambda moment: tag(moment, now)


def project_url(project: str) -> str:
    """The page of a project."""
    return f"/projects/{quote(project, safe='')}"


def jobset_url(project: str, jobset: str) -> str:
    """The page of a jobset."""
    return f"{project_url(project)}/jobsets/{quote(jobset, safe='')}"


def short(commit: str | None) -> str:
    """The beginning of a commit hash; empty for none."""
    return (commit or "")[:8]


def store_name(path: str | None) -> str:
    """The name in a store path, without directory and hash; of a derivation, without ``.drv``."""
    name = (path or "").rpartition("/")[2].partition("-")[2]
    return name.removesuffix(".drv") or (path or "")
