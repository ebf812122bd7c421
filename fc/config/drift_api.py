"""Routes of drift: what is not as git says, and putting it right."""

import uuid
from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.params import JSONBody, Parameter

from fc.access.guards import principal, requires
from fc.base.database import Database
from fc.base.secrets import Secrets
from fc.config.heal import heal_one
from fc.config.kind_names import kind_named
from fc.tables.drift_queries import RecordedDrift, drift_compared_at, recorded_drift


class DriftPage(msgspec.Struct, frozen=True):
    """Some of the resources whose rows are not, or were not, as git says; newest first."""

    items: list[RecordedDrift]
    next: uuid.UUID | None
    """``before`` of the following page; none: this is the last."""
    compared_at: datetime | None
    """When the service last compared rows with git; none: never."""


class ResourceName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A resource."""

    kind: str
    """Such as ``jobset``."""
    key: str
    """Such as ``hello/main``."""


class HealedResources(msgspec.Struct, frozen=True):
    """What was written as git says."""

    healed: list[ResourceName]
    """Empty: it agreed already."""


@get("/api/v1/configuration/drift", tags=["configuration"], summary="Rows that are not as git says")
async def get_configuration_drift(
    database: Database,
    ended: Annotated[bool, Parameter(description="Those that were healed, or agree again.")] = False,  # noqa: FBT002 - a parameter of the query
    before: Annotated[uuid.UUID | None, Parameter(description="Only older than this one.")] = None,
    limit: Annotated[int, Parameter(ge=1, le=500, description="How many.")] = 100,
) -> DriftPage:
    """Where rows say something else than git, because somebody changed them by hand: since when and by whom."""
    found = await recorded_drift(database, ended=ended, before=before, limit=limit + 1)
    following = found[limit - 1].id if len(found) > limit else None
    return DriftPage(found[:limit], following, await drift_compared_at(database))


@post(
    "/api/v1/configuration/drift/heal",
    status_code=200,
    guards=[requires("configure")],
    tags=["configuration"],
    summary="Write a row as git says",
)
async def heal_drift(
    request: Request[Any, Any, Any], database: Database, secrets: Secrets, data: JSONBody[ResourceName]
) -> HealedResources:
    """Write a row that was changed by hand as git says, and what was lost with it."""
    kind = kind_named(data.kind).name
    done = await heal_one(database, kind, data.key, secrets.reveal, actor=principal(request).actor)
    return HealedResources([ResourceName(*one) for one in done])


ROUTES = [get_configuration_drift, heal_drift]
"""What the application serves of drift."""
