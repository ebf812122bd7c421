"""What must be built for some builds: decisions only, on a graph that the caller has read."""

import uuid
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet

import msgspec

RUNNING = "running"
WAITING = ("pending", "ready")


class Node(msgspec.Struct, frozen=True):
    """A derivation of the graph."""

    status: str
    valid: bool = False
    """All its outputs are in the head's store."""
    failed_before: bool = False
    """It has failed by its own fault, which is remembered."""
    inputs: frozenset[uuid.UUID] = frozenset()
    """Direct ones. Of a node that was not looked below: none."""


class Needs(msgspec.Struct, frozen=True):
    """What follows for the derivations of the graph."""

    wanted: frozenset[uuid.UUID]
    """To be built, or being built."""
    again: frozenset[uuid.UUID]
    """Those of ``wanted`` that have come to an end before, and begin anew: their outputs are gone, or their
    failure need not repeat itself."""
    there: frozenset[uuid.UUID]
    """Need no building: their outputs are valid."""
    failing: frozenset[uuid.UUID]
    """Are not tried: they have failed before. All that needs them fails with them."""


def look_below(node: Node) -> bool:
    """Whether the inputs of ``node`` matter: not when it is there, is being built, or is not tried anyway."""
    return not node.valid and not node.failed_before and node.status != RUNNING


def decide(nodes: Mapping[uuid.UUID, Node], roots: Iterable[uuid.UUID]) -> Needs:
    """What must be built so that ``roots`` come to an end.

    Nothing is built for the sake of something that cannot succeed.

    Args:
        nodes: the roots and everything below them, as far as ``look_below`` says.
        roots: derivations of builds.
    """
    starts = [root for root in roots if root in nodes]
    doomed = _doomed(nodes, starts)
    wanted: set[uuid.UUID] = set()
    there: set[uuid.UUID] = set()
    failing: set[uuid.UUID] = set()
    seen = set(starts)
    todo = list(seen)
    while todo:
        key = todo.pop()
        node = nodes[key]
        if node.valid and node.status != RUNNING:
            there.add(key)
            continue
        if node.failed_before and node.status != RUNNING:
            failing.add(key)
            continue
        if key not in doomed:
            wanted.add(key)
        # Below something doomed only the reason is of interest.
        below = {one for one in node.inputs if one in nodes and (key not in doomed or one in doomed)}
        todo += below - seen
        seen |= below
    again = {key for key in wanted if nodes[key].status not in (*WAITING, RUNNING)}
    again |= {
        key for key in doomed & seen if nodes[key].status not in (*WAITING, RUNNING) and key not in failing
    }
    return Needs(frozenset(wanted), frozenset(again), frozenset(there), frozenset(failing))


def first_reaching(
    nodes: Mapping[uuid.UUID, Node], wanted: AbstractSet[uuid.UUID], roots: Iterable[uuid.UUID]
) -> dict[uuid.UUID, uuid.UUID]:
    """For each of ``wanted`` the first of ``roots`` that needs it, through other wanted ones."""
    found: dict[uuid.UUID, uuid.UUID] = {}
    for root in roots:
        if root not in wanted or root in found:
            continue
        found[root] = root
        todo = [root]
        while todo:
            for one in nodes[todo.pop()].inputs:
                if one in wanted and one not in found:
                    found[one] = root
                    todo.append(one)
    return found


def _doomed(nodes: Mapping[uuid.UUID, Node], starts: Iterable[uuid.UUID]) -> AbstractSet[uuid.UUID]:
    """Nodes that fail, themselves or through an input, without anything being tried."""
    doomed: set[uuid.UUID] = set()
    begun: set[uuid.UUID] = set()
    stack = [(start, False) for start in starts]
    while stack:
        key, done = stack.pop()
        node = nodes[key]
        if done:
            failed = node.failed_before and not node.valid and node.status != RUNNING
            if failed or not doomed.isdisjoint(node.inputs):
                doomed.add(key)
        elif key not in begun:
            begun.add(key)
            stack.append((key, True))
            stack += [(one, False) for one in node.inputs if one in nodes]
    return doomed
