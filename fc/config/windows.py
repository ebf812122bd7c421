"""Sync windows: whether changes may be applied at a moment, and when that changes. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim

from fc.base.source_settings import SyncWindow

_FIRINGS = 10_000
"""How often a schedule is followed into the future; what lies behind is told when it is nearer."""

_UNFORESEEN = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class WindowState:
    """How it stands at a moment."""

    open: bool
    """Whether changes may be applied."""
    changes_at: datetime | None
    """When that ends, in UTC; none: never, as far as can be foreseen."""


def window_state(windows: Sequence[SyncWindow], moment: datetime) -> WindowState:
    """How it stands at ``moment``, which is aware.

    A window lasts its duration from each moment that its schedule names, in the clock of its time zone; on days when
    clocks are changed as cron does: what is skipped opens afterwards, what comes twice opens once. Denying windows
    win. If there are allowing ones, changes may be applied inside of these only.
    """
    spans = [_Spans(window, moment) for window in windows]
    now = _open(windows, spans, moment)
    then = moment
    while True:
        boundaries = [boundary for one in spans if (boundary := one.after(then)) is not None]
        if not boundaries:
            return WindowState(now, None)
        then = min(boundaries)
        if _open(windows, spans, then) != now:
            return WindowState(now, then.astimezone(UTC))


class _Spans:
    """The times in which one window is in force, followed forward."""

    def __init__(self, window: SyncWindow, moment: datetime) -> None:
        self._spans = _spans(window, moment)
        self._current = next(self._spans, None)

    def contains(self, moment: datetime) -> bool:
        """Whether the window is in force; no earlier moment may be asked for."""
        while self._current is not None and self._current[1] <= moment:
            self._current = next(self._spans, None)
        return self._current is not None and self._current[0] <= moment

    def after(self, moment: datetime) -> datetime | None:
        """When it next begins or ends."""
        inside = self.contains(moment)
        boundary = None if self._current is None else self._current[1 if inside else 0]
        return None if boundary == _UNFORESEEN else boundary


def _open(windows: Sequence[SyncWindow], spans: Sequence[_Spans], moment: datetime) -> bool:
    inside = {(window.kind, one.contains(moment)) for window, one in zip(windows, spans, strict=True)}
    if ("deny", True) in inside:
        return False
    return ("allow", True) in inside or ("allow", False) not in inside


def _spans(window: SyncWindow, moment: datetime) -> Iterator[tuple[datetime, datetime]]:
    """From when to when a window is in force, at ``moment`` or later; those that touch are one."""
    length = timedelta(seconds=window.duration)
    begin = (moment.astimezone(UTC) - length).astimezone(ZoneInfo(window.timezone))
    span: tuple[datetime, datetime] | None = None
    for number, fired in enumerate(islice(CronSim(window.schedule, begin), _FIRINGS), 1):
        start = fired.astimezone(UTC)
        if span is not None and start > span[1]:
            yield span
            span = None
        # Behind the last firing that is looked at nothing is known of an end.
        end = _UNFORESEEN if number == _FIRINGS else start + length
        span = (start if span is None else span[0], end)
    yield from () if span is None else [span]
