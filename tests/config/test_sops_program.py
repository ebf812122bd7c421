"""Files that the real SOPS program wrote and edited: read, its MAC verified, and refused once they are changed without it."""

import os
import subprocess
import sysconfig
from pathlib import Path

import pyrage
import pytest

from fc.base.secrets import Secrets
from fc.config.compile import Compiled, compile_fragments
from fc.config.encrypted import Decryptor
from fc.config.load import read_fragment
from fc.config.outside import Surroundings
from tests.support.configuration import shown

IDENTITY = pyrage.x25519.Identity.generate()
STRANGER = pyrage.x25519.Identity.generate()
FILE = "team.sops.yaml"
REGEX = ("--encrypted-regex", "^(secret|token|key)$")
PLAIN = """\
# The team's project.
projects:
  p:  # a comment behind a key
    repository_url: /p
    description: |
      naïve: two lines,
      one 'quoted' "word" # no comment
    enabled: true
    jobsets:
      j:
        nix_expression: "x"
        check_interval: 90
        branch: null
        keep_nr: 3
    webhooks:
      # A comment above a secret.
      github: {secret: "hunter2"}
    notifications:
      - {type: gitea_status, repository: a/b, token: "ünï: #1"}
      - type: gitea_status
        repository: a/c
        token: |
          first
          second
"""
SECRETS = {"p/github": "hunter2", "p/gitea_status:a/b": "ünï: #1", "p/gitea_status:a/c": "first\nsecond"}


@pytest.fixture
def here(tmp_path: Path) -> Surroundings:
    (tmp_path / "identities").write_text(str(IDENTITY), encoding="ascii")
    return Surroundings(decryptor=Decryptor(tmp_path / "identities", tmp_path / "keys" / "secrets-key"))


def sops(directory: Path, *arguments: str, **environment: str) -> None:
    """Run the program, which knows nothing of this machine's keys and settings."""
    program = Path(sysconfig.get_path("scripts"), "sops")
    surroundings = {
        "PATH": os.environ["PATH"],
        "HOME": str(directory),
        "SOPS_AGE_KEY": str(IDENTITY),
        **environment,
    }
    done = subprocess.run(
        (program, "--disable-version-check", *arguments),
        cwd=directory,
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def encrypted(directory: Path, *options: str, text: str = PLAIN) -> Path:
    """A file that the program encrypted, by default for both recipients."""
    file = directory / FILE
    file.write_text(text, encoding="utf-8")
    recipients = f"{STRANGER.to_public()},{IDENTITY.to_public()}"
    sops(directory, "--encrypt", "--age", recipients, *options, "--in-place", FILE)
    return file


def made(file: Path, surroundings: Surroundings) -> Compiled:
    return compile_fragments([read_fragment(file.name, "", file.read_bytes(), surroundings)])


def secrets_of(found: Compiled, directory: Path) -> dict[str, str]:
    assert shown(found.problems) == []
    store = Secrets(None, directory / "keys" / "secrets-key")
    sealed = {
        key: one.fields.get("token") or one.fields.get("secret") for (_, key), one in found.resources.items()
    }
    return {key: store.reveal(value) for key, value in sealed.items() if value}


@pytest.mark.parametrize(
    "options",
    [
        REGEX,
        (*REGEX, "--mac-only-encrypted"),
        ("--unencrypted-regex", "^(repository.*|description|enabled|jobsets|type)$"),
    ],
    ids=["encrypted-regex", "mac-only-encrypted", "unencrypted-regex"],
)
def test_what_the_program_encrypted_is_read(
    here: Surroundings, tmp_path: Path, options: tuple[str, ...]
) -> None:
    file = encrypted(tmp_path, *options)
    assert "hunter2" not in file.read_text(encoding="utf-8")
    found = made(file, here)
    assert secrets_of(found, tmp_path) == SECRETS
    project = found.resources["project", "p"].fields
    assert project["description"] == "naïve: two lines,\none 'quoted' \"word\" # no comment\n"
    assert found.resources["jobset", "p/j"].fields["check_interval"] == 90


def test_what_the_program_changed_is_read(here: Surroundings, tmp_path: Path) -> None:
    file = encrypted(tmp_path, *REGEX)
    sops(tmp_path, "set", FILE, '["projects"]["p"]["webhooks"]["github"]["secret"]', '"another"')
    sops(tmp_path, "set", FILE, '["projects"]["p"]["jobsets"]["j"]["check_interval"]', "120")
    sops(tmp_path, "--rotate", "--in-place", FILE)
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i s/first/1st/ "$1"\n', encoding="ascii")
    editor.chmod(0o755)
    sops(tmp_path, "edit", FILE, EDITOR=str(editor))
    found = made(file, here)
    assert secrets_of(found, tmp_path) == {
        **SECRETS,
        "p/github": "another",
        "p/gitea_status:a/c": "1st\nsecond",
    }
    assert found.resources["jobset", "p/j"].fields["check_interval"] == 120


def test_what_was_changed_without_the_program_is_refused(here: Surroundings, tmp_path: Path) -> None:
    file = encrypted(tmp_path, *REGEX)
    whole = file.read_text(encoding="utf-8")
    for before, after in (("repository: a/b", "repository: a/d"), ("enabled: true", "enabled: false")):
        assert before in whole
        file.write_text(whole.replace(before, after), encoding="utf-8")
        assert any("the MAC does not match" in one for one in shown(made(file, here).problems))


def test_a_file_encrypted_whole_says_what_to_do(here: Surroundings, tmp_path: Path) -> None:
    problems = shown(made(encrypted(tmp_path), here).problems)
    assert any("repository_url: expected text, found a secret" in one for one in problems)
    assert any("sops: --encrypted-regex '^(secret|token|key)$'" in one for one in problems)


def test_the_program_for_another_recipient_alone_is_refused(here: Surroundings, tmp_path: Path) -> None:
    file = tmp_path / FILE
    file.write_text(PLAIN, encoding="utf-8")
    sops(tmp_path, "--encrypt", "--age", str(STRANGER.to_public()), *REGEX, "--in-place", FILE)
    problems = shown(made(file, here).problems)
    assert len(problems) == 1
    assert "no identity in" in problems[0]
