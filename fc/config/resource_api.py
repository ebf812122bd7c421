"""Routes of single resources: shown, and made by hand. What git owns is refused with the place that owns it."""

import uuid
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import unquote

import msgspec
from litestar import Request, delete, get, put
from litestar.params import JSONBody, Parameter

from fc.access.guards import principal, requires
from fc.base.database import Database
from fc.base.errors import InvalidInputError
from fc.base.secrets import Secrets
from fc.config.hand_declarations import node_of
from fc.config.hand_reads import list_resources
from fc.config.hand_writes import remove_resource, set_resource, show_resource
from fc.config.history import changes_of
from fc.config.kind_names import kind_named
from fc.config.language import Fields
from fc.config.owners import Owner

_ONE = "/api/v1/resources/{kind:str}/{key:path}"
_HISTORY = 50
_SEGMENTS = 5
"""Slashes before the key."""


class ResourceOwner(msgspec.Struct, frozen=True):
    """The place in a configuration repository that owns a row."""

    source: str
    file: str
    line: int


class ResourceItem(msgspec.Struct, frozen=True):
    """A row that configuration or a person made."""

    kind: str
    key: str
    owner: ResourceOwner | None
    """None: it was made by hand, or git has let go of it."""


class ResourcePage(msgspec.Struct, frozen=True):
    """Some of the resources, by kind and key."""

    items: list[ResourceItem]
    next: str | None
    """``after`` of the following page; none: this is the last."""


class ResourceChange(msgspec.Struct, frozen=True):
    """What a revision did to a resource. Secrets are shown by their names."""

    revision_id: uuid.UUID
    commit_hash: str | None
    author: str | None
    subject: str | None
    action: str
    before: Fields | None
    after: Fields | None
    file: str | None
    line: int | None
    created_at: datetime


class ResourceDetail(msgspec.Struct, frozen=True):
    """A resource as its row says, who owns it, and what git has done to it."""

    kind: str
    key: str
    fields: Fields | None
    """None: git owns it, but its row is gone. Secrets are shown by their names."""
    owner: ResourceOwner | None
    last_revision: uuid.UUID | None
    updated_at: datetime | None
    """When git changed it last."""
    history: list[ResourceChange]
    """What git has done to it, newest first."""


class ResourceWritten(msgspec.Struct, frozen=True):
    """What became of a resource."""

    kind: str
    key: str
    created: bool
    """False: it was there, and says what was sent now."""


@get("/api/v1/resources", guards=[requires("configure")], tags=["resources"], summary="All resources")
async def get_resources(
    database: Database,
    kind: Annotated[str | None, Parameter(description="Only these, such as jobset.")] = None,
    after: Annotated[str | None, Parameter(description="Only those after this kind/key.")] = None,
    limit: Annotated[int, Parameter(ge=1, le=500, description="How many.")] = 100,
) -> ResourcePage:
    """Everything that configuration or people have made, and who owns it."""
    start = None
    if after is not None:
        named, slash, key = after.partition("/")
        if not slash:
            message = "after is written kind/key, as next of the page before"
            raise InvalidInputError(message)
        start = (kind_named(named).name, key)
    chosen = None if kind is None else kind_named(kind)
    found = await list_resources(database, kind=chosen, after=start, limit=limit + 1)
    items = [ResourceItem(one.kind, one.key, _owner(one.source, one.file, one.line)) for one in found[:limit]]
    following = f"{items[-1].kind}/{items[-1].key}" if len(found) > limit else None
    return ResourcePage(items, following)


@get(_ONE, guards=[requires("configure")], tags=["resources"], summary="A resource")
async def get_resource(
    request: Request[Any, Any, Any], database: Database, kind: str, key: str
) -> ResourceDetail:
    """What a resource says, which file and line owns it, and what git has done to it."""
    shown = await show_resource(database, kind_named(kind), _key(request, key))
    changes = await changes_of(database, shown.kind, shown.key, limit=_HISTORY)
    owner: Owner | None = shown.owner
    return ResourceDetail(
        shown.kind,
        shown.key,
        shown.fields,
        None if owner is None else ResourceOwner(owner.source, owner.file, owner.line),
        shown.last_revision,
        None if owner is None else owner.updated_at,
        [ResourceChange(**one._asdict()) for one in changes],
    )


@put(
    _ONE,
    status_code=200,
    guards=[requires("configure")],
    tags=["resources"],
    summary="Make a resource by hand",
)
async def put_resource(
    request: Request[Any, Any, Any],
    database: Database,
    secrets: Secrets,
    kind: str,
    key: str,
    data: JSONBody[dict[str, Any]],
) -> ResourceWritten:
    """Make a row, or have it say what is sent: fields as in YAML, a secret as ``{"secret": name}``.

    Fields that are not sent have their defaults. What git owns is refused.
    """
    chosen, name = kind_named(kind), _key(request, key)
    written = await set_resource(
        database, chosen, name, node_of(data), secrets.reveal, actor=principal(request).actor
    )
    return ResourceWritten(chosen.name, name, written.before is None)


@delete(
    _ONE, status_code=204, guards=[requires("configure")], tags=["resources"], summary="Remove a resource"
)
async def delete_resource(request: Request[Any, Any, Any], database: Database, kind: str, key: str) -> None:
    """Remove a row: what has a history is disabled and keeps it, everything else is deleted. What git owns is refused."""
    await remove_resource(database, kind_named(kind), _key(request, key), actor=principal(request).actor)


def _key(request: Request[Any, Any, Any], found: str) -> str:
    """The key as it was sent: the framework takes two slashes for one, and a key may hold them."""
    raw = request.scope.get("raw_path")
    parts = (raw or b"").partition(b"?")[0].split(b"/", _SEGMENTS)
    return unquote(parts[_SEGMENTS]) if len(parts) > _SEGMENTS else found.removeprefix("/")


def _owner(source: str | None, file: str | None, line: int | None) -> ResourceOwner | None:
    if source is None or file is None or line is None:
        return None
    return ResourceOwner(source, file, line)


ROUTES = [get_resources, get_resource, put_resource, delete_resource]
"""What the application serves of single resources."""
