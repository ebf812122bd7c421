"""Who is left alone for a while: targets that limit us, hosts that do not answer. In memory, for one process."""

import uuid
from typing import TypeAlias, TypeVar

from fc.forge.status_answers import Answer, Later

_FIRST = 5.0
_LONGEST = 60.0

TargetKey: TypeAlias = uuid.UUID | str
"""A target of a project, or the configuration repository whose target the settings have."""

_Key = TypeVar("_Key", str, TargetKey)


class Pauses:
    """Keeps a process from asking again what it has just been told.

    A rate limit holds for a token, so for a target of configuration; a host that is down or slow is so for
    all. Without this each of ten thousand waiting tasks would find out by itself, for the length of a timeout.
    Times are seconds of one monotonic clock.
    """

    def __init__(self) -> None:
        self._targets: dict[TargetKey, float] = {}
        self._hosts: dict[str, float] = {}
        self._failures: dict[str, int] = {}

    def note(self, answer: Answer, target: TargetKey | None, host: str, now: float) -> None:
        """Learn from the answer to one try."""
        if isinstance(answer, Later) and answer.limited:
            if target is not None:
                self._targets[target] = max(self._targets.get(target, 0.0), now + (answer.after or _FIRST))
        elif not isinstance(answer, Later):
            self._failures.pop(host, None)
            self._hosts.pop(host, None)
        elif answer.down and self._hosts.get(host, 0.0) <= now:
            # Tries that were under way when the pause began do not lengthen it.
            failures = self._failures[host] = self._failures.get(host, 0) + 1
            self._hosts[host] = now + min(_FIRST * 2.0 ** min(failures - 1, 10), _LONGEST)

    def hosts(self, now: float) -> frozenset[str]:
        """Hosts to leave alone."""
        return _current(self._hosts, now)

    def targets(self, now: float) -> frozenset[TargetKey]:
        """Targets to leave alone."""
        return _current(self._targets, now)

    def next_end(self, now: float) -> float | None:
        """Seconds until the first pause ends; none: there is none."""
        ends = [end for end in (*self._hosts.values(), *self._targets.values()) if end > now]
        return min(ends) - now if ends else None


def _current(pauses: dict[_Key, float], now: float) -> frozenset[_Key]:
    for key in [key for key, end in pauses.items() if end <= now]:
        del pauses[key]
    return frozenset(pauses)
