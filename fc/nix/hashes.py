"""Hashes as Nix writes them: base 16, Nix's own base 32, and SRI."""

import base64
import binascii

from fc.nix.errors import FormatError

BASE32_ALPHABET = "0123456789abcdfghijklmnpqrsvwxyz"
"""Nix leaves out e, o, t and u (libutil/hash.cc)."""

_DIGITS = {character: value for value, character in enumerate(BASE32_ALPHABET)}
_SHA256_SIZE = 32
_SHA256_BASE16 = 64
_SHA256_BASE32 = 52


def encode_base32(data: bytes) -> str:
    """``data`` as Nix base 32: the bytes as one little-endian number, its highest digit first."""
    number = int.from_bytes(data, "little")
    length = (len(data) * 8 + 4) // 5
    return "".join(BASE32_ALPHABET[(number >> shift) & 31] for shift in range((length - 1) * 5, -1, -5))


def decode_base32(text: str, size: int) -> bytes:
    """The ``size`` bytes that ``text`` stands for.

    Raises:
        FormatError: wrong length, a character outside the alphabet, or bits beyond ``size`` bytes.
    """
    if len(text) != (size * 8 + 4) // 5:
        kind = "base-32 text"
        raise FormatError(kind, f"{text[:80]!r} has the wrong length for {size} bytes")
    number = 0
    for character in text:
        digit = _DIGITS.get(character)
        if digit is None:
            kind = "base-32 text"
            raise FormatError(kind, f"{character!r} is not in Nix's alphabet")
        number = number << 5 | digit
    if number >> (size * 8):
        kind = "base-32 text"
        raise FormatError(kind, f"{text!r} has bits beyond {size} bytes")
    return number.to_bytes(size, "little")


def parse_sha256(text: str) -> bytes:
    """The digest in ``sha256:`` base 16 or base 32, ``sha256-`` base 64, or bare base 16.

    Raises:
        FormatError: it is none of these.
    """
    kind = "SHA-256 hash"
    if text.startswith("sha256-"):
        try:
            digest = base64.b64decode(text.removeprefix("sha256-"), validate=True)
        except (binascii.Error, ValueError):
            raise FormatError(kind, f"{text[:100]!r} is not base 64") from None
        if len(digest) != _SHA256_SIZE:
            raise FormatError(kind, f"{text[:100]!r} has {len(digest)} bytes")
        return digest
    body = text.removeprefix("sha256:")
    if len(body) == _SHA256_BASE32:
        return decode_base32(body, _SHA256_SIZE)
    if len(body) == _SHA256_BASE16:
        try:
            return binascii.unhexlify(body)
        except (binascii.Error, ValueError):
            raise FormatError(kind, f"{text[:100]!r} is not base 16") from None
    raise FormatError(kind, f"{text[:100]!r} has the wrong length")


def format_sha256(digest: bytes) -> str:
    """``digest`` as ``sha256:`` and base 32, the form of narinfo files and of ``QueryPathInfos``."""
    return "sha256:" + encode_base32(digest)
