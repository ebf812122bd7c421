"""Framing of Nix's protocols without I/O: numbers, padded strings, lists, maps (libutil/serialise)."""

import struct
from collections.abc import Generator, Iterable, Mapping
from typing import Generic, TypeAlias, TypeVar

import msgspec

from fc.nix.errors import ProtocolError

T = TypeVar("T")

Reading: TypeAlias = Generator[int, bytes, T]
"""A parser: yields how many bytes it needs next, is sent exactly that many, returns what it has read."""

_U64 = struct.Struct("<Q")
_WORD = 8


class Limits(msgspec.Struct, frozen=True):
    """How much one reply may take of this process's memory."""

    string: int = 16 * 1024 * 1024
    """Longest string, bytes."""
    items: int = 1_000_000
    """Most items of one list or map."""
    message: int = 256 * 1024 * 1024
    """Longest message, bytes."""


DEFAULT_LIMITS = Limits()


def encode_number(value: int) -> bytes:
    """``value`` as unsigned 64-bit little-endian; booleans are 0 and 1."""
    return _U64.pack(value)


def encode_string(value: str | bytes) -> bytes:
    """Length, bytes, zeros up to a multiple of 8. Text goes as UTF-8, escaped bytes as they were."""
    data = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    return b"".join((_U64.pack(len(data)), data, b"\0" * (-len(data) % _WORD)))


def encode_strings(values: Iterable[str | bytes]) -> bytes:
    """A list: count, items."""
    items = [encode_string(value) for value in values]
    return b"".join((_U64.pack(len(items)), *items))


def encode_map(values: Mapping[str, str]) -> bytes:
    """A map: count, then key and value of each entry, in the order given."""
    parts = [_U64.pack(len(values))]
    for key, value in values.items():
        parts += (encode_string(key), encode_string(value))
    return b"".join(parts)


def read_number() -> Reading[int]:
    """An unsigned 64-bit number."""
    number: int = _U64.unpack((yield _WORD))[0]
    return number


def read_bool() -> Reading[bool]:
    """A boolean; anything but 0 and 1 is an error, as it is to Nix."""
    number = yield from read_number()
    if number > 1:
        message = f"a boolean is 0 or 1, not {number}"
        raise ProtocolError(message)
    return number == 1


def read_bytes(limits: Limits) -> Reading[bytes]:
    """A string as bytes; its padding must be zero."""
    length = yield from read_number()
    if length > limits.string:
        message = f"a string of {length} bytes is longer than the {limits.string} allowed"
        raise ProtocolError(message)
    if length == 0:
        return b""
    padded = yield length + -length % _WORD
    if any(padded[length:]):
        message = "the padding of a string is not zero"
        raise ProtocolError(message)
    return padded[:length]


def read_text(limits: Limits) -> Reading[str]:
    """A string that must be UTF-8, such as a name or a path."""
    data = yield from read_bytes(limits)
    try:
        return data.decode()
    except UnicodeDecodeError:
        message = f"a name or path is not UTF-8: {data[:80]!r}"
        raise ProtocolError(message) from None


def read_count(limits: Limits) -> Reading[int]:
    """The number of items of a list or map."""
    count = yield from read_number()
    if count > limits.items:
        message = f"a list of {count} items is longer than the {limits.items} allowed"
        raise ProtocolError(message)
    return count


def read_texts(limits: Limits) -> Reading[list[str]]:
    """A list of strings that must be UTF-8."""
    count = yield from read_count(limits)
    items: list[str] = []
    for _ in range(count):
        items += [(yield from read_text(limits))]
    return items


def read_map(limits: Limits) -> Reading[dict[str, str]]:
    """A map of strings; a key that comes twice is an error."""
    count = yield from read_count(limits)
    entries: dict[str, str] = {}
    for _ in range(count):
        key = yield from read_text(limits)
        if key in entries:
            message = f"the key {key[:80]!r} comes twice in one map"
            raise ProtocolError(message)
        entries[key] = yield from read_text(limits)
    return entries


class Receiver(Generic[T]):
    """Feeds one reading with bytes as they come, in pieces of any size.

    ``feed`` until it says True, then take ``value``; call ``end`` when the stream ends.
    """

    def __init__(self, reading: Reading[T], limits: Limits) -> None:
        self._reading = reading
        self._left = limits.message
        self._buffer = bytearray()
        self._values: list[T] = []
        self._failure: ProtocolError | None = None
        self._needed = 0
        self._step(None)

    @property
    def finished(self) -> bool:
        """Whether the whole message has been read."""
        return bool(self._values)

    @property
    def needed(self) -> int:
        """Bytes still missing before the reading can go on; 0 when it is finished. Reading exactly as many never reads too far."""
        return 0 if self.finished else max(0, self._needed - len(self._buffer))

    @property
    def value(self) -> T:
        """What was read. Only when ``finished``."""
        if not self._values:
            message = "the message is not complete"
            raise ProtocolError(message)
        return self._values[0]

    @property
    def rest(self) -> bytes:
        """What was fed beyond the end of the message: the start of the next one. Only when ``finished``."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> bool:
        """Take ``data``, say whether the message is complete.

        Raises:
            ProtocolError: the stream is malformed or over a limit; every later call raises it again.
        """
        if self._failure is not None:
            raise self._failure
        self._buffer += data
        while not self._values and len(self._buffer) >= self._needed:
            piece = bytes(self._buffer[: self._needed])
            del self._buffer[: self._needed]
            self._step(piece)
        return self.finished

    def end(self) -> T:
        """The stream has ended: what was read.

        Raises:
            ProtocolError: it ended in the middle of the message.
        """
        if self._failure is not None:
            raise self._failure
        if not self._values:
            message = f"the stream ended in the middle of a message, {self.needed} bytes or more are missing"
            raise ProtocolError(message)
        return self._values[0]

    def _step(self, piece: bytes | None) -> None:
        """Send ``piece`` (none: start) to the reading and note what it asks for."""
        try:
            self._needed = next(self._reading) if piece is None else self._reading.send(piece)
            self._left -= self._needed
            if self._left < 0:
                message = "a message is longer than allowed"
                raise ProtocolError(message)  # noqa: TRY301 - one place notes every failure
        except StopIteration as stop:
            self._values.append(stop.value)
        except ProtocolError as error:
            self._failure = error
            raise
