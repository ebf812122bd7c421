"""Times and sizes as people read them."""

from datetime import UTC, datetime

from markupsafe import Markup, escape

_MINUTE = 60
_HOUR = 3600
_DAY = 86400
_MONTH = 30 * _DAY
_YEAR = 365 * _DAY
_JUST_NOW = 5
_KIBI = 1024
_ABSENT = "\N{EN DASH}"


def relative(moment: datetime, now: datetime) -> str:
    """``moment`` seen from ``now``: ``3 min ago``, ``in 2 h``, ``just now``."""
    seconds = (now - moment).total_seconds()
    distance = abs(seconds)
    if distance < _JUST_NOW:
        return "just now"
    words = _coarse(distance)
    return f"{words} ago" if seconds > 0 else f"in {words}"


def _coarse(seconds: float) -> str:
    """One number and one unit; rounded down, as ages are."""
    for size, unit in ((_YEAR, "y"), (_MONTH, "mo"), (_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def duration(seconds: float | None) -> str:
    """A length of time in at most two units: ``4 min 12 s``; a dash for none."""
    if seconds is None:
        return _ABSENT
    if seconds < 1:
        return "< 1 s"
    whole = int(seconds)
    units = ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min"), (1, "s"))
    for index, (size, unit) in enumerate(units):
        count, rest = divmod(whole, size)
        if not count:
            continue
        if size == 1:
            return f"{count} s"
        small, small_unit = units[index + 1]
        return f"{count} {unit} {rest // small} {small_unit}" if rest // small else f"{count} {unit}"
    return "< 1 s"


def between(start: datetime | None, end: datetime | None) -> float | None:
    """Seconds from ``start`` to ``end``; none while one of them is missing."""
    return None if start is None or end is None else max(0.0, (end - start).total_seconds())


def time_tag(moment: datetime | None, now: datetime) -> Markup:
    """A ``<time>`` element: relative to read, exact in UTC for machines and in the title; a dash for none."""
    if moment is None:
        return escape(_ABSENT)
    utc = moment.astimezone(UTC)
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        iso(moment), utc.strftime("%Y-%m-%d %H:%M:%S UTC"), relative(moment, now)
    )


def elapsed_tag(start: datetime | None, now: datetime) -> Markup:
    """The time since ``start``, which the page's script lets tick."""
    if start is None:
        return escape(_ABSENT)
    seconds = max(0.0, (now - start).total_seconds())
    return Markup('<time class="elapsed" data-since="{}" title="since {}">{}</time>').format(
        iso(start), start.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC"), duration(seconds)
    )


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC, with seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def size(octets: float | None) -> str:
    """A size in binary units: ``4.2 MiB``; a dash for none."""
    if octets is None:
        return _ABSENT
    amount = float(octets)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < _KIBI:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= _KIBI
    return f"{amount:.1f} TiB"
