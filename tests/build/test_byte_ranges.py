"""Which bytes of a file a request wants."""

import pytest

from fc.build.byte_ranges import UnsatisfiableRangeError, parse_range


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        (None, None),
        ("bytes=0-", (0, 100)),
        ("bytes=10-19", (10, 10)),
        ("bytes=90-500", (90, 10)),
        ("bytes=-30", (70, 30)),
        ("bytes=-500", (0, 100)),
        ("bytes=99-99", (99, 1)),
        ("bytes=-", None),
        ("bytes=20-10", None),
        ("bytes=0-1,5-6", None),
        ("lines=0-1", None),
        ("bytes=x", None),
        ("bytes=0-99999999999999999999", None),
    ],
)
def test_a_range_is_read(header: str | None, wanted: tuple[int, int] | None) -> None:
    assert parse_range(header, 100) == wanted


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=100-", 100), ("bytes=-0", 100), ("bytes=0-", 0), ("bytes=-5", 0)]
)
def test_a_range_beyond_the_end_is_unsatisfiable(header: str, size: int) -> None:
    with pytest.raises(UnsatisfiableRangeError):
        parse_range(header, size)
