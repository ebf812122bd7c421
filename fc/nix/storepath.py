"""Store paths: their hash part, their name, and which texts are valid ones."""

import re

import msgspec
from typing_extensions import override

from fc.nix.errors import FormatError
from fc.nix.hashes import BASE32_ALPHABET

STORE_DIR = "/nix/store"
"""The logical store directory. A chroot store has it too, as seen from inside."""

HASH_LENGTH = 32
"""Characters of the hash part: 160 bits in base 32."""

_KIND = "store path"
_BASE_NAME = re.compile(rf"([{BASE32_ALPHABET}]{{{HASH_LENGTH}}})-([0-9A-Za-z+\-._?=]{{1,211}})")
_HASH_PART = re.compile(rf"[{BASE32_ALPHABET}]{{{HASH_LENGTH}}}")
_DOTS = re.compile(r"\.\.?(?:-|\Z)")


class StorePath(msgspec.Struct, frozen=True, order=True):
    """One path directly in the store."""

    hash_part: str
    """32 characters of base 32."""
    name: str
    """What stands after the dash, such as ``hello-1.0.drv``."""

    @override
    def __str__(self) -> str:
        return f"{STORE_DIR}/{self.base_name}"

    @property
    def base_name(self) -> str:
        """Hash part and name, without the store directory."""
        return f"{self.hash_part}-{self.name}"

    @property
    def is_derivation(self) -> bool:
        """Whether the path names a ``.drv`` file."""
        return self.name.endswith(".drv")


def parse_base_name(text: str) -> StorePath:
    """The store path whose last component is ``text``.

    Raises:
        FormatError: ``text`` breaks the rules of libstore/path.cc (alphabet, length, leading dots).
    """
    match = _BASE_NAME.fullmatch(text)
    if match is None or _DOTS.match(match[2]):
        raise FormatError(_KIND, repr(text[:300]))
    return StorePath(match[1], match[2])


def parse_store_path(text: str) -> StorePath:
    """The store path ``text``, such as ``/nix/store/…-hello-1.0``; nothing below one.

    Raises:
        FormatError: it is not directly in the store directory, or not a valid name.
    """
    directory, _, base_name = text.rpartition("/")
    if directory != STORE_DIR:
        raise FormatError(_KIND, f"{text[:300]!r} is not directly in {STORE_DIR}")
    return parse_base_name(base_name)


def is_store_path(text: str) -> bool:
    """Whether ``text`` is a whole, valid store path."""
    try:
        parse_store_path(text)
    except FormatError:
        return False
    return True


def is_hash_part(text: str) -> bool:
    """Whether ``text`` can be the hash part of a store path."""
    return _HASH_PART.fullmatch(text) is not None
