"""What is exported loads as what it was: from any text, and from what the database remembers."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fc.base.database import Database
from fc.config.compile import Compiled
from fc.config.diff import diff
from fc.config.export import EncryptedError, Stored, export_files, export_text, secret_fields
from fc.config.history import live_state
from fc.config.sources import SOURCE
from tests.config.test_apply import put
from tests.config.test_apply_attacks import configurations, inventory
from tests.support.configuration import WHOLE, compiled, sealed
from tests.support.large_configuration import large_files

EXAMPLES = Path(__file__).parents[2] / "examples"


def stored(made: Compiled) -> list[Stored]:
    return [Stored(one.kind, one.key, one.fields, one.file, one.line) for one in made.resources.values()]


def assert_exports_to_itself(made: Compiled) -> None:
    assert not made.problems
    hashes = {key: one.content_hash for key, one in made.resources.items()}
    one_text = compiled(export_text(stored(made)))
    assert one_text.problems == ()
    assert {key: one.content_hash for key, one in one_text.resources.items()} == hashes
    again = compiled(export_files(stored(made)))
    assert again.problems == ()
    assert {key: (one.content_hash, one.file) for key, one in again.resources.items()} == {
        key: (one.content_hash, one.file) for key, one in made.resources.items()
    }


@pytest.mark.parametrize("example", ["minimal", "full"])
def test_the_examples_export_to_themselves(example: str) -> None:
    directory = EXAMPLES / example
    files = {
        path.relative_to(directory).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(directory.rglob("*.yaml"))
    }
    assert_exports_to_itself(compiled(files))


def test_large_and_whole_configurations_export_to_themselves() -> None:
    assert_exports_to_itself(compiled(WHOLE))
    assert_exports_to_itself(compiled(large_files(3)))


@settings(max_examples=60, deadline=None)
@given(configurations())
def test_any_configuration_exports_to_itself(text: str) -> None:
    assert_exports_to_itself(compiled(text))


@settings(max_examples=300, deadline=None)
@given(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\ue5ce\ue5cf"), max_size=40)
    | st.sampled_from(["yes", "~", "1e3", "0x1f", "a: b", "a #b", "- a", "{a", "*a", "!secret a", "a:", "=", " a", "x\n"])
)  # fmt: skip
def test_any_text_exports_to_itself(text: str) -> None:
    fields = {"description": text, "scopes": []}
    exported = export_text([Stored("role", "r", fields, "fc.yaml", 1)])
    made = compiled(exported)
    assert made.problems == ()
    assert made.resources["role", "r"].fields["description"] == text


def test_an_export_is_pleasant_to_read() -> None:
    text = """
projects:
  p:
    repository_url: https://git.example.org/p.git
    jobsets:
      "24.05": {branch: "24.05", nix_expression: release.nix, check_interval: 5m}
    notifications:
      - {type: github_status, repository: a/b, token: !secret t}
      - {type: github_status, repository: a/c, token: !secret t}
      - {type: github_status, name: third, repository: a/c, token: !secret t}
    webhooks: {gitlab: {secret: !secret w, enabled: false}}
"""
    assert export_text(stored(compiled(text))) == (
        "projects:\n"
        "  p:\n"
        "    repository_url: https://git.example.org/p.git\n"
        "    jobsets:\n"
        '      "24.05":\n'
        "        nix_expression: release.nix\n"
        '        branch: "24.05"\n'
        "        check_interval: 300\n"
        "    webhooks:\n"
        "      gitlab:\n"
        "        secret: !secret w\n"
        "        enabled: false\n"
        "    notifications:\n"
        "      - type: github_status\n"
        "        repository: a/b\n"
        "        token: !secret t\n"
        "      - type: github_status\n"
        "        repository: a/c\n"
        "        token: !secret t\n"
        "      - type: github_status\n"
        "        name: third\n"
        "        repository: a/c\n"
        "        token: !secret t\n"
    )
    assert export_text([]) == "{}\n"
    assert compiled(export_text([])).resources == {}


def test_secrets_are_known_by_the_language() -> None:
    assert secret_fields("notification") == {"token", "secret"}
    assert secret_fields("api_key") == {"key"}
    assert secret_fields("role") == frozenset()


def test_what_stands_encrypted_is_refused_by_its_name() -> None:
    fields = {"key": {"encrypted": "sealed"}, "role": "admin", "user": None}
    with pytest.raises(EncryptedError, match=r"api key 'k' \(fc.yaml:3\) has a key that stands encrypted"):
        export_text([Stored("api_key", "k", fields, "fc.yaml", 3)])


async def test_what_the_database_remembers_exports_to_no_change(database: Database) -> None:
    await put(database, WHOLE)
    async with database.transaction() as connection:
        live = await live_state(connection, SOURCE)
    exported = sealed(export_text(live)).resources
    assert diff(inventory(sealed(WHOLE).resources), exported).changes == ()
    assert (await put(database, export_text(live))).plan.changes == ()
