"""A working copy brought to another state: what differs is edited in place, all else stays byte for byte."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fc.config.compile import Compiled
from fc.config.export import EncryptedError, Stored, export_text
from fc.config.rewrite import RewriteError, rewrite
from tests.config.test_apply_attacks import configurations
from tests.support.configuration import WHOLE, compiled, shown

EXAMPLES = Path(__file__).parents[2] / "examples"
HEADER = "# Ours.\n\n"
CONFIGURATION = """\
# Everything of ours.
projects:   # by name
  hello:    # greets
    repository_url: https://git.example.org/hello.git
    description: 'A "greeting"'   # for readers

    jobsets:
      # the one that counts
      main: {branch: main, nix_expression: release.nix, check_interval: 5m}
      next:   # follows
        branch: next
        nix_expression: "release.nix"   # quoted for a reason
        check_interval: 10m
    members: {alice: maintainer}
# people
users:
  alice: {email: alice@example.org}   # the boss
remote_builders:
  big:
    ssh_uri: ssh://builder@big.example.org
    systems:
      - x86_64-linux   # first
      - i686-linux     # old
      - aarch64-linux
    max_jobs: 4
# the end
"""


def stored(made: Compiled) -> list[Stored]:
    return [Stored(one.kind, one.key, one.fields, one.file, one.line) for one in made.resources.values()]


def brought(texts: str | Mapping[str, str], wanted: str | Mapping[str, str]) -> dict[str, str]:
    """``texts`` brought to what ``wanted`` declares; that it is so is asserted."""
    files = {"fc.yaml": texts} if isinstance(texts, str) else texts
    assert compiled(files).problems == ()
    target = compiled(wanted)
    assert target.problems == (), shown(target.problems)
    made = rewrite(files, stored(target), compiled)
    again = compiled(made)
    assert again.problems == (), (shown(again.problems), made)
    assert {key: one.fields for key, one in again.resources.items()} == {
        key: one.fields for key, one in target.resources.items()
    }, made
    return made


def changed(text: str, wanted: str) -> str:
    return brought(text, wanted)["fc.yaml"]


@pytest.mark.parametrize(
    "text", [CONFIGURATION, WHOLE, "{}", "", "# nothing\n", HEADER + WHOLE.replace("\n", "\r\n")]
)
def test_what_says_the_same_is_not_touched(text: str) -> None:
    assert brought(text, text) == {"fc.yaml": text}
    assert brought(text, {"other.yaml": export_text(stored(compiled(text)))}) == {"fc.yaml": text}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("5m}", "600}"),
        ("branch: next", "branch: other"),
        ('"release.nix"', '"other.nix"'),
        ("'A \"greeting\"'", "'An \"other\"'"),
        ("max_jobs: 4", "max_jobs: 8"),
        ("alice: maintainer", "alice: admin"),
        ("email: alice@example.org", "email: al@example.org"),
        ("ssh://builder@big.example.org", "ssh://b@big.example.org:22"),
    ],
)
def test_one_field_is_one_edit(old: str, new: str) -> None:
    wanted = CONFIGURATION.replace(old, new)
    assert changed(CONFIGURATION, wanted) == wanted


def test_a_field_is_added_beside_the_others_and_taken_out_where_it_is_the_default() -> None:
    wanted = CONFIGURATION.replace("    max_jobs: 4\n", "    max_jobs: 4\n    speed_factor: 2\n")
    assert changed(CONFIGURATION, wanted) == wanted
    assert changed(wanted, CONFIGURATION) == CONFIGURATION
    wanted = CONFIGURATION.replace(
        "branch: main, nix_expression: release.nix,", "nix_expression: release.nix,"
    )
    assert changed(CONFIGURATION, wanted) == wanted


def test_lists_are_changed_item_by_item() -> None:
    wanted = CONFIGURATION.replace("      - i686-linux     # old\n", "").replace(
        "      - aarch64-linux\n", "      - aarch64-linux\n      - riscv64-linux\n"
    )
    assert changed(CONFIGURATION, wanted) == wanted
    for old, new in (
        ("x86_64-linux", "armv7l-linux"),
        ("      - x86_64-linux   # first\n", "      - armv7l-linux\n      - x86_64-linux   # first\n"),
        ("      - i686-linux     # old\n", "      - armv7l-linux     # old\n      - riscv64-linux\n"),
        ("      - x86_64-linux   # first\n      - i686-linux     # old\n", ""),
    ):
        wanted = CONFIGURATION.replace(old, new)
        assert changed(CONFIGURATION, wanted) == wanted


def test_removed_resources_vanish_with_their_lines_and_comments_around_them_stay() -> None:
    begin, end = CONFIGURATION.index("      next:"), CONFIGURATION.index("    members")
    wanted = CONFIGURATION[:begin] + CONFIGURATION[end:]
    assert changed(CONFIGURATION, wanted) == wanted
    without = CONFIGURATION[: CONFIGURATION.index("remote_builders")] + "# the end\n"
    assert changed(CONFIGURATION, without) == without
    only = changed(CONFIGURATION, "{}")
    assert only == "# Everything of ours.\nprojects: {}   # by name\n# people\n# the end\n"


def test_a_field_about_which_something_is_said_is_set_not_taken_out() -> None:
    text = CONFIGURATION.replace(
        "    max_jobs: 4\n", "    max_jobs: 4   # as it has cores\n    speed_factor: 2\n"
    )
    wanted = text.replace("max_jobs: 4", "max_jobs: 1").replace("    speed_factor: 2\n", "")
    assert changed(text, wanted) == wanted


def test_new_resources_stand_where_the_inventory_names_them() -> None:
    made = brought(
        {"fc.yaml": CONFIGURATION},
        {"fc.yaml": CONFIGURATION, "team/b.yaml": "users: {bob: {email: bob@example.org}}"},
    )
    assert made == {"fc.yaml": CONFIGURATION, "team/b.yaml": "users:\n  bob:\n    email: bob@example.org\n"}
    more = CONFIGURATION.replace(
        "    members:", "      last:\n        nix_expression: x.nix\n    members:"
    ).replace("# the boss\n", "# the boss\n  bob:\n    email: bob@example.org\n")
    assert changed(CONFIGURATION, more) == more


@pytest.mark.parametrize(
    "file", ["../x.yaml", "/etc/x.yaml", ".git/x.yaml", "a.txt", "x.sops.yaml", "a/../../x.yaml"]
)
def test_new_resources_stand_nowhere_else_than_below_the_directory(file: str) -> None:
    made = rewrite({}, [Stored("role", "r", {"description": "x", "scopes": []}, file, 1)], compiled)
    assert list(made) == ["roles.yaml"]
    roles = "roles:\n  a:\n    description: x\n"
    both = [
        *stored(compiled({"team.yaml": roles})),
        Stored("role", "r", {"description": "x", "scopes": []}, file, 1),
    ]
    made = rewrite({"team.yaml": roles, "z.yaml": "# z\n"}, both, compiled)
    assert made == {"team.yaml": roles + "  r:\n    description: x\n", "z.yaml": "# z\n"}


def test_what_stands_inside_is_added_and_removed_in_every_form() -> None:
    for text in (CONFIGURATION, WHOLE, "{}", "# x\n", "projects: {}\n---\nusers:\n"):
        brought(text, WHOLE)
        brought(WHOLE, CONFIGURATION)
        brought(text, CONFIGURATION)


def test_an_empty_section_is_filled_with_a_block() -> None:
    one = "  p:\n    repository_url: https://git.example.org/p.git\n"
    for empty in ("projects: {}\n", "projects:\n", "projects: { }\n"):
        made = brought(f"# first\n{empty}# last\n", f"projects:\n{one}")
        assert made == {"fc.yaml": f"# first\nprojects:\n{one}# last\n"}, empty
    beside = brought("projects: {}   # ours\n", f"projects:\n{one}")["fc.yaml"]
    assert beside == 'projects: {p: {repository_url: "https://git.example.org/p.git"}}   # ours\n'
    windows = brought("projects: {}\r\nusers: {}\r\n", f"projects:\n{one}")["fc.yaml"]
    assert windows == f"projects:\n{one}users: {{}}\n".replace("\n", "\r\n")


DEFAULTED = """\
defaults:
  jobsets: {nix_expression: release.nix, check_interval: 10m}   # for all
projects:
  p:
    repository_url: https://git.example.org/p.git
    jobsets:
      a: {}
      b:
      c: {branch: x}
"""


def test_what_a_default_gives_is_written_at_the_declaration() -> None:
    wanted = DEFAULTED.replace("a: {}", "a: {check_interval: 60}").replace(
        "b:\n", "b: {nix_expression: b.nix}\n"
    )
    made = changed(DEFAULTED, wanted)
    assert made == wanted
    made = changed(
        DEFAULTED, DEFAULTED.replace("c: {branch: x}", "c: {branch: x, check_interval: 60, keep_nr: 9}")
    )
    assert "c: {branch: x, check_interval: 60, keep_nr: 9}" in made


ANCHORED = """\
projects:
  p:
    repository_url: https://git.example.org/p.git
    jobsets:
      main: &main   # the pattern
        nix_expression: release.nix
        branch: &branch main
      next: {<<: *main, branch: next}
      same: *main
      other:
        <<: *main
        description: *branch
"""


def test_anchors_aliases_and_merges_are_written_out_only_where_they_must() -> None:
    plain = {"fc.yaml": export_text(stored(compiled(ANCHORED)))}
    wanted = plain["fc.yaml"].replace("branch: next", "branch: later")
    assert changed(ANCHORED, wanted) == ANCHORED.replace("branch: next", "branch: later")
    made = changed(ANCHORED, plain["fc.yaml"].replace("        branch: main\n", "        branch: dev\n", 1))
    assert "main: &main   # the pattern" in made
    assert "branch: &branch dev" in made
    assert "next: {<<: *main, branch: next}" in made


def test_an_anchor_that_is_still_needed_is_not_taken_out() -> None:
    resources = [one for one in stored(compiled(ANCHORED)) if one.key != "p/main"]
    with pytest.raises(
        RewriteError, match=r"fc.yaml:5: jobset 'p/main' holds the anchor &(main|branch), which line"
    ):
        rewrite({"fc.yaml": ANCHORED}, resources, compiled)


def test_a_shared_section_is_written_out() -> None:
    text = """\
projects:
  p: &p
    repository_url: https://git.example.org/p.git
    jobsets: {a: {nix_expression: x}, b: {nix_expression: y}}
  q: *p
  r: {<<: *p, description: other}
"""
    for key in ("p/a", "q/a", "r/a"):
        made = compiled(text)
        resources = [one for one in stored(made) if one.key != key]
        again = compiled(rewrite({"fc.yaml": text}, resources, compiled))
        assert ("jobset", key) not in again.resources
        assert len(again.resources) == len(made.resources) - 1


NOTIFIED = """\
projects:
  p:
    repository_url: https://git.example.org/p.git
    notifications:
      # first
      - type: github_status   # ours
        repository: a/b
        token: !secret t
      - {type: webhook, url: "https://x.example.org"}
"""


def test_lists_of_declarations() -> None:
    wanted = NOTIFIED.replace("repository: a/b", "repository: a/c")
    assert changed(NOTIFIED, wanted) == wanted
    more = NOTIFIED + "      - type: gitlab_status\n        repository: a/b\n        token: !secret t\n"
    assert changed(NOTIFIED, more) == more
    assert changed(more, NOTIFIED) == NOTIFIED
    second = NOTIFIED + "      - {type: github_status, repository: a/d, token: !secret t}\n"
    changed(NOTIFIED, second)
    changed(second, NOTIFIED)
    changed(second, NOTIFIED.replace("repository: a/b", "repository: a/d").replace("https://x", "https://y"))


def test_inputs_change_their_type() -> None:
    text = WHOLE.replace(
        "release: {type: boolean, value: true}", "release: {type: git, value: /x, revision: r}"
    )
    assert "release: {type: boolean, value: true}" in changed(text, WHOLE)
    assert "revision: r" in changed(WHOLE, text)


def test_encrypted_secrets_and_sops_files_are_refused_with_their_place() -> None:
    keys = "api_keys: {k: {key: !secret k}}\n"
    fields = {"key": {"encrypted": "sealed"}, "role": "read-only", "user": None}
    with pytest.raises(EncryptedError, match="stands encrypted"):
        rewrite({"fc.yaml": keys}, [Stored("api_key", "k", fields, "fc.yaml", 1)], compiled)
    # What is encrypted alike is not touched, whatever else changes.

    def compile_sealed(texts: Mapping[str, str]) -> Compiled:
        made = compiled(texts)
        for one in made.resources.values():
            one.fields["key"] = {"encrypted": "sealed"}
        return made

    made = rewrite(
        {"fc.yaml": keys}, [Stored("api_key", "k", {**fields, "role": "admin"}, "fc.yaml", 1)], compile_sealed
    )
    assert made == {"fc.yaml": "api_keys: {k: {key: !secret k, role: admin}}\n"}
    roles = "roles: {r: {description: x}}\n"

    def compile_renamed(texts: Mapping[str, str]) -> Compiled:
        found = compiled({"fc.yaml": texts["x.sops.yaml"]})
        return Compiled({key: replace(one, file="x.sops.yaml") for key, one in found.resources.items()}, ())

    with pytest.raises(RewriteError, match=r"x.sops.yaml:1: role 'r' differs .* SOPS guards"):
        rewrite({"x.sops.yaml": roles}, [], compile_renamed)


@settings(max_examples=60, deadline=None)
@given(configurations(), configurations())
def test_any_configuration_is_brought_to_any_other(before: str, after: str) -> None:
    brought(HEADER + before, after)
    brought({"fc.yaml": HEADER + export_text(stored(compiled(before)))}, after)


@settings(max_examples=40, deadline=None)
@given(configurations(), st.lists(st.integers(0, 400), max_size=6))
def test_comments_survive_whatever_changes_elsewhere(after: str, places: list[int]) -> None:
    lines = CONFIGURATION.splitlines()
    for number, place in enumerate(places):
        lines.insert(place % len(lines), f"# kept {number}")
    text = "\n".join(lines) + "\n"
    if compiled(text).problems:
        return
    both = {"fc.yaml": text, "after.yaml": after}
    if compiled(both).problems:
        return
    made = brought({"fc.yaml": text}, both)["fc.yaml"]
    for line in lines:
        if "#" in line:
            assert line in made
