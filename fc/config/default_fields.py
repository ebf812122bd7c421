"""The shape of a document: kinds, and ``defaults``, which gives fields to declarations that do not write them."""

from typing import Annotated, Any, get_type_hints

import msgspec
from msgspec import Meta

from fc.config.field_types import Name
from fc.config.language import (
    SECTIONS,
    ApiKey,
    Channel,
    Configuration,
    Jobset,
    Project,
    RemoteBuilder,
    Role,
    User,
    Webhook,
    WorkerPool,
)


class Partial(msgspec.Struct):
    """A shape of which only what is written counts."""


_SHAPES: dict[str, tuple[str, type[msgspec.Struct]]] = {
    "projects": ("project", Project),
    "jobsets": ("jobset", Jobset),
    "webhooks": ("webhook", Webhook),
    "users": ("user", User),
    "api_keys": ("api_key", ApiKey),
    "remote_builders": ("remote_builder", RemoteBuilder),
    "roles": ("role", Role),
    "worker_pools": ("worker_pool", WorkerPool),
}
_OWN = frozenset(
    (
        "repository_url",
        "email",
        "full_name",
        "key",
        "user",
        "ssh_uri",
        "public_host_key",
        "config",
        "renamed_from",
    )
)
"""What is each one's own."""


def _fields(kind: str, shape: type[msgspec.Struct]) -> dict[str, Any]:
    hints = get_type_hints(shape, include_extras=True)
    return {
        one.name: hints[one.name]
        for one in msgspec.structs.fields(shape)
        if one.name not in _OWN and one.name not in SECTIONS.get(kind, {})
    }


KIND_OF: dict[str, str] = {section: kind for section, (kind, _) in _SHAPES.items()}
"""Kinds that have defaults, by section."""
DEFAULTABLE: frozenset[tuple[str, str]] = frozenset(
    (shape.__name__, name) for kind, shape in _SHAPES.values() for name in _fields(kind, shape)
)
"""Names of shapes, with fields that defaults may give."""

_PARTIAL = {
    section: msgspec.defstruct(
        f"{shape.__name__}Defaults",
        [(name, hint, None) for name, hint in _fields(kind, shape).items()],
        bases=(Partial,),
        namespace={"__doc__": f"Fields of every {kind.replace('_', ' ')} that does not write them."},
        forbid_unknown_fields=True,
        kw_only=True,
    )
    for section, (kind, shape) in _SHAPES.items()
}
Defaults = msgspec.defstruct(
    "Defaults",
    [
        (section, Annotated[shape, Meta(description=shape.__doc__ or "")], None)
        for section, shape in _PARTIAL.items()
    ],
    bases=(Partial,),
    namespace={
        "__doc__": "Fields of declarations that do not write them, in the files of this directory and below."
    },
    forbid_unknown_fields=True,
    kw_only=True,
)


class Document(Configuration, forbid_unknown_fields=True, kw_only=True):
    """One document of a configuration repository: a mapping of kinds. Kinds are merged over documents and files."""

    defaults: Annotated[
        Defaults,  # type: ignore[valid-type]  # made from the shapes of the kinds, so that it always knows their fields
        Meta(
            description="Fields of declarations that do not write them, in the files of this directory and below."
        ),
    ] = msgspec.field(default_factory=Defaults)


_OF_JOBSETS = _PARTIAL["jobsets"]
FileDefaults = msgspec.defstruct(
    "FileDefaults",
    [("jobsets", Annotated[_OF_JOBSETS, Meta(description="Of every jobset.")], None)],
    bases=(Partial,),
    namespace={"__doc__": "Fields of jobsets of this file that do not write them."},
    forbid_unknown_fields=True,
    kw_only=True,
)


class ProjectFile(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A project's own file, .fc.yaml at the top of its repository: what the project delegates to it."""

    jobsets: Annotated[dict[Name, Jobset], Meta(description="What is evaluated, by name.")] = {}
    channels: Annotated[dict[Name, Channel], Meta(description="Names for the latest good evaluations.")] = {}
    defaults: Annotated[
        FileDefaults,  # type: ignore[valid-type]  # made from the shape of jobsets, as above
        Meta(description="Fields of jobsets of this file that do not write them."),
    ] = msgspec.field(default_factory=FileDefaults)
