"""Durations as people write and read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc.base.durations import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (0, 0), (90, 90), ("90", 90), ("30s", 30), ("5m", 300), ("1h30m", 5400), ("2d", 172800), ("1w", 604800),
        ("1d1h1m1s", 90061), ("0s", 0), ("90m", 5400),
    ],
)  # fmt: skip
def test_a_duration_is_read(text: int | str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text",
    ["", "soon", "5 m", "m", "5M", "1.5h", "-5m", "5m ", " 5m", "5mm", "1e3", "٣x", True, None, 1.5, []],
)
def test_what_is_no_duration_is_refused_with_an_example(text: object) -> None:
    with pytest.raises(ValueError, match=r"is no duration; write seconds \(90\) or a text such as 30s, 5m"):
        parse_duration(text)  # type: ignore[arg-type]  # what a file may hold


def test_a_negative_duration_is_refused() -> None:
    with pytest.raises(ValueError, match="-5 is negative"):
        parse_duration(-5)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"), (0.44, "0.4 s"), (9.9, "9.9 s"), (12, "12 s"), (59.4, "59 s"), (59.7, "1 min 00 s"), (185, "3 min 05 s"),
        (3599.6, "1 h 00 min"), (7800, "2 h 10 min"), (100000, "27 h 46 min"), (200000, "2 d 7 h"),
    ],
)  # fmt: skip
def test_a_duration_is_shown(seconds: float, text: str) -> None:
    assert format_duration(seconds) == text


@given(st.lists(st.tuples(st.integers(0, 10_000), st.sampled_from("smhdw")), min_size=1, max_size=5))
def test_parts_add_up(parts: list[tuple[int, str]]) -> None:
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
    text = "".join(f"{number}{unit}" for number, unit in parts)
    assert parse_duration(text) == sum(number * units[unit] for number, unit in parts)
