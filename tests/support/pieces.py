"""Bytes in pieces, as a network delivers them."""

from collections.abc import Iterator, Sequence


def cut(data: bytes, sizes: Sequence[int]) -> Iterator[bytes]:
    """``data`` in pieces of the given sizes, over and over; whole if there are none."""
    position = 0
    turn = 0
    while position < len(data):
        size = sizes[turn % len(sizes)] if sizes else len(data)
        yield data[position : position + size]
        position += size
        turn += 1
