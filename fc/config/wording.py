"""Wording of messages: the nearest right name for a wrong one, and lists of what is known."""

import difflib
from collections.abc import Iterable

_LONGEST = 64
"""Longer names are not compared: the comparison is quadratic, and nobody mistypes a name that long."""
_NEAR = 3
"""Names that differ more in length are no candidates among many."""
_MANY = 200
_SHOWN = 16
_ALIKE = 0.6
"""How alike, from 0 to 1, a name must be to be meant."""


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
    found = _nearest(wrong, names)
    return f"; did you mean {found!r}?" if found is not None else ""


def _nearest(wrong: str, names: list[str]) -> str | None:
    """The name most alike, as ``difflib.get_close_matches`` finds it, without weighing those that cannot be it."""
    matcher = difflib.SequenceMatcher(b=wrong)
    bounds = []
    for name in names:
        matcher.set_seq1(name)
        if matcher.real_quick_ratio() >= _ALIKE and (bound := matcher.quick_ratio()) >= _ALIKE:
            bounds.append((bound, name))
    best: tuple[float, str] | None = None
    for bound, name in sorted(bounds, reverse=True):
        if best is not None and bound < best[0]:
            break
        matcher.set_seq1(name)
        ratio = matcher.ratio()
        if ratio >= _ALIKE and (best is None or (ratio, name) > best):
            best = (ratio, name)
    return best[1] if best is not None else None


def known_names(known: Iterable[str]) -> str:
    """A list of names for the end of a message, cut when it is long."""
    names = sorted(known)
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
