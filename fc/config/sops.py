"""Files encrypted by SOPS for age recipients: values decrypted in memory, the message authentication code checked.

The format is that of https://getsops.io: each value is AES-256-GCM with the path of its keys as additional data; one
data key for the file is encrypted for each recipient; a SHA-512 over all values in their order guards the whole.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator
from decimal import Decimal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fc.config.encrypted import DecryptionError, Decryptor, as_secret
from fc.config.nodes import AGE_TAG, Mapping, Node, Scalar, Sequence, is_true, meaning
from fc.config.values import Reading

SUFFIXES = (".sops.yaml", ".sops.yml")
_METADATA = "sops"
_KEY_BYTES = 32
_ENCRYPTED = re.compile(
    r"ENC\[AES256_GCM,data:([A-Za-z0-9+/=]*),iv:([A-Za-z0-9+/=]+),tag:([A-Za-z0-9+/=]+),type:([a-z]+)\]"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}")
_DECIMAL = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,14})?\.[0-9]+|[-+]?(?:0|[1-9][0-9]{0,14})\.")
_PLAIN_METADATA = frozenset(
    (
        "age",
        "lastmodified",
        "mac",
        "version",
        "mac_only_encrypted",
        "unencrypted_suffix",
        "encrypted_suffix",
        "unencrypted_regex",
        "encrypted_regex",
        "unencrypted_comment_regex",
        "encrypted_comment_regex",
    )
)
_LONGEST = 64 * 1024


class _RefusedError(Exception):
    """The file is not what FC reads."""

    def __init__(self, node: Node, message: str) -> None:
        self.node = node
        self.message = message
        super().__init__(message)


def open_file(
    documents: list[Node], reading: Reading, decryptor: Decryptor | None, *, form_only: bool
) -> None:
    """Decrypt the document of a SOPS file in its place; what is wrong is noted, and then no value is known.

    Encrypted values become secrets encrypted for the database, which may stand only where a secret is expected.
    """
    if not documents:
        return
    root = documents[0]
    leaves: list[tuple[str, Scalar]] = []
    try:
        metadata = _metadata(documents)
        leaves = list(_leaves(root, "", set()))
        if not form_only:
            _decrypt(leaves, metadata, decryptor)
        _mark(leaves, "known")
    except _RefusedError as error:
        reading.note(error.node, f"SOPS: {error.message}")
        _mark(leaves, "broken")
    except DecryptionError as error:
        reading.note(root, f"SOPS: {error}")
        reading.settled = False
        _mark(leaves, "broken")


def _mark(leaves: list[tuple[str, Scalar]], state: str) -> None:
    for _path, leaf in leaves:
        if leaf.tag == AGE_TAG or _ENCRYPTED.fullmatch(leaf.text):
            leaf.tag = AGE_TAG
            leaf.state = "known" if state == "known" else "broken"


def _metadata(documents: list[Node]) -> Mapping:
    """What SOPS says about the file, taken out of it."""
    root = documents[0]
    if len(documents) != 1 or not isinstance(root, Mapping):
        raise _RefusedError(root, "a file named .sops.yaml holds one document that sops encrypted")
    found = [value for key, value in root.items if key.text == _METADATA]
    root.items = [(key, value) for key, value in root.items if key.text != _METADATA]
    if not found or not isinstance(found[0], Mapping):
        raise _RefusedError(root, "this file is not encrypted; encrypt it with sops, or name it otherwise")
    return found[0]


def _leaves(node: Node, path: str, seen: set[int]) -> Iterator[tuple[str, Scalar]]:
    """Every value with the path of its keys, in the order of the document; items of lists have the path of the list."""
    if id(node) in seen:
        raise _RefusedError(node, "aliases and << cannot stand in an encrypted file")
    seen.add(id(node))
    if isinstance(node, Mapping):
        for key, value in node.items:
            yield from _leaves(value, f"{path}{key.text}:", seen)
    elif isinstance(node, Sequence):
        for item in node.items:
            yield from _leaves(item, path, seen)
    elif node.tag:
        raise _RefusedError(node, f"{node.tag} cannot stand in an encrypted file")
    else:
        yield path, node


def _decrypt(leaves: list[tuple[str, Scalar]], metadata: Mapping, decryptor: Decryptor | None) -> None:
    """Put every encrypted value's token in its place, after the whole has proved to be as sops wrote it."""
    if decryptor is None:
        raise _RefusedError(metadata, "nothing can be decrypted here")
    fields = {key.text: value for key, value in metadata.items}
    cipher = AESGCM(_data_key(metadata, fields, decryptor))
    only_encrypted = _flag(fields.get("mac_only_encrypted"))
    digest = hashlib.sha512(hashlib.sha256(b"sops").digest() if only_encrypted else b"")
    opened: list[tuple[Scalar, bytes]] = []
    for path, leaf in leaves:
        match = _ENCRYPTED.fullmatch(leaf.text)
        if match is not None:
            data = _open(cipher, match, path, leaf)
            opened.append((leaf, data))
            digest.update(data)
        elif not only_encrypted:
            digest.update(_plain_bytes(leaf))
    mac = _scalar(metadata, fields, "mac")
    match = _ENCRYPTED.fullmatch(mac.text)
    if match is None:
        raise _RefusedError(mac, "mac: expected ENC[…]")
    expected = _open(cipher, match, _scalar(metadata, fields, "lastmodified").text, mac)
    if not hmac.compare_digest(expected, digest.hexdigest().upper().encode()):
        raise _RefusedError(metadata, "the MAC does not match: the file was changed without sops")
    for leaf, data in opened:
        try:
            leaf.text = decryptor.seal(as_secret(data))
        except DecryptionError as error:
            raise _RefusedError(leaf, str(error)) from None
        leaf.tag = AGE_TAG


def _data_key(metadata: Mapping, fields: dict[str, Node], decryptor: Decryptor) -> bytes:
    for name, value in fields.items():
        if name not in _PLAIN_METADATA and not _is_empty(value):
            raise _RefusedError(
                value, f"{name[:40]} is not supported; FC reads files for age recipients alone"
            )
    recipients = fields.get("age")
    if not isinstance(recipients, Sequence) or not recipients.items:
        raise _RefusedError(metadata, "the file has no age recipient, and FC reads no others")
    failed: DecryptionError | None = None
    for recipient in recipients.items:
        wrapped = {key.text: one for key, one in recipient.items} if isinstance(recipient, Mapping) else {}
        enc = wrapped.get("enc")
        if not isinstance(enc, Scalar) or len(enc.text) > _LONGEST:
            raise _RefusedError(recipient, "age: expected a recipient and what is encrypted for it")
        try:
            key = decryptor.decrypt(enc.text)
        except DecryptionError as error:
            failed = error
            continue
        if len(key) != _KEY_BYTES:
            raise _RefusedError(enc, "the data key has the wrong length")
        return key
    assert failed is not None
    raise failed


def _open(cipher: AESGCM, match: re.Match[str], additional: str, node: Scalar) -> bytes:
    try:
        data, nonce, tag = (base64.b64decode(match[one], validate=True) for one in (1, 2, 3))
        return cipher.decrypt(nonce, data + tag, additional.encode())
    except (ValueError, InvalidTag):
        message = "this value cannot be decrypted: it was changed, or moved here from another place"
        raise _RefusedError(node, message) from None


def _plain_bytes(leaf: Scalar) -> bytes:
    """A value that is not encrypted, as the MAC takes it."""
    kind = meaning(leaf)
    if kind == "nothing":
        return b""
    if kind == "boolean":
        return b"True" if is_true(leaf) else b"False"
    if kind == "integer":
        return str(int(leaf.text)).encode()
    if kind == "number" and _DECIMAL.fullmatch(leaf.text):
        shown = format(Decimal(repr(float(leaf.text))), "f")
        return (shown.rstrip("0").rstrip(".") if "." in shown else shown).encode()
    if kind == "number" or (leaf.plain and _DATE.match(leaf.text)):
        raise _RefusedError(
            leaf, "programs read this number or date differently; put it in quotes and encrypt again"
        )
    return leaf.text.encode()


def _scalar(metadata: Mapping, fields: dict[str, Node], name: str) -> Scalar:
    found = fields.get(name)
    if not isinstance(found, Scalar) or not found.text:
        raise _RefusedError(found or metadata, f"{name} is missing")
    return found


def _flag(node: Node | None) -> bool:
    return isinstance(node, Scalar) and node.text.lower() == "true"


def _is_empty(node: Node) -> bool:
    return (
        not node.items
        if isinstance(node, Mapping | Sequence)
        else meaning(node) == "nothing" or node.text in {"0", "1"}
    )
