"""Times and sizes as people read them."""

from datetime import UTC, datetime, timedelta

import pytest

from fc.web.times import between, duration, elapsed_tag, iso, relative, size, time_tag

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("ago", "words"),
    [
        (0, "just now"),
        (4, "just now"),
        (5, "5 s ago"),
        (59, "59 s ago"),
        (60, "1 min ago"),
        (7199, "1 h ago"),
        (86400 * 3, "3 d ago"),
        (86400 * 70, "2 mo ago"),
        (86400 * 800, "2 y ago"),
        (-90, "in 1 min"),
    ],
)
def test_a_moment_is_told_relative_to_now(ago: int, words: str) -> None:
    assert relative(NOW - timedelta(seconds=ago), NOW) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "\N{EN DASH}"),
        (0.2, "< 1 s"),
        (1, "1 s"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3665, "1 h 1 min"),
        (90000, "1 d 1 h"),
    ],
)
def test_a_duration_has_at_most_two_units(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


def test_a_time_element_carries_the_exact_utc_time() -> None:
    berlin = NOW.astimezone().astimezone(tz=None)
    tag = time_tag(berlin - timedelta(minutes=3), NOW)
    assert tag == '<time datetime="2026-03-01T11:57:00Z" title="2026-03-01 11:57:00 UTC">3 min ago</time>'


def test_missing_times_are_dashes() -> None:
    assert time_tag(None, NOW) == elapsed_tag(None, NOW) == "\N{EN DASH}"
    assert between(None, NOW) is None
    assert between(NOW, None) is None


def test_elapsed_time_is_never_negative() -> None:
    assert ">< 1 s<" not in elapsed_tag(NOW, NOW)
    assert "&lt; 1 s" in elapsed_tag(NOW + timedelta(seconds=9), NOW)
    assert between(NOW, NOW - timedelta(seconds=5)) == 0


def test_iso_is_utc_with_seconds() -> None:
    assert iso(NOW) == "2026-03-01T12:00:00Z"


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (None, "\N{EN DASH}"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (5 << 30, "5.0 GiB"),
        (3 << 40, "3.0 TiB"),
    ],
)
def test_sizes_are_binary(octets: int | None, words: str) -> None:
    assert size(octets) == words
