"""Badges: the state of a jobset as a small picture for a README."""

import hashlib
from typing import Any

from litestar import Request, Response
from litestar.status_codes import HTTP_304_NOT_MODIFIED
from markupsafe import Markup

from fc.base.database import Database
from fc.base.errors import NotFoundError
from fc.tables.evaluation_queries import find_jobset
from fc.tables.project_queries import latest_evaluations
from fc.web.routing import page
from fc.web.statuses import Tone, evaluation_look

_COLOURS: dict[Tone, str] = {
    "good": "#187243",
    "bad": "#bb2a24",
    "warn": "#8a5800",
    "busy": "#0a58a6",
    "wait": "#5a626a",
    "off": "#646b73",
}
_SVG = Markup(
    '<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="20" role="img" aria-label="{left}: {right}">'
    "<title>{left}: {right}</title>"
    '<clipPath id="r"><rect width="{width}" height="20" rx="4"/></clipPath><g clip-path="url(#r)">'
    '<rect width="{split}" height="20" fill="#3b4248"/><rect x="{split}" width="{rest}" height="20" fill="{colour}"/></g>'
    '<g fill="#fff" font-family="Verdana,DejaVu Sans,Geneva,sans-serif" font-size="11" text-anchor="middle">'
    '<text x="{left_middle}" y="14" textLength="{left_length}">{left}</text>'
    '<text x="{right_middle}" y="14" textLength="{right_length}">{right}</text></g></svg>'
)
_MARGIN = 14
_LONGEST = 60


@page("/projects/{project:str}/jobsets/{jobset:str}/badge.svg")
async def badge(
    request: Request[Any, Any, Any], database: Database, project: str, jobset: str
) -> Response[str]:
    """The state of a jobset by its newest evaluation; pull requests never show here."""
    found = await find_jobset(database, project, jobset)
    if found is None:
        kind = "jobset"
        raise NotFoundError(kind, f"{project}/{jobset}")
    latest = (await latest_evaluations(database, jobset=found.id)).get(found.id)
    shown = evaluation_look(latest) if latest is not None else None
    text = draw(jobset, shown.word if shown else "never evaluated", shown.tone if shown else "off")
    tag = f'"{hashlib.sha256(text.encode()).hexdigest()[:24]}"'
    headers = {"Cache-Control": "no-cache", "ETag": tag}
    if tag in request.headers.get("if-none-match", ""):
        return Response("", status_code=HTTP_304_NOT_MODIFIED, headers=headers, media_type="image/svg+xml")
    return Response(text, headers=headers, media_type="image/svg+xml")


def draw(left: str, right: str, tone: Tone) -> str:
    """The picture: ``left`` on dark, ``right`` on the colour of its tone."""
    left = left if len(left) <= _LONGEST else left[: _LONGEST - 1] + "…"
    left_length, right_length = _length(left), _length(right)
    split, rest = left_length + _MARGIN, right_length + _MARGIN
    return str(
        _SVG.format(
            width=split + rest,
            split=split,
            rest=rest,
            colour=_COLOURS[tone],
            left=left,
            right=right,
            left_middle=split / 2,
            right_middle=split + rest / 2,
            left_length=left_length,
            right_length=right_length,
        )
    )


def _length(text: str) -> int:
    """About how many pixels ``text`` takes at 11 pixels of height; ``textLength`` makes it exact."""
    narrow = sum(character in "fijlrt.,:;|!'()[] " for character in text)
    return round((len(text) - narrow) * 7.0 + narrow * 4.4)
