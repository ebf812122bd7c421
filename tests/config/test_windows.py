"""Sync windows: open or not, and until when; also over changes of clocks."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import pytest

from fc.base.durations import Duration
from fc.base.errors import SettingsError
from fc.base.settings import load_settings
from fc.base.source_settings import SyncWindow
from fc.config.windows import WindowState, window_state

HOUR = 3600


def allow(schedule: str, hours: float, timezone: str = "UTC") -> SyncWindow:
    return window("allow", schedule, hours, timezone)


def deny(schedule: str, hours: float, timezone: str = "UTC") -> SyncWindow:
    return window("deny", schedule, hours, timezone)


def window(kind: Literal["allow", "deny"], schedule: str, hours: float, timezone: str) -> SyncWindow:
    return SyncWindow(kind, schedule, Duration(int(hours * HOUR)), timezone)


def at(text: str) -> datetime:
    """A moment in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def state(moment: str, *windows: SyncWindow) -> tuple[bool, str | None]:
    """Whether it is open, and until when."""
    found = window_state(windows, at(moment))
    return found.open, None if found.changes_at is None else found.changes_at.strftime("%Y-%m-%dT%H:%M")


def test_without_windows_it_is_always_open() -> None:
    assert state("2026-01-01T00:00") == (True, None)


def test_an_allowing_window_opens_and_closes() -> None:
    nights = allow("0 22 * * *", 4)
    assert state("2026-01-01T12:00", nights) == (False, "2026-01-01T22:00")
    assert state("2026-01-01T22:00", nights) == (True, "2026-01-02T02:00")
    assert state("2026-01-02T01:59", nights) == (True, "2026-01-02T02:00")
    assert state("2026-01-02T02:00", nights) == (False, "2026-01-02T22:00")


def test_a_denying_window_closes_and_opens() -> None:
    weekend = deny("0 16 * * 5", 64)
    assert state("2026-01-02T15:59", weekend) == (True, "2026-01-02T16:00")
    assert state("2026-01-03T12:00", weekend) == (False, "2026-01-05T08:00")


def test_denying_wins() -> None:
    assert state("2026-01-01T12:00", allow("0 8 * * *", 10), deny("0 12 * * *", 1)) == (
        False,
        "2026-01-01T13:00",
    )
    assert state("2026-01-01T11:00", allow("0 8 * * *", 10), deny("0 12 * * *", 1)) == (
        True,
        "2026-01-01T12:00",
    )


def test_of_several_allowing_windows_one_is_enough() -> None:
    both = (allow("0 8 * * *", 2), allow("0 9 * * *", 2))
    assert state("2026-01-01T08:30", *both) == (True, "2026-01-01T11:00")
    assert state("2026-01-01T11:00", *both) == (False, "2026-01-02T08:00")


def test_windows_that_touch_or_overlap_themselves_are_one() -> None:
    assert state("2026-01-01T09:30", allow("0 8-11 * * *", 1)) == (True, "2026-01-01T12:00")
    assert state("2026-01-01T09:30", allow("0 8-11 * * *", 3)) == (True, "2026-01-01T14:00")


def test_a_denying_window_that_ends_where_no_window_allows_stays_closed() -> None:
    assert state("2026-01-01T06:00", allow("0 9 * * *", 1), deny("0 5 * * *", 2)) == (
        False,
        "2026-01-01T09:00",
    )


def test_what_never_opens_or_never_ends_has_no_end() -> None:
    assert state("2026-01-01T00:00", deny("* * * * *", 1)) == (False, None)
    assert state("2026-01-01T00:00", allow("0 8 * * *", 1), deny("* * * * *", 1)) == (False, None)


def test_seconds_count() -> None:
    minute = SyncWindow("allow", "0 8 * * *", Duration(30))
    assert window_state([minute], at("2026-01-01T08:00:29.5")) == WindowState(
        open=True, changes_at=at("2026-01-01T08:00:30")
    )
    assert not window_state([minute], at("2026-01-01T08:00:30.5")).open


def test_schedules_are_meant_in_their_time_zone() -> None:
    assert state("2026-01-01T00:00", allow("0 8 * * *", 1, "Europe/Berlin")) == (False, "2026-01-01T07:00")
    assert state("2026-07-01T00:00", allow("0 8 * * *", 1, "Europe/Berlin")) == (False, "2026-07-01T06:00")
    assert state("2026-01-01T00:00", allow("30 8 * * *", 1, "Asia/Kathmandu")) == (False, "2026-01-01T02:45")


def test_what_is_skipped_when_clocks_go_forward_opens_afterwards() -> None:
    # In Berlin there is no 02:30 on 2026-03-29; at 01:00 UTC it becomes 03:00.
    nights = allow("30 2 * * *", 1, "Europe/Berlin")
    assert state("2026-03-29T00:30", nights) == (False, "2026-03-29T01:00")
    assert state("2026-03-29T01:30", nights) == (True, "2026-03-29T02:00")
    assert state("2026-03-29T02:00", nights) == (False, "2026-03-30T00:30")


def test_what_comes_twice_when_clocks_go_back_opens_once() -> None:
    # In Berlin 02:30 comes at 00:30 and at 01:30 UTC on 2026-10-25.
    nights = allow("30 2 * * *", 0.5, "Europe/Berlin")
    assert state("2026-10-25T00:00", nights) == (False, "2026-10-25T00:30")
    assert state("2026-10-25T00:45", nights) == (True, "2026-10-25T01:00")
    assert state("2026-10-25T01:45", nights) == (False, "2026-10-26T01:30")


def test_a_window_lasts_its_duration_though_clocks_are_changed() -> None:
    nights = allow("0 0 * * *", 6, "Europe/Berlin")
    assert state("2026-03-29T00:30", nights) == (True, "2026-03-29T05:00")
    assert state("2026-10-25T00:30", nights) == (True, "2026-10-25T04:00")


def test_what_is_told_comes_true() -> None:
    windows = (
        allow("0 8-18/2 * * 1-5", 1.5, "America/New_York"),
        deny("15 * * * *", 0.25),
        deny("0 0 1 * *", 24),
    )
    moment = at("2026-10-30T00:00")
    for _ in range(200):
        found = window_state(windows, moment)
        assert found.changes_at is not None
        just_before = found.changes_at - timedelta(seconds=1)
        assert window_state(windows, max(just_before, moment)).open is found.open
        assert window_state(windows, found.changes_at).open is not found.open
        moment = found.changes_at


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("schedule: '0 25 * * *', duration: 1h", "schedule: '0 25 * * *': Bad hour"),
        ("schedule: '0 0 30 2 *', duration: 1h", "schedule: '0 0 30 2 *': Bad day-of-month"),
        ("schedule: '* * * *', duration: 1h", "schedule: '* * * *' has not the five fields"),
        ("schedule: '0 0 * * * *', duration: 1h", "has not the five fields"),
        ("schedule: '0 8 * * *', duration: 0", "duration: a window is open for a while"),
        ("schedule: '0 8 * * *', duration: 1h, timezone: Mars/Base", "there is no time zone 'Mars/Base'"),
        ("schedule: '0 8 * * *', duration: 1h, timezone: ../../etc/passwd", "there is no time zone"),
        ("schedule: '0 8 * * *', duration: 1h, timezone: ''", "there is no time zone ''"),
    ],
)
def test_a_window_that_cannot_be_followed_is_refused_at_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    file = tmp_path / "fc.yaml"
    file.write_text(
        f"configuration:\n  url: /srv/c\n  sync_windows:\n    - {{kind: deny, {text}}}\n", encoding="utf-8"
    )
    with pytest.raises(SettingsError, match=re.escape(message)) as caught:
        load_settings(file)
    assert str(caught.value).startswith(f"{file}:3:3: configuration.sync_windows: ")
