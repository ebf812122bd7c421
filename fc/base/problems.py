"""Problems in texts people write: what is wrong, and at which file, line and column."""

from collections.abc import Iterable

import msgspec
from typing_extensions import override


class Problem(msgspec.Struct, frozen=True, order=True):
    """One thing that is wrong at one place. Sorts by place."""

    file: str
    """Path inside the tree it was read from, with slashes."""
    line: int
    """From 1."""
    column: int
    """From 1, counted in characters."""
    message: str

    @override
    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


def sorted_problems(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Each problem once, by file, line and column."""
    return tuple(sorted(set(problems)))
