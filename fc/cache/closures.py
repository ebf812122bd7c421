"""Which paths may be served: the decision, without I/O."""

from collections import defaultdict
from collections.abc import Iterable

from fc.nix.path_info import PathInfo


def servable(outputs: Iterable[str], infos: Iterable[PathInfo]) -> list[PathInfo]:
    """Those of ``infos`` that may be served: the whole closures of ``outputs``, as far as they are sound.

    A closure that holds a derivation is not served at all. Outputs rarely refer to one; but a job that does so on
    purpose, with the path of a derivation it has read on some page, would otherwise publish that derivation's
    sources. Neither is a closure served that lacks a path or the hash of one: no client could use it.

    Args:
        outputs: outputs of built derivations.
        infos: what the store knows of their closures.
    """
    known = {info.path: info for info in infos}
    referrers = defaultdict(list)
    for info in known.values():
        for reference in info.references:
            referrers[reference].append(info.path)
    refused = {path for path in {*known, *referrers} if not _is_sound(known.get(path))}
    waiting = list(refused)
    while waiting:
        for referrer in referrers[waiting.pop()]:
            if referrer not in refused:
                refused.add(referrer)
                waiting.append(referrer)
    # What a sound path refers to is sound.
    found = {path: known[path] for path in outputs if path in known and path not in refused}
    waiting = list(found)
    while waiting:
        for reference in found[waiting.pop()].references:
            if reference not in found:
                found[reference] = known[reference]
                waiting.append(reference)
    return list(found.values())


def _is_sound(info: PathInfo | None) -> bool:
    return (
        info is not None
        and not info.path.endswith(".drv")
        and info.nar_hash is not None
        and info.nar_size > 0
    )
