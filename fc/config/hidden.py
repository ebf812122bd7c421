"""Values that only the service knows, kept out of previews: what stands for them, and how they compare. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from fc.config.compile import Resource, ResourceId, content_hash
from fc.config.diff import Owned
from fc.config.language import KIND_BY_NAME, Fields
from fc.config.redaction import redacted_value

_MARK = "\ufdd0"
"""A character that no text is made of: it tells what stands for a variable from a text of the same letters."""


def hidden_variable(name: str) -> str:
    """What stands for the value of a variable."""
    return f"{_MARK}!env {name}"


def is_hidden(value: Any) -> bool:
    """Whether a value is, or holds, one that only the service knows."""
    if isinstance(value, dict):
        return value.keys() == {"encrypted"} or any(is_hidden(one) for one in value.values())
    if isinstance(value, list):
        return any(is_hidden(one) for one in value)
    return isinstance(value, str) and value.startswith(_MARK)


def shown(value: Any) -> Any:
    """A value of one field for people."""
    if isinstance(value, list):
        return [shown(one) for one in value]
    if isinstance(value, str):
        return f"«{value.removeprefix(_MARK)}»" if value.startswith(_MARK) else value
    found = redacted_value(value)
    return {name: shown(one) for name, one in found.items()} if isinstance(found, dict) else found


def known_part(resource: Resource) -> Resource:
    """The resource without the fields that only the service knows."""
    fields = {name: value for name, value in resource.fields.items() if not is_hidden(value)}
    return resource if len(fields) == len(resource.fields) else replace(resource, fields=fields)


def without_seals(inventory: Iterable[Owned]) -> list[Owned]:
    """``inventory`` as it would be if no content hash had a secret's hash in it: then none can be guessed from it."""
    return [
        replace(one, content_hash=content_hash(one.fields))
        if KIND_BY_NAME[one.kind].sealed is not None and one.fields is not None
        else one
        for one in inventory
    ]


def settle(
    resources: Mapping[ResourceId, Resource],
    base: Mapping[ResourceId, Resource],
    inventory: Iterable[Owned],
) -> dict[ResourceId, Resource]:
    """``resources`` with what is in force in place of what is hidden and written as it was before.

    So a value that only the service knows is a change exactly when another one is written, whatever either of them is.

    Args:
        resources: what would be declared.
        base: what is declared now, read in the same way.
        inventory: what is in force, with the contents of everything that differs.
    """
    owned = {(one.kind, one.key): one for one in inventory}
    settled = dict(resources)
    for identity, resource in resources.items():
        one = owned.get(identity)
        hidden = [name for name, value in resource.fields.items() if is_hidden(value)]
        if one is None or one.fields is None or not hidden:
            continue
        before = base.get((one.kind, one.was or one.key))
        known: Fields = {
            name: one.fields[name]
            for name in hidden
            if before is not None and name in one.fields and before.fields.get(name) == resource.fields[name]
        }
        fields = {**resource.fields, **known}
        settled[identity] = replace(resource, fields=fields, content_hash=content_hash(fields))
    return settled
