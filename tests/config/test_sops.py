"""Files encrypted by SOPS: decrypted when all of it is as it was written, refused in every other case."""

import json
from pathlib import Path
from typing import Any

import pyrage
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fc.base.secrets import Secrets
from fc.config.compile import Compiled, compile_fragments
from fc.config.encrypted import Decryptor
from fc.config.load import read_fragment
from fc.config.outside import FORM_ONLY, Surroundings
from tests.support.configuration import shown
from tests.support.sops import sops_file

IDENTITY = pyrage.x25519.Identity.generate()
STRANGER = pyrage.x25519.Identity.generate()
VALUE = "hunter2"
TREE: dict[str, Any] = {
    "projects": {
        "p": {
            "repository_url": "/p",
            "description": "naïve",
            "enabled": True,
            "jobsets": {"j": {"nix_expression": "x", "check_interval": 90, "branch": None}},
            "webhooks": {"github": {"secret": VALUE}},
            "notifications": [
                {"type": "gitea_status", "repository": "a/b", "token": VALUE},
                {"type": "gitea_status", "repository": "a/c", "token": "other"},
            ],
        }
    }
}


@pytest.fixture
def here(tmp_path: Path) -> Surroundings:
    (tmp_path / "identities").write_text(str(IDENTITY), encoding="ascii")
    return Surroundings(decryptor=Decryptor(tmp_path / "identities", tmp_path / "keys" / "secrets-key"))


def made(text: str, surroundings: Surroundings, file: str = "p.sops.yaml") -> Compiled:
    return compile_fragments([read_fragment(file, "", text.encode(), surroundings)])


def written(**options: Any) -> str:
    return sops_file(options.pop("tree", TREE), options.pop("recipients", [IDENTITY.to_public()]), **options)


@pytest.mark.parametrize("only_encrypted", [False, True])
def test_secrets_are_decrypted_and_all_else_is_read_as_it_stands(
    here: Surroundings, tmp_path: Path, only_encrypted: bool
) -> None:
    found = made(written(only_encrypted=only_encrypted), here)
    assert shown(found.problems) == []
    assert found.resources["jobset", "p/j"].fields["check_interval"] == 90
    secrets = Secrets(None, tmp_path / "keys" / "secrets-key")
    tokens = {
        key: one.fields.get("token") or one.fields.get("secret") for (_, key), one in found.resources.items()
    }
    assert secrets.reveal(tokens["p/github"]) == VALUE
    assert secrets.reveal(tokens["p/gitea_status:a/c"]) == "other"
    assert VALUE not in repr(found)


def test_any_of_several_recipients_can_read_it(here: Surroundings) -> None:
    assert made(written(recipients=[STRANGER.to_public(), IDENTITY.to_public()]), here).problems == ()
    found = shown(made(written(recipients=[STRANGER.to_public()]), here).problems)
    assert len(found) == 1
    assert "no identity in" in found[0]


def test_whatever_is_changed_in_the_file_is_noticed(here: Surroundings) -> None:
    whole = json.loads(written())
    project = whole["projects"]["p"]
    jobset = project["jobsets"]["j"]
    changes: list[tuple[dict[str, Any], str, Any]] = [
        (jobset, "check_interval", 91),
        (jobset, "keep_nr", 1),
        (project, "description", "other"),
        (project, "enabled", False),
        (project["webhooks"]["github"], "secret", "plain"),
        (project["webhooks"]["github"], "secret", project["notifications"][0]["token"]),
        (project["notifications"][0], "token", project["notifications"][1]["token"]),
        (whole["sops"], "lastmodified", "2026-11-22T05:00:01Z"),
    ]
    for place, name, value in changes:
        before = dict(place)
        place[name] = value
        found = shown(made(json.dumps(whole), here).problems)
        assert any("SOPS: " in one for one in found), name
        assert VALUE not in "".join(found)
        place.clear()
        place.update(before)
    assert made(json.dumps(whole), here).problems == ()


def test_the_order_of_values_is_part_of_what_is_checked(here: Surroundings) -> None:
    whole = json.loads(written())
    whole["projects"]["p"]["notifications"].reverse()
    (found,) = shown(made(json.dumps(whole), here).problems)
    assert "the MAC does not match: the file was changed without sops" in found


def test_what_is_encrypted_stands_only_where_a_secret_is_expected(here: Surroundings) -> None:
    found = shown(made(written(secret_keys=["secret", "token", "description"]), here).problems)
    assert len(found) == 1
    assert "description: expected text, found a secret" in found[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pgp": [{"fp": "x"}]}, "pgp is not supported; FC reads files for age recipients alone"),
        ({"kms": [{"arn": "x"}]}, "kms is not supported"),
        ({"key_groups": [{"age": []}, {"age": []}]}, "key_groups is not supported"),
        ({"shamir_threshold": 2}, "shamir_threshold is not supported"),
        ({"age": []}, "the file has no age recipient"),
        ({"age": ["x"]}, "age: expected a recipient"),
        ({"mac": "x"}, "mac: expected ENC"),
        ({"mac": ""}, "mac is missing"),
        ({"lastmodified": ""}, "lastmodified is missing"),
        ({"mac_only_encrypted": True}, "the MAC does not match"),
    ],
)
def test_anything_else_than_age_and_a_whole_mac_is_refused(
    here: Surroundings, options: dict[str, Any], message: str
) -> None:
    (found,) = shown(made(written(**options), here).problems)
    assert message in found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("projects: {}\n", "this file is not encrypted"),
        ("projects: {}\n---\nusers: {}\n", "holds one document that sops encrypted"),
        ("- a\n", "holds one document that sops encrypted"),
        ("sops: 1\n", "this file is not encrypted"),
        ("a: &x {b: c}\nd: *x\nsops: {age: []}\n", "aliases and << cannot stand in an encrypted file"),
        ("a: {<<: {b: c}}\nsops: {age: []}\n", ""),
        ("a: !env B\nsops: {age: []}\n", "!env cannot stand in an encrypted file"),
    ],
)
def test_what_sops_did_not_write_is_refused(here: Surroundings, text: str, message: str) -> None:
    found = shown(read_fragment("p.sops.yaml", "", text.encode(), here).problems)
    assert any("SOPS: " in one and message in one for one in found)


def test_only_a_file_of_that_name_is_decrypted(here: Surroundings) -> None:
    found = shown(made(written(), here, "p.yaml").problems)
    assert any("unknown key 'sops'" in one for one in found)


def test_the_form_can_be_checked_without_identities() -> None:
    assert made(written(), FORM_ONLY).problems == ()


def test_numbers_that_programs_read_differently_are_refused(here: Surroundings) -> None:
    for value in ("0777", "1_000", "2024-01-01", "0x1f", ".inf", "1e3"):
        text = written().replace('"check_interval": 90', f'"check_interval": {value}')
        (found, *_) = shown(made(text, here).problems)
        assert "programs read this number or date differently" in found


@given(st.text(alphabet=st.sampled_from("abc:-{}[]&*!<>|\n \"'#ENC[,]=age sops mac 0.1_x"), max_size=200))
@settings(max_examples=150, deadline=None)
def test_any_text_in_an_encrypted_file_gives_problems_or_nothing(text: str) -> None:
    surroundings = Surroundings(decryptor=Decryptor(Path("/nonexistent"), Path("/nonexistent/key")))
    for one in (text, f"sops: {{age: [{{enc: x}}], mac: x, lastmodified: y}}\n{text}"):
        found = read_fragment("p.sops.yaml", "", one.encode(), surroundings)
        assert all(problem.line >= 1 and problem.column >= 1 for problem in found.problems)
