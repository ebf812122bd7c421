"""Routes of previews: pull requests on configuration repositories, and what each would change."""

import uuid
from typing import Annotated

import msgspec
from litestar import get
from litestar.params import Parameter

from fc.base.database import Database
from fc.base.errors import NotFoundError
from fc.tables.preview_queries import ConfigPreview, PreviewDetail, config_preview, config_previews

_PREVIEW = "preview"


class PreviewPage(msgspec.Struct, frozen=True):
    """Some of the pull requests, newest first."""

    items: list[ConfigPreview]
    next: uuid.UUID | None
    """``before`` of the following page; none: this is the last."""


@get(
    "/api/v1/configuration/previews",
    tags=["configuration"],
    summary="Pull requests on configuration repositories",
)
async def list_configuration_previews(
    database: Database,
    before: Annotated[uuid.UUID | None, Parameter(description="Only older than this one.")] = None,
    limit: Annotated[int, Parameter(ge=1, le=200, description="How many.")] = 50,
    closed: Annotated[bool, Parameter(description="Also those that were merged or closed.")] = False,  # noqa: FBT002 - a query parameter
) -> PreviewPage:
    """What pull requests would change, newest first; those that are open unless all are asked for."""
    found = await config_previews(database, before=before, limit=limit + 1, closed=closed)
    return PreviewPage(found[:limit], found[limit - 1].id if len(found) > limit else None)


@get(
    "/api/v1/configuration/previews/{source:str}/{number:int}",
    tags=["configuration"],
    summary="What one pull request would change",
)
async def get_configuration_preview(database: Database, source: str, number: int) -> PreviewDetail:
    """The plan of a pull request in full, or why it cannot be merged. Nothing of it was applied."""
    found = await config_preview(database, source, number)
    if found is None:
        raise NotFoundError(_PREVIEW, f"{source}/{number}")
    return found


ROUTES = [list_configuration_previews, get_configuration_preview]
"""What the application serves of previews."""
