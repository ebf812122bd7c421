"""Renames: what git owns, under the names that ``renamed_from`` gives it. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

from fc.base.problems import Problem
from fc.config.compile import Resource, ResourceId
from fc.config.diff import Owned
from fc.config.errors import ConfigurationError
from fc.config.language import KIND_BY_NAME, KIND_ORDER


def follow_renames(inventory: Iterable[Owned], resources: Mapping[ResourceId, Resource]) -> list[Owned]:
    """The inventory under the names that ``resources`` give it; ``was`` says the name it still has.

    What stands inside a renamed project or jobset is renamed with it, and so are memberships of a renamed user. A rename that has been done, or of something
    that git does not own, is none.

    Raises:
        ConfigurationError: git owns both names.
    """
    renames = sorted(
        (one for one in resources.values() if one.renamed_from is not None),
        key=lambda one: KIND_ORDER[one.kind],
    )
    heads = list(inventory)
    if not renames:
        return heads
    owned = {(one.kind, one.key): one for one in heads}
    problems = []
    for resource in renames:
        assert resource.renamed_from is not None
        old = resource.renamed_from.key
        if (resource.kind, old) not in owned:
            continue
        if resource.id in owned:
            message = f"git owns both {resource.key!r} and {old!r}, so this is no rename; take out renamed_from, or rename to a new name"
            problems.append(_problem(resource, message))
            continue
        owned = _renamed(owned, resource.kind, old, resource.key)
    if problems:
        raise ConfigurationError(problems)
    return list(owned.values())


def _renamed(owned: Mapping[ResourceId, Owned], kind: str, old: str, new: str) -> dict[ResourceId, Owned]:
    """``owned`` after one rename."""
    inside = _inside(kind)
    moved: dict[ResourceId, Owned] = {}
    for one in owned.values():
        key = one.key
        if one.kind == kind and key == old:
            key = new
        elif one.kind in inside and key.startswith(f"{old}/"):
            key = new + key.removeprefix(old)
        elif kind == "user" and one.kind == "member" and key.endswith(f"/{old}"):
            key = key.removesuffix(old) + new
        if key != one.key:
            one = replace(one, key=key, was=one.was or one.key)  # noqa: PLW2901 - the same one by its new name
        moved[one.kind, one.key] = one
    return moved


def _inside(kind: str) -> set[str]:
    """Kinds whose keys begin with the key of a ``kind``."""
    return {name for name in KIND_BY_NAME if _contains(kind, KIND_BY_NAME[name].parent)}


def _contains(kind: str, parent: str | None) -> bool:
    return parent is not None and (parent == kind or _contains(kind, KIND_BY_NAME[parent].parent))


def _problem(resource: Resource, message: str) -> Problem:
    assert resource.renamed_from is not None
    line, column = resource.renamed_from.place
    return Problem(resource.file, line, column, f"renamed_from: {message}")
