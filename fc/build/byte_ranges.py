"""Which bytes of a file a request wants (RFC 9110, section 14)."""

import re

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


class UnsatisfiableRangeError(ValueError):
    """The range begins beyond the end."""


def parse_range(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and number of bytes; none: everything is to be sent.

    Several ranges at once, other units and nonsense are ignored, as section 14.2 allows.

    Args:
        header: the header ``Range``, if there is one.
        size: of the file.

    Raises:
        UnsatisfiableRangeError: the file has no such bytes.
    """
    match = _RANGE.fullmatch(header.strip()) if header is not None else None
    if match is None or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":
        start, end = max(0, size - int(last)), size
    else:
        start = int(first)
        end = min(size, int(last) + 1) if last else size
        if last and int(last) < start:
            return None
    if start >= size or end == start:
        raise UnsatisfiableRangeError
    return start, end - start
