"""The signing key: given, made once, private."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from fc.base.errors import EnvironmentMissingError
from fc.base.settings import CacheSettings, Settings, WebSettings
from fc.cache.keys import signing_key
from fc.nix.signing import SigningKey


def test_a_key_is_made_once_and_kept_private(settings: Settings) -> None:
    key = signing_key(settings)
    file = settings.data_dir / "keys" / "cache-signing-key"
    assert key.name == "fc.example.org-1"
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.parent.stat().st_mode & 0o777 == 0o700
    assert signing_key(settings).secret_text == key.secret_text
    assert [found.name for found in file.parent.iterdir()] == ["cache-signing-key"]


def test_many_processes_that_start_at_once_agree_on_one_key(settings: Settings) -> None:
    with ThreadPoolExecutor(16) as pool:
        keys = list(pool.map(signing_key, [settings] * 32))
    assert len({key.public_text for key in keys}) == 1
    assert len(list((settings.data_dir / "keys").iterdir())) == 1


def test_a_given_key_is_used(settings: Settings, tmp_path: Path) -> None:
    given = SigningKey.generate("cache.example.org-7")
    file = tmp_path / "key"
    file.write_text(given.secret_text)
    changed = msgspec.structs.replace(settings, cache=CacheSettings(signing_key=file))
    assert signing_key(changed).public_text == given.public_text
    assert not (settings.data_dir / "keys").exists()


@pytest.mark.parametrize("contents", [None, b"", b"nonsense", b"\xff", b"name:AAAA"])
def test_a_given_key_that_cannot_be_used_is_one_clear_message(
    settings: Settings, tmp_path: Path, contents: bytes | None
) -> None:
    file = tmp_path / "key"
    if contents is not None:
        file.write_bytes(contents)
    changed = msgspec.structs.replace(settings, cache=CacheSettings(signing_key=file))
    with pytest.raises(EnvironmentMissingError, match=f"{file}, cannot be used: .*; make one with nix-store"):
        signing_key(changed)


def test_a_place_that_cannot_be_written_is_one_clear_message(settings: Settings) -> None:
    (settings.data_dir / "keys").write_text("a file, not a directory")
    with pytest.raises(EnvironmentMissingError, match="cannot be written"):
        signing_key(settings)


@pytest.mark.parametrize(
    ("url", "name"), [("http://[::1]:8080", "..1-1"), ("http://CI.example.org/fc", "ci.example.org-1")]
)
def test_the_key_is_named_after_the_host(settings: Settings, url: str, name: str) -> None:
    assert signing_key(msgspec.structs.replace(settings, web=WebSettings(public_url=url))).name == name


def test_a_public_url_without_a_host_still_names_a_key(settings: Settings) -> None:
    assert signing_key(msgspec.structs.replace(settings, web=WebSettings(public_url="fc"))).name == "fc-1"
