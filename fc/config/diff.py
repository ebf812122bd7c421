"""From what git owns now to what it declares: an ordered list of changes. Pure."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from fc.base.collecting import uncollected
from fc.config.compile import Resource, ResourceId, content_hash
from fc.config.language import KIND_BY_NAME, KIND_ORDER, Fields

Action = Literal["create", "update", "delete", "rename", "adopt"]
DIGEST_SHOWN = 12
"""Characters of a digest that people are shown, and must give at least."""


@dataclass(frozen=True, slots=True)
class Owned:
    """One row of the inventory: what was applied last, and where it stood."""

    kind: str
    key: str
    content_hash: str
    file: str
    line: int
    fields: Fields | None = None
    """What it says; may be left out where it does not differ."""
    was: str | None = None
    """The key it has until the plan is applied, if that gives it ``key``."""


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to one resource."""

    action: Action
    kind: str
    key: str
    before: Fields | None
    after: Fields | None
    before_hash: str | None
    after_hash: str | None
    file: str
    """Where it is declared, or was."""
    line: int
    defaulted: Mapping[str, str] = field(default_factory=dict)
    """Where the default stands, by field, for those that the declaration does not write itself."""

    was: str | None = None
    """The key it had, if it gets another one."""
    spared: bool = False
    """A removal of what another source is about to take: it is archived, whatever it says itself."""

    @property
    def id(self) -> ResourceId:
        """Kind and key."""
        return (self.kind, self.key)

    @property
    def destroys(self) -> bool:
        """Whether it is a removal that leaves no disabled row with its history."""
        archived = KIND_BY_NAME[self.kind].archived and (self.before or {}).get("on_remove") != "delete"
        return self.action == "delete" and not archived and not self.spared

    def differing(self) -> list[str]:
        """Names of the fields that differ, in the order of the language. A rotated secret's field is one."""
        before, after = self.before or {}, self.after or {}
        names = [name for name in {**after, **before} if before.get(name) != after.get(name)]
        if (
            not names
            and None not in {self.before_hash, self.after_hash}
            and self.before_hash != self.after_hash
        ):
            sealed = KIND_BY_NAME[self.kind].sealed
            return [sealed] if sealed is not None else []
        return names


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that has to happen, in the order in which it does."""

    changes: tuple[Change, ...]
    digest: str
    """SHA-256; the same for the same changes, wherever the declarations stand."""
    owned: int
    """How many resources git owned before."""

    @property
    def summary(self) -> dict[Action, int]:
        """How many of each action."""
        counted = Counter(change.action for change in self.changes)
        always: tuple[Action, ...] = ("create", "update", "delete")
        seldom: tuple[Action, ...] = ("rename", "adopt")
        return {
            action: counted[action] for action in (*always, *seldom) if action in always or counted[action]
        }

    @property
    def short_digest(self) -> str:
        """Enough of the digest to name this plan."""
        return self.digest[:DIGEST_SHOWN]

    def confirmed_by(self, given: Iterable[str]) -> bool:
        """Whether one of ``given`` is this plan's digest, or enough of its beginning."""
        return any(len(one) >= DIGEST_SHOWN and self.digest.startswith(one.lower()) for one in given)

    @property
    def removes_everything(self) -> bool:
        """Whether nothing of what git owned would be left, and nothing would take its place."""
        counted = self.summary
        return self.owned > 0 and counted["delete"] == self.owned and counted["create"] == 0


def differing_ids(inventory: Iterable[Owned], resources: Mapping[ResourceId, Resource]) -> set[ResourceId]:
    """What is owned and would be changed or removed: only of these ``diff`` needs to know what they say."""
    return {
        (owned.kind, owned.key)
        for owned in inventory
        if (resource := resources.get((owned.kind, owned.key))) is None
        or resource.content_hash != owned.content_hash
        or owned.was is not None
    }


def diff(
    inventory: Iterable[Owned],
    resources: Mapping[ResourceId, Resource],
    adoptable: Mapping[ResourceId, Fields] = MappingProxyType({}),
    unchanged: int = 0,
) -> Plan:
    """The changes that make what git owns equal to what it declares.

    Removals come first, what refers before what it refers to, so that an address or a key is free for whoever gets
    it next. Then everything else, what is referred to before what refers. ``adoptable`` is what git does not own but
    may take over, with what it says. ``unchanged`` is how many more there are that are the same on both sides.
    """
    # Nothing here is garbage: thousands of changes are not searched for it while they are made.
    with uncollected():
        owned = {(one.kind, one.key): one for one in inventory}
        removals = [
            Change(
                "delete",
                one.kind,
                one.key,
                one.fields,
                None,
                one.content_hash,
                None,
                one.file,
                one.line,
                was=one.was,
            )
            for one in owned.values()
            if (one.kind, one.key) not in resources
        ]
        others = [
            change
            for resource in resources.values()
            if (change := _change(owned.get(resource.id), resource, adoptable.get(resource.id))) is not None
        ]
    removals.sort(key=lambda change: (-KIND_ORDER[change.kind], change.key))
    others.sort(key=lambda change: (KIND_ORDER[change.kind], change.key))
    changes = (*removals, *others)
    return Plan(changes, _digest(changes), len(owned) + unchanged)


def moved(inventory: Iterable[Owned], resources: Mapping[ResourceId, Resource]) -> list[Resource]:
    """What says the same as before but stands at another place."""
    return [
        resource
        for one in inventory
        if (resource := resources.get((one.kind, one.key))) is not None
        and resource.content_hash == one.content_hash
        and (resource.file, resource.line) != (one.file, one.line)
        and one.was is None
    ]


def _change(owned: Owned | None, resource: Resource, taken: Fields | None) -> Change | None:
    if owned is None and taken is not None:
        # Its hash makes the plan another one when the row changes.
        owned = Owned(resource.kind, resource.key, content_hash(taken), resource.file, resource.line, taken)
        action: Action = "adopt"
    elif owned is None:
        action = "create"
    elif owned.was is not None:
        action = "rename"
    elif owned.content_hash != resource.content_hash:
        action = "update"
    else:
        return None
    return Change(
        action,
        resource.kind,
        resource.key,
        owned.fields if owned is not None else None,
        resource.fields,
        owned.content_hash if owned is not None else None,
        resource.content_hash,
        resource.file,
        resource.line,
        resource.defaulted,
        owned.was if owned is not None else None,
    )


def _digest(changes: Iterable[Change]) -> str:
    parts: list[list[Any]] = [
        [change.action, change.kind, change.key, change.before_hash, change.after_hash]
        + ([change.was] if change.was is not None else [])
        for change in changes
    ]
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()
