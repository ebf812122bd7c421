"""Prune guards: which plans remove so much that somebody has to say yes to them first. Pure."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping

from fc.config.compile import Resource, ResourceId
from fc.config.diff import Change, Owned, Plan
from fc.config.language import KIND_BY_NAME, Fields

SHARE = 0.25
"""A plan may remove this part of a kind; more is held."""
FEW = 3
"""So many of a kind may always be removed."""
_NAMED = 5
_ADMITTED = frozenset(("user", "api_key"))
"""Kinds that can have the role admin."""


def reasons_to_hold(
    plan: Plan,
    inventory: Iterable[Owned],
    resources: Mapping[ResourceId, Resource],
    same: Callable[[], Iterable[Resource]] = tuple,
) -> tuple[str, ...]:
    """Why ``plan`` is not applied before it was confirmed, one sentence each; none: nothing speaks against it.

    Args:
        plan: made from ``inventory`` and ``resources``.
        inventory: with the contents of everything that differs.
        resources: what is declared.
        same: what is declared and owned beside these, and equal; asked for only if it matters.
    """
    owned = list(inventory)
    gone = [change for change in plan.changes if change.action == "delete"]
    return (
        *([_everything(plan)] if plan.removes_everything else _large_shares(gone, owned, same)),
        *_protected(gone),
        *_last_admins(owned, resources, same),
    )


def _everything(plan: Plan) -> str:
    return (
        f"it would remove everything that git owns here ({plan.owned} resources), as an empty repository or a wrong "
        "path does"
    )


def _large_shares(
    gone: Iterable[Change], owned: Iterable[Owned], same: Callable[[], Iterable[Resource]]
) -> list[str]:
    removed = {kind: count for kind, count in Counter(one.kind for one in gone).items() if count > FEW}
    if not removed:
        return []
    there = Counter(one.kind for one in owned) + Counter(one.kind for one in same())
    return [
        f"it would remove {count} of {there[kind]} {KIND_BY_NAME[kind].section.replace('_', ' ')}, more than {SHARE:.0%}"
        for kind, count in removed.items()
        if count > SHARE * there[kind]
    ]


def _protected(gone: Iterable[Change]) -> list[str]:
    named = [change for change in gone if (change.before or {}).get("protected")]
    reasons = [
        f"it would remove {change.kind.replace('_', ' ')} {change.key!r}, which is protected ({change.file}:{change.line})"
        for change in named[:_NAMED]
    ]
    more = len(named) - _NAMED
    return [*reasons, f"it would remove {more} more that are protected"] if more > 0 else reasons


def _last_admins(
    owned: Iterable[Owned],
    resources: Mapping[ResourceId, Resource],
    same: Callable[[], Iterable[Resource]],
) -> list[str]:
    """The last admin: a user or a key. Whoever made a row by hand may have left, so only what git owns counts."""
    # What does not differ was not read from the inventory: then it says what is declared.
    before: dict[ResourceId, Fields] = {
        (one.kind, one.key): one.fields if one.fields is not None else resources[one.kind, one.key].fields
        for one in owned
        if one.kind in _ADMITTED
    }
    after = {one: resource.fields for one, resource in resources.items() if one[0] in _ADMITTED}
    if before == after:
        return []
    kept = {one.id: one.fields for one in same() if one.kind in _ADMITTED}
    before, after = before | kept, after | kept
    admins = _admins(before)
    if not admins or _admins(after):
        return []
    named = ", ".join(f"{kind.replace('_', ' ')} {key!r}" for kind, key in admins[:_NAMED])
    return [f"nobody would be left with the role admin; now it is {named}"]


def _admins(fields: Mapping[ResourceId, Fields]) -> list[ResourceId]:
    """Who may do everything: enabled users with the role, and keys with it whose user, if they have one, is enabled."""
    return sorted(one for one, said in fields.items() if said.get("role") == "admin" and _works(said, fields))


def _works(said: Fields, fields: Mapping[ResourceId, Fields]) -> bool:
    user = said.get("user")
    if user is not None:
        said = fields.get(("user", user), {})
    return bool(said.get("enabled", True))
