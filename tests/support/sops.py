"""Files as sops writes them, for tests: an encryptor written from the description of the format."""

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Mapping

import pyrage
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

MODIFIED = "2026-11-22T05:00:00Z"


def enc(key: bytes, text: str, additional: str) -> str:
    nonce = os.urandom(32)
    whole = AESGCM(key).encrypt(nonce, text.encode(), additional.encode())
    data, iv, tag = (base64.b64encode(one).decode() for one in (whole[:-16], nonce, whole[-16:]))
    return f"ENC[AES256_GCM,data:{data},iv:{iv},tag:{tag},type:str]"


def sops_file(
    tree: Mapping[str, object],
    recipients: Iterable[pyrage.x25519.Recipient],
    *,
    secret_keys: Iterable[str] = ("secret", "token", "key"),
    only_encrypted: bool = False,
    **metadata: object,
) -> str:
    """A file in which the values of ``secret_keys`` are encrypted, as with ``encrypted_regex``; YAML, since it is JSON."""
    key = os.urandom(32)
    digest = hashlib.sha512(hashlib.sha256(b"sops").digest() if only_encrypted else b"")
    hidden = set(secret_keys)

    def walk(node: object, path: str, name: str) -> object:
        if isinstance(node, Mapping):
            return {one: walk(value, f"{path}{one}:", one) for one, value in node.items()}
        if isinstance(node, list):
            return [walk(value, path, name) for value in node]
        if node is None:
            return None
        text = ("True" if node else "False") if isinstance(node, bool) else str(node)
        if name in hidden or not only_encrypted:
            digest.update(text.encode())
        return enc(key, text, path) if name in hidden else node

    made = walk(tree, "", "")
    assert isinstance(made, dict)
    wrapped = [
        {"recipient": str(one), "enc": pyrage.encrypt(key, [one], armored=True).decode()}
        for one in recipients
    ]
    made["sops"] = {
        "kms": [],
        "pgp": [],
        "age": wrapped,
        "lastmodified": MODIFIED,
        "mac": enc(key, digest.hexdigest().upper(), MODIFIED),
        "version": "3.9.4",
        **({"mac_only_encrypted": True} if only_encrypted else {}),
        **metadata,
    }
    return json.dumps(made, indent=2)
