"""NARs: where one ends and what is in it, while its bytes stream through; and how one is written."""

import enum
import struct
from collections.abc import Collection, Generator
from operator import itemgetter
from typing import TypeAlias, TypeVar

import msgspec

from fc.nix.errors import ProtocolError
from fc.nix.wire import encode_string

T = TypeVar("T")

_U64 = struct.Struct("<Q")
_WORD = 8

_HEAD = encode_string("nix-archive-1")
_OPEN = encode_string("(")
_CLOSE = encode_string(")")
_TYPE = encode_string("type")
_NODE = encode_string("node")
_REGULAR = encode_string("regular")
_SYMLINK = encode_string("symlink")
_DIRECTORY = encode_string("directory")
_EXECUTABLE = encode_string("executable")
_CONTENTS = encode_string("contents")
_TARGET = encode_string("target")
_ENTRY = encode_string("entry")
_NAME = encode_string("name")

# Every token is told apart by its first two words, so one read of 16 bytes decides how to go on.
_TOKEN = 16
_LONGEST_NAME = 255
_LONGEST_TARGET = 4095

_Steps: TypeAlias = Generator[int, bytes, T]
"""Yields n to be sent the next n bytes, or -n to have n bytes pass by unread."""


class EntryType(enum.Enum):
    """What stands at a path of a NAR."""

    REGULAR = "regular"
    SYMLINK = "symlink"
    DIRECTORY = "directory"


class NarEntry(msgspec.Struct, frozen=True):
    """One path of a NAR."""

    path: str
    """Relative to the root, with slashes; empty: the root itself. Bytes that are not UTF-8 are escaped (PEP 383)."""
    type: EntryType
    size: int = 0
    """Bytes, of regular files."""
    executable: bool = False
    target: str = ""
    """Of symbolic links."""


class NarParser:
    """Follows one NAR through a stream that has no other sign of its end.

    ``feed`` it what comes; pass on as many bytes as it says; when ``finished``, the rest is not the NAR's.
    It takes what Nix writes and nothing else: order of tokens, sorted and valid names, zero padding.

    Args:
        wanted: paths of regular files to be kept in ``files``.
        max_file: a wanted file with more bytes is not kept.
        listing: keep every entry in ``entries``.
        max_depth: most directories inside one another.
        max_entries: most files, links and directories.
    """

    def __init__(
        self,
        *,
        wanted: Collection[str] = (),
        max_file: int = 1024 * 1024,
        listing: bool = False,
        max_depth: int = 512,
        max_entries: int = 10_000_000,
    ) -> None:
        self.files: dict[str, bytes] = {}
        """Contents of the wanted files that are there and not too large."""
        self.too_large: list[str] = []
        """Wanted files beyond ``max_file``."""
        self.entries: list[NarEntry] = []
        """Every path, if ``listing``: a directory before what is in it."""
        self.finished = False
        self._wanted = frozenset(wanted)
        self._max_file = max_file
        self._listing = listing
        self._max_depth = max_depth
        self._entries_left = max_entries
        self._failure: ProtocolError | None = None
        self._buffer = bytearray()
        self._steps = self._archive()
        self._need = next(self._steps)

    def feed(self, data: bytes) -> int:
        """How many bytes of ``data``, from its start, belong to the NAR: all of them until it ends.

        Raises:
            ProtocolError: this is no NAR, or beyond a limit; every later call raises it again.
        """
        if self._failure is not None:
            raise self._failure
        position = 0
        try:
            while position < len(data) and not self.finished:
                position = self._take(data, position)
        except ProtocolError as error:
            self._failure = error
            raise
        return position

    def end(self) -> None:
        """The stream has ended.

        Raises:
            ProtocolError: the NAR has not.
        """
        if self._failure is not None:
            raise self._failure
        if not self.finished:
            message = "the stream ended in the middle of a NAR"
            raise ProtocolError(message)

    def _take(self, data: bytes, position: int) -> int:
        """Use up ``data`` from ``position`` for the present step; where the next one begins."""
        left = len(data) - position
        if self._need < 0:
            passed = min(-self._need, left)
            self._need += passed
            if self._need == 0:
                self._advance(b"")
            return position + passed
        missing = self._need - len(self._buffer)
        taken = min(missing, left)
        self._buffer += data[position : position + taken]
        if taken == missing:
            piece = bytes(self._buffer)
            self._buffer.clear()
            self._advance(piece)
        return position + taken

    def _advance(self, piece: bytes) -> None:
        try:
            self._need = self._steps.send(piece)
        except StopIteration:
            self.finished = True

    def _archive(self) -> _Steps[None]:
        """The whole NAR. Directories are kept on a stack of their own, so depth costs no call depth."""
        yield from _expect(_HEAD)
        yield from _expect(_OPEN + _TYPE)
        open_directories = [_OpenDirectory("")] if (yield from self._node("")) else []
        while open_directories:
            directory = open_directories[-1]
            token = yield _TOKEN
            if token == _CLOSE:
                open_directories.pop()
                if open_directories:
                    yield from _expect(_CLOSE)  # of the entry that the directory was
                continue
            if token != _ENTRY:
                raise _unexpected(token)
            path = yield from _entry(directory)
            if (yield from self._node(path)):
                if len(open_directories) >= self._max_depth:
                    message = f"the directories of a NAR are more than {self._max_depth} deep"
                    raise ProtocolError(message)
                open_directories.append(_OpenDirectory(path))
            else:
                yield from _expect(_CLOSE)

    def _node(self, path: str) -> _Steps[bool]:
        """One node from its type on. A directory is left open (True), the others are read to their end."""
        self._entries_left -= 1
        if self._entries_left < 0:
            message = "a NAR has more entries than allowed"
            raise ProtocolError(message)
        token = yield _TOKEN
        if token == _REGULAR:
            yield from self._regular(path)
            return False
        if token == _SYMLINK:
            yield from _expect(_TARGET)
            target = yield from _short_string(1, _LONGEST_TARGET, _CLOSE)
            self._note(NarEntry(path, EntryType.SYMLINK, target=_text(target)))
            return False
        if token != _DIRECTORY[:_TOKEN]:
            raise _unexpected(token)
        yield from _expect(_DIRECTORY[_TOKEN:])
        self._note(NarEntry(path, EntryType.DIRECTORY))
        return True

    def _regular(self, path: str) -> _Steps[None]:
        token = yield _TOKEN
        executable = token == _EXECUTABLE[:_TOKEN]
        if executable:
            yield from _expect(_EXECUTABLE[_TOKEN:] + encode_string(""))
            token = yield _TOKEN
        size = 0
        if token == _CONTENTS:
            size = _U64.unpack((yield _WORD))[0]
            if path in self._wanted:
                yield from self._keep(path, size)
            elif size:
                yield -size
            yield from _expect(b"\0" * (-size % _WORD) + _CLOSE)
        elif token != _CLOSE:
            raise _unexpected(token)
        elif path in self._wanted:
            self.files[path] = b""
        self._note(NarEntry(path, EntryType.REGULAR, size=size, executable=executable))

    def _keep(self, path: str, size: int) -> _Steps[None]:
        if size > self._max_file:
            self.too_large.append(path)
            yield -size
        else:
            self.files[path] = (yield size) if size else b""

    def _note(self, entry: NarEntry) -> None:
        if self._listing:
            self.entries.append(entry)


class _OpenDirectory:
    """A directory whose entries are being read."""

    __slots__ = ("last_name", "prefix")

    def __init__(self, path: str) -> None:
        self.prefix = f"{path}/" if path else ""
        self.last_name = b""


def _entry(directory: _OpenDirectory) -> _Steps[str]:
    """One entry of ``directory`` up to the type of its node; its path."""
    yield from _expect(_OPEN + _NAME)
    name = yield from _short_string(1, _LONGEST_NAME, _NODE + _OPEN + _TYPE)
    if name in {b".", b".."} or b"/" in name or b"\0" in name:
        message = f"a NAR has an entry with the name {name!r}"
        raise ProtocolError(message)
    if name <= directory.last_name:
        message = f"the entries of a NAR are not sorted: {name!r} comes after {directory.last_name!r}"
        raise ProtocolError(message)
    directory.last_name = name
    return directory.prefix + _text(name)


def _short_string(shortest: int, longest: int, then: bytes) -> _Steps[bytes]:
    """A string within bounds, and the tokens ``then`` that must follow it."""
    length = _U64.unpack((yield _WORD))[0]
    if not shortest <= length <= longest:
        message = f"a NAR has a name or target of {length} bytes"
        raise ProtocolError(message)
    piece = yield length + -length % _WORD + len(then)
    if piece[length:] != b"\0" * (-length % _WORD) + then:
        raise _unexpected(piece[length:])
    return piece[:length]


def _expect(tokens: bytes) -> _Steps[None]:
    piece = yield len(tokens)
    if piece != tokens:
        raise _unexpected(piece)


def _unexpected(piece: bytes) -> ProtocolError:
    return ProtocolError(f"not a NAR: {piece[:64]!r} is not expected there")


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")


class File(msgspec.Struct, frozen=True):
    """A regular file to be written."""

    contents: bytes
    executable: bool = False


class Symlink(msgspec.Struct, frozen=True):
    """A symbolic link to be written."""

    target: str


Tree: TypeAlias = "File | Symlink | dict[str, Tree]"
"""What ``encode_nar`` writes; a dictionary is a directory."""


def encode_nar(tree: Tree) -> bytes:
    """The NAR of ``tree``, as ``nix-store --dump`` would write it."""
    return _HEAD + _encode_node(tree)


def _encode_node(tree: Tree) -> bytes:
    parts = [_OPEN, _TYPE]
    if isinstance(tree, File):
        parts.append(_REGULAR)
        if tree.executable:
            parts += (_EXECUTABLE, encode_string(""))
        parts += (_CONTENTS, encode_string(tree.contents))
    elif isinstance(tree, Symlink):
        parts += (_SYMLINK, _TARGET, encode_string(tree.target))
    else:
        parts.append(_DIRECTORY)
        named = sorted(
            ((name.encode("utf-8", "surrogateescape"), node) for name, node in tree.items()),
            key=itemgetter(0),
        )
        for name, node in named:
            parts += (_ENTRY, _OPEN, _NAME, encode_string(name), _NODE, _encode_node(node), _CLOSE)
    parts.append(_CLOSE)
    return b"".join(parts)
