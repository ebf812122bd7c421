"""Ed25519 keys in Nix's ``name:base64`` form, signing and verifying (libutil/signature, libstore/crypto.cc)."""

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from typing_extensions import override

from fc.nix.errors import FormatError

_SEED_SIZE: Final = 32
_PUBLIC_SIZE: Final = 32
_SIGNATURE_SIZE: Final = 64
_NAME = re.compile(r"[^\s:]{1,255}")


class SigningKey:
    """A secret key as ``nix-store --generate-binary-cache-key`` writes it. Never shows its secret half."""

    def __init__(self, name: str, private_key: Ed25519PrivateKey) -> None:
        if _NAME.fullmatch(name) is None:
            kind = "signing key"
            raise FormatError(kind, f"{name!r} cannot be the name of a key")
        self.name = name
        self._private_key = private_key

    @classmethod
    def generate(cls, name: str) -> "SigningKey":
        """A new key. Nix's custom is a host name and a number, ``cache.example.org-1``."""
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def parse(cls, text: str) -> "SigningKey":
        """The key in ``name:base64`` of seed and public key.

        Raises:
            FormatError: it is none; the message does not repeat the text.
        """
        kind = "signing key"
        name, data = _split(text, kind, _SEED_SIZE + _PUBLIC_SIZE)
        key = cls(name, Ed25519PrivateKey.from_private_bytes(data[:_SEED_SIZE]))
        if key._public_bytes() != data[_SEED_SIZE:]:
            raise FormatError(kind, f"the two halves of {name!r} do not belong together")
        return key

    @override
    def __repr__(self) -> str:
        return f"SigningKey({self.name!r})"

    @property
    def secret_text(self) -> str:
        """The key as it is kept in a file of mode 0600."""
        return f"{self.name}:{_encode(self._private_key.private_bytes_raw() + self._public_bytes())}"

    @property
    def public_text(self) -> str:
        """What users put into ``trusted-public-keys``."""
        return f"{self.name}:{_encode(self._public_bytes())}"

    def sign(self, fingerprint: str) -> str:
        """The signature of ``fingerprint``, as a narinfo's ``Sig``."""
        return f"{self.name}:{_encode(self._private_key.sign(fingerprint.encode()))}"

    def _public_bytes(self) -> bytes:
        return self._private_key.public_key().public_bytes_raw()


def verify(fingerprint: str, signatures: Iterable[str], public_keys: Iterable[str]) -> bool:
    """Whether one of ``signatures`` is good and by one of ``public_keys`` (both in ``name:base64``).

    Signatures that cannot be read do not count.

    Raises:
        FormatError: one of ``public_keys`` is no key.
    """
    keys = dict(_split(text, "public key", _PUBLIC_SIZE) for text in public_keys)
    for text in signatures:
        try:
            name, signature = _split(text, "signature", _SIGNATURE_SIZE)
            Ed25519PublicKey.from_public_bytes(keys[name]).verify(signature, fingerprint.encode())
        except (FormatError, KeyError, InvalidSignature):
            continue
        return True
    return False


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _split(text: str, kind: str, size: int) -> tuple[str, bytes]:
    """Name and ``size`` bytes of ``name:base64``."""
    name, _, encoded = text.strip().partition(":")
    try:
        data = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise FormatError(kind, "it is not written as name:base64") from None
    if _NAME.fullmatch(name) is None or len(data) != size:
        raise FormatError(kind, f"a name and {size} bytes are expected")
    return name, data
