"""Which parts of an expression still have no answer, and who is to look for it next. No I/O.

One process evaluates a shard: a list of attribute paths, in order. It answers path by path. When it ends early, the
first path without an answer is the one that ended it; the rest is tried again without it.
"""

import re
from collections import deque
from collections.abc import Iterable

import msgspec

AttrPath = tuple[str, ...]

ROOT: AttrPath = ()
SMALLEST_SHARD = 32
LARGEST_SHARD = 1000
"""More would hold too much memory in one process, and lose too much when it is killed."""

_PLAIN = re.compile(r"[A-Za-z0-9_+'-]+")
_ESCAPES = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


class Answer(msgspec.Struct, frozen=True):
    """One line that the evaluator prints."""

    kind: str
    """``job``, ``set``, ``skip`` (no job) or ``thrown`` (it failed; why is not known yet)."""
    path: AttrPath
    names: tuple[str, ...] = ()
    """Of a set: what is in it."""
    deferred: bool = False
    """Of a set: it is too large to be evaluated along with the rest."""


class Shard:
    """What one process was given, and how far it came."""

    def __init__(self, paths: Iterable[AttrPath], *, alone: bool = False) -> None:
        self.paths = tuple(paths)
        self.alone = alone
        """Whether the first path was already blamed for a lack of memory and is tried by itself."""
        self.pending = deque(self.paths)
        self.deferred: list[AttrPath] = []
        self.thrown: list[AttrPath] = []
        self.answers = 0

    def take(self, answer: Answer) -> bool:
        """Note an answer; false when it answers nothing that was asked next."""
        if not self.pending or self.pending[0] != answer.path:
            return False
        self.pending.popleft()
        self.answers += 1
        if answer.kind == "thrown":
            self.thrown.append(answer.path)
        elif answer.kind == "set":
            children = [(*answer.path, name) for name in answer.names]
            if answer.deferred:
                self.deferred.extend(children)
            else:
                self.pending.extendleft(reversed(children))
        return True


class Verdict(msgspec.Struct, frozen=True):
    """What follows from the early end of a shard."""

    blamed: AttrPath | None
    """The path that ended it; none: it is not sure yet."""
    retry: list[Shard]


def after_crash(shard: Shard, *, exhausted: bool) -> Verdict:
    """Who is to blame for the early end of ``shard``, and what is still to be tried.

    Args:
        shard: with at least one path pending.
        exhausted: whether it ran out of memory or was killed: then what was evaluated before may have used it up,
            and the blame is only sure once the path fails in a process of its own.
    """
    first, *rest = shard.pending
    later = [Shard(rest)] if rest else []
    if exhausted and not shard.alone and shard.answers:
        return Verdict(None, [Shard([first], alone=True), *later])
    return Verdict(first, later)


def split(paths: Iterable[AttrPath], workers: int) -> list[Shard]:
    """Shards of about equal size, enough of them for the workers to share unequal work evenly."""
    paths = tuple(paths)
    size = min(LARGEST_SHARD, max(SMALLEST_SHARD, -(-len(paths) // (workers * 4))))
    return [Shard(paths[start : start + size]) for start in range(0, len(paths), size)]


def job_name(path: AttrPath) -> str:
    """A job's name: its attribute path with dots between the parts; parts that are not plain are quoted.

    An expression that is a derivation, not a set of them, is the job ``default``.
    """
    if path == ROOT:
        return "default"
    return ".".join(part if _PLAIN.fullmatch(part) else f'"{part.translate(_ESCAPES)}"' for part in path)
