"""Encryption at rest: tokens that only their key opens, and a key that is made once."""

import stat
import threading
from pathlib import Path

import pytest

from fc.base.crypto import Box, UnreadableError, read_or_make_key
from fc.base.errors import EnvironmentMissingError, SecretMissingError
from fc.base.secrets import Secrets

KEY = bytes(range(32))


def test_a_token_opens_to_its_text_and_shows_nothing_of_it() -> None:
    token = Box(KEY).seal("hunter2 é")
    assert Box(KEY).open(token) == "hunter2 é"
    assert "hunter2" not in token


def test_equal_texts_are_equal_tokens_and_others_differ_in_nonce() -> None:
    box = Box(KEY)
    assert box.seal("a") == box.seal("a")
    assert box.seal("a")[:18] != box.seal("b")[:18]


def test_a_token_that_was_touched_or_is_of_another_key_is_refused() -> None:
    token = Box(KEY).seal("hunter2")
    changed = token[:20] + ("A" if token[20] != "A" else "B") + token[21:]
    for box, bad in (
        (Box(bytes(32)), token),
        (Box(KEY), changed),
        (Box(KEY), "v1.x"),
        (Box(KEY), token[3:]),
        (Box(KEY), ""),
    ):
        with pytest.raises(UnreadableError) as raised:
            box.open(bad)
        assert "hunter2" not in str(raised.value)


def test_a_key_is_made_once_for_its_owner_alone_however_many_ask(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "secrets-key"
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(read_or_make_key(file))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert [one.name for one in file.parent.iterdir()] == ["secrets-key"]


def test_a_file_that_holds_no_key_is_never_replaced(tmp_path: Path) -> None:
    file = tmp_path / "secrets-key"
    file.write_text("nonsense", encoding="ascii")
    with pytest.raises(EnvironmentMissingError, match="holds no key"):
        read_or_make_key(file)
    assert file.read_text(encoding="ascii") == "nonsense"


def test_secrets_are_revealed_by_name_and_from_what_is_encrypted(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("by-name", encoding="ascii")
    key = tmp_path / "keys" / "secrets-key"
    secrets = Secrets(tmp_path, key)
    assert secrets.reveal({"secret": "token"}) == "by-name"
    assert secrets.reveal({"encrypted": Box(read_or_make_key(key)).seal("inside")}) == "inside"


@pytest.mark.parametrize(
    "reference",
    [
        {},
        {"encrypted": "v1.AAAA"},
        {"secret": "a", "encrypted": "b"},
        {"encrypted": None},
        {"secret": 1},
        "«secret»",
        None,
    ],
)
def test_what_is_no_readable_reference_is_a_missing_secret(tmp_path: Path, reference: object) -> None:
    with pytest.raises(SecretMissingError):
        Secrets(tmp_path, tmp_path / "key").reveal(reference)
    with pytest.raises(SecretMissingError):
        Secrets(tmp_path).reveal({"encrypted": "v1.AAAA"})
