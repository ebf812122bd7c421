"""What follows from the shape of the build graph: an order, lengths of chains, the nearest jobs. Pure."""

from collections.abc import Collection, Iterable, Mapping

UNKNOWN_SECONDS = 10.0
"""Guess for a derivation that was never built here under its name."""

_LONGEST = 2**31 - 1


def inputs_first(inputs: Mapping[str, Iterable[str]]) -> list[str]:
    """The keys of ``inputs``, each after those of its inputs that are keys too."""
    ordered: list[str] = []
    done: set[str] = set()
    for start in inputs:
        stack = [(start, iter(inputs[start]))] if start not in done else []
        done.add(start)
        while stack:
            key, rest = stack[-1]
            following = next((one for one in rest if one in inputs and one not in done), None)
            if following is None:
                ordered.append(key)
                stack.pop()
            else:
                done.add(following)
                stack.append((following, iter(inputs[following])))
    return ordered


def with_dependents(inputs: Mapping[str, Iterable[str]], faults: Mapping[str, str]) -> dict[str, str]:
    """``faults``, and the fault of an input for everything that needs it.

    Args:
        inputs: the graph.
        faults: what is wrong with some of its derivations.
    """
    found = dict(faults)
    for key in inputs_first(inputs):
        if key not in found:
            reason = next((found[one] for one in inputs[key] if one in found), None)
            if reason is not None:
                found[key] = reason
    return found


def chain_lengths(inputs: Mapping[str, Collection[str]], seconds: Mapping[str, float]) -> dict[str, int]:
    """Seconds of the longest chain of derivations that waits for each one, itself included.

    Args:
        inputs: of every derivation that is not built yet; inputs that are no keys do not count.
        seconds: how long each is expected to take.
    """
    above: dict[str, float] = {}
    lengths: dict[str, int] = {}
    for key in reversed(inputs_first(inputs)):
        length = above.get(key, 0.0) + max(1.0, seconds.get(key, UNKNOWN_SECONDS))
        lengths[key] = min(_LONGEST, round(length))
        for one in inputs[key]:
            if one in inputs and above.get(one, 0.0) < length:
                above[one] = length
    return lengths


def nearest_jobs(inputs: Mapping[str, Collection[str]], jobs: Collection[str]) -> dict[str, frozenset[str]]:
    """For each of ``jobs`` the other jobs it needs, without those that are only needed through another job.

    Args:
        inputs: the whole graph below the jobs.
        jobs: derivations.
    """
    wanted = frozenset(jobs)
    below: dict[str, frozenset[str]] = {}
    none: frozenset[str] = frozenset()
    for key in inputs_first(inputs):
        direct = {one for one in inputs[key] if one in wanted}
        further = {below[one] for one in inputs[key] if one not in wanted and below.get(one)}
        if direct:
            below[key] = frozenset(direct).union(*further)
        elif len(further) == 1:
            # Most derivations lead to what their only interesting input leads to: one set is shared by all.
            below[key] = next(iter(further))
        else:
            below[key] = none.union(*further)
    return {key: below.get(key, none) for key in wanted}
