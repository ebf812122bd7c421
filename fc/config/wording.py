"""Wording of messages: the nearest right name for a wrong one, and lists of what is known."""

import difflib
from collections.abc import Iterable

_LONGEST = 64
"""Longer names are not compared: the comparison is quadratic, and nobody mistypes a name that long."""
_NEAR = 3
"""Names that differ more in length are no candidates among many."""
_MANY = 200
_SHOWN = 16


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """``; did you mean 'branch'?`` for the nearest of the ``known`` names, or nothing."""
    if len(wrong) > _LONGEST:
        return ""
    names = list(known)
    if len(names) > _MANY:
        names = [
            name
            for name in names
            if abs(len(name) - len(wrong)) <= _NEAR and (name[:1] == wrong[:1] or name[-1:] == wrong[-1:])
        ]
        names = names[: _MANY * 5]
    found = difflib.get_close_matches(wrong, names, n=1, cutoff=0.6)
    return f"; did you mean {found[0]!r}?" if found else ""


def known_names(known: Iterable[str]) -> str:
    """A list of names for the end of a message, cut when it is long."""
    names = sorted(known)
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
