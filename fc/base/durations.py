"""Durations as people write them: ``90``, ``30s``, ``5m``, ``1h30m``, ``2d``."""

import re

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
_DURATION = re.compile(r"(?:\d+[smhdw])+")
_PART = re.compile(r"(\d+)([smhdw])")


class Duration(int):
    """Whole seconds; written in settings as a number or as ``5m``."""


def parse_duration(value: int | str) -> int:
    """Seconds in ``value``: a whole number of seconds, or a text such as ``5m`` or ``1h30m``.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        seconds = value
    elif isinstance(value, str) and value.isdecimal():
        seconds = int(value)
    elif isinstance(value, str) and _DURATION.fullmatch(value):
        seconds = sum(int(number) * _UNITS[unit] for number, unit in _PART.findall(value))
    else:
        message = f"{value!r} is no duration; write seconds (90) or a text such as 30s, 5m, 1h30m, 2d"
        raise ValueError(message)
    if seconds < 0:
        message = f"{value!r} is negative"
        raise ValueError(message)
    return seconds


def format_duration(seconds: float) -> str:
    """``seconds`` for a reader: ``0.4 s``, ``12 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 10:  # noqa: PLR2004 - one decimal is only worth reading below ten seconds
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < _UNITS["m"]:
        return f"{whole} s"
    if whole < _UNITS["h"]:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 2 * _UNITS["d"]:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"
