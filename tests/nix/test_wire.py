"""Framing: numbers, padded strings, lists, maps, and feeding them in pieces."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc.nix.errors import ProtocolError
from fc.nix.wire import (
    DEFAULT_LIMITS,
    Limits,
    Reading,
    Receiver,
    encode_map,
    encode_number,
    encode_string,
    encode_strings,
    read_bool,
    read_bytes,
    read_map,
    read_number,
    read_text,
    read_texts,
)
from tests.support.pieces import cut

SMALL = Limits(string=64, items=4, message=512)

TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]))

READINGS: list[Callable[[], Reading[Any]]] = [
    read_number,
    read_bool,
    lambda: read_bytes(SMALL),
    lambda: read_text(SMALL),
    lambda: read_texts(SMALL),
    lambda: read_map(SMALL),
]


def read(reading: Reading[Any], data: bytes, limits: Limits = DEFAULT_LIMITS) -> Any:
    receiver = Receiver(reading, limits)
    assert receiver.feed(data)
    assert receiver.rest == b""
    return receiver.end()


def test_a_number_is_eight_bytes_little_endian() -> None:
    assert encode_number(0x0102) == b"\x02\x01\0\0\0\0\0\0"
    assert read(read_number(), b"\x02\x01\0\0\0\0\0\0") == 0x0102


def test_a_boolean_is_a_number() -> None:
    assert encode_number(True) == encode_number(1)
    assert read(read_bool(), encode_number(1)) is True
    assert read(read_bool(), encode_number(0)) is False


def test_a_boolean_of_two_is_refused() -> None:
    with pytest.raises(ProtocolError, match="0 or 1, not 2"):
        read(read_bool(), encode_number(2))


def test_a_string_is_padded_with_zeros_to_a_multiple_of_eight() -> None:
    assert encode_string("abc") == b"\x03\0\0\0\0\0\0\0abc\0\0\0\0\0"
    assert encode_string(b"12345678") == b"\x08\0\0\0\0\0\0\x0012345678"
    assert encode_string("") == bytes(8)


def test_padding_that_is_not_zero_is_refused() -> None:
    with pytest.raises(ProtocolError, match="padding"):
        read(read_bytes(SMALL), encode_number(3) + b"abc\0\0\0\0\1")


def test_a_string_over_the_limit_is_refused_before_it_is_read() -> None:
    receiver = Receiver(read_bytes(SMALL), SMALL)
    with pytest.raises(ProtocolError, match="a string of 65 bytes"):
        receiver.feed(encode_number(65))


def test_text_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(ProtocolError, match="not UTF-8"):
        read(read_text(SMALL), encode_string(b"\xff"))


def test_escaped_bytes_go_out_as_they_came() -> None:
    assert encode_string(b"\xff".decode("utf-8", "surrogateescape")) == encode_string(b"\xff")


def test_a_list_over_the_limit_is_refused_before_it_is_read() -> None:
    receiver = Receiver(read_texts(SMALL), SMALL)
    with pytest.raises(ProtocolError, match="a list of 5 items"):
        receiver.feed(encode_number(5))


def test_a_message_over_the_limit_is_refused_though_each_string_is_within() -> None:
    limits = Limits(string=64, items=1000, message=200)
    receiver = Receiver(read_texts(limits), limits)
    with pytest.raises(ProtocolError, match="a message is longer"):
        receiver.feed(encode_strings(["x" * 60] * 4))


def test_a_key_that_comes_twice_in_a_map_is_refused() -> None:
    twice = encode_number(2) + encode_strings(["k", "1", "k", "2"])[8:]
    with pytest.raises(ProtocolError, match="comes twice"):
        read(read_map(SMALL), twice)


def test_what_follows_the_message_is_left_over() -> None:
    receiver = Receiver(read_number(), DEFAULT_LIMITS)
    assert receiver.feed(encode_number(7) + b"next")
    assert (receiver.value, receiver.rest) == (7, b"next")
    assert receiver.feed(b" one")
    assert receiver.rest == b"next one"


def test_the_receiver_says_how_many_bytes_it_needs() -> None:
    receiver = Receiver(read_bytes(SMALL), SMALL)
    assert receiver.needed == 8
    receiver.feed(encode_number(3)[:5])
    assert receiver.needed == 3
    receiver.feed(bytes(3))
    assert receiver.needed == 8
    receiver.feed(b"abc" + bytes(5))
    assert (receiver.needed, receiver.value) == (0, b"abc")


def test_a_stream_that_ends_in_the_middle_is_an_error() -> None:
    receiver = Receiver(read_number(), DEFAULT_LIMITS)
    receiver.feed(b"\1\2\3")
    with pytest.raises(ProtocolError, match="5 bytes or more are missing"):
        receiver.end()
    with pytest.raises(ProtocolError, match="not complete"):
        _ = receiver.value


def test_a_failed_receiver_fails_for_ever() -> None:
    receiver = Receiver(read_bool(), DEFAULT_LIMITS)
    with pytest.raises(ProtocolError):
        receiver.feed(encode_number(2))
    with pytest.raises(ProtocolError, match="not 2"):
        receiver.feed(encode_number(1))
    with pytest.raises(ProtocolError, match="not 2"):
        receiver.end()


@given(st.binary(), st.lists(st.integers(1, 9)))
def test_strings_survive_the_round_trip_in_any_pieces(data: bytes, sizes: list[int]) -> None:
    receiver = Receiver(read_bytes(DEFAULT_LIMITS), DEFAULT_LIMITS)
    done = [receiver.feed(piece) for piece in cut(encode_string(data), sizes)]
    assert done[-1]
    assert not any(done[:-1])
    assert receiver.end() == data


@given(st.lists(TEXTS), st.lists(st.integers(1, 20)))
def test_lists_survive_the_round_trip_in_any_pieces(items: list[str], sizes: list[int]) -> None:
    receiver = Receiver(read_texts(DEFAULT_LIMITS), DEFAULT_LIMITS)
    for piece in cut(encode_strings(items), sizes):
        receiver.feed(piece)
    assert receiver.end() == items


@given(st.dictionaries(TEXTS, TEXTS), st.lists(st.integers(1, 20)))
def test_maps_survive_the_round_trip_in_any_pieces(entries: dict[str, str], sizes: list[int]) -> None:
    receiver = Receiver(read_map(DEFAULT_LIMITS), DEFAULT_LIMITS)
    for piece in cut(encode_map(entries), sizes):
        receiver.feed(piece)
    assert receiver.end() == entries


@given(st.sampled_from(READINGS), st.binary(max_size=200), st.lists(st.integers(1, 20)))
def test_arbitrary_bytes_give_a_value_or_a_protocol_error(
    reading: Callable[[], Reading[Any]], data: bytes, sizes: list[int]
) -> None:
    receiver = Receiver(reading(), SMALL)
    try:
        for piece in cut(data, sizes):
            receiver.feed(piece)
        receiver.end()
    except ProtocolError:
        return
    assert receiver.finished
