"""What holds for any tree, with comments, merges, defaults and several files, and for any state it is brought to."""

from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fc.config.diff import diff
from fc.config.export import Stored
from fc.config.language import Fields
from fc.config.rewrite import RewriteError, rewrite
from tests.config.test_apply_attacks import inventory
from tests.config.test_rewrite import brought, stored
from tests.support.configuration import compiled, sealed, shown

NAMES = ("a", "b", "yes", "1e3", "null", "0x1f", "24.05", "true", "_x", "on", "1_0")
BRANCHES = st.sampled_from([None, "main", "dev", "null", "1e3", "yes", "release-24.05"])
TEXTS = st.sampled_from(
    [None, "", "release #1", "- x", "null", "1e3", "yes", "it's", 'say "x"', "a: b", "größe", "&n", "<<"]
)
FORMS = ("block", "flow", "merge", "alias", "nothing", "section")


def quoted(name: str) -> str:
    return "'{}'".format(name.replace("'", "''"))


@st.composite
def trees(draw: st.DrawFn) -> dict[str, str]:
    """Files of projects that share by anchors, with a comment at everything; users and builders in a file of their own."""
    files: dict[str, str] = {}
    for file in draw(
        st.lists(st.sampled_from(["a.yaml", "team/b.yaml", "team/c.yaml"]), min_size=1, unique=True)
    ):
        lines = [f"# head of {file}", ""]
        if draw(st.booleans()) and not any(
            one.startswith("team") and file.startswith("team") for one in files
        ):
            lines += ["defaults:   # given", "  jobsets: {check_interval: 10m, description: given}", ""]
        lines += ["projects:   # all", "", *_shared(file)]
        for name in draw(st.lists(st.sampled_from(NAMES), max_size=3, unique=True)):
            lines += [f"  # about {file} {name}", f"  {quoted(f'{file[-6]}{name}')}:   # is {file} {name}"]
            lines += ["    repository_url: /srv/p   # where", *_jobsets(draw, f"{file} {name}"), ""]
        lines.append("# tail")
        text = "\n".join(lines) + "\n"
        files[file] = text.replace("\n", "\r\n") if draw(st.booleans()) else text
    return files


def _shared(file: str) -> list[str]:
    return [
        f"  # base of {file}",
        f"  base-{file[-6]}: &base",
        "    repository_url: /srv/base",
        "    jobsets: &jobsets",
        "      # the pattern",
        "      main: &main {nix_expression: release.nix, branch: &branch main}   # main",
        "      extra:",
        "        <<: *main   # as main",
        "        keep_nr: 9",
        "",
    ]


def _jobsets(draw: st.DrawFn, called: str) -> list[str]:
    form = draw(st.sampled_from(FORMS))
    if form == "section":
        return ["    jobsets: *jobsets   # the same"]
    if form == "merge":
        return ["    # merged", "    <<: *base   # as base"]
    lines = ["    jobsets:"]
    for number, name in enumerate(
        draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=3, unique=True))
    ):
        inner = draw(st.sampled_from(FORMS))
        lines.append(f"      # jobset {number} of {called}")
        lines += {
            "block": [
                f"      {quoted(name)}:",
                "        nix_expression: 'x.nix'   # what",
                "        branch: dev",
            ],
            "flow": [f"      {quoted(name)}: {{nix_expression: x.nix, branch: dev}}   # flow"],
            "merge": [f"      {quoted(name)}: {{<<: *main, keep_nr: 4}}   # merged"],
            "alias": [f"      {quoted(name)}: *main   # alias"],
            "nothing": [f"      {quoted(name)}: {{nix_expression: y.nix, description: *branch}}"],
            "section": [f"      {quoted(name)}:", "        <<: [*main]", "        # nothing else"],
        }[inner]
    return lines


def _with(fields: Fields, name: str, value: object) -> Fields:
    return {**fields, name: value}


@st.composite
def states(draw: st.DrawFn, files: Mapping[str, str]) -> list[Stored]:
    """What is in force instead: some changed, some gone, some new."""
    kept = []
    for one in stored(compiled(files)):
        # An anchor that others need is not taken out by a program; that has a test of its own.
        is_base = one.key.startswith("base-")
        what = draw(st.sampled_from(["same"] * 4 + ["change", "interval", "gone"]))
        if what == "gone" and not is_base and (one.kind == "project" or one.key.count("/") == 1):
            continue
        fields = one.fields
        if what == "change" and one.kind == "jobset":
            fields = _with(fields, "branch", draw(BRANCHES))
        elif what == "interval" and one.kind == "jobset":
            fields = _with(fields, "check_interval", draw(st.sampled_from([60, 300, 600])))
        elif what == "change":
            fields = _with(fields, "description", draw(TEXTS))
        kept.append(one._replace(fields=fields))
    projects = {one.key for one in kept if one.kind == "project"}
    kept = [one for one in kept if one.key.split("/")[0] in projects]
    pattern = next(one for one in kept if one.key.endswith("/main") and one.kind == "jobset")
    known = {(one.kind, one.key) for one in kept}
    for project in sorted(projects):
        for name in draw(st.lists(st.sampled_from(NAMES), max_size=2, unique=True)):
            if ("jobset", f"{project}/{name}") not in known:
                kept.append(
                    pattern._replace(key=f"{project}/{name}", fields=_with(pattern.fields, "branch", "new"))
                )
    return kept


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_tree_is_brought_to_any_state_and_then_planning_changes_nothing(data: st.DataObject) -> None:
    files = data.draw(trees())
    before = compiled(files)
    assert before.problems == (), (shown(before.problems), files)
    wanted = data.draw(states(files))
    made = rewrite(files, wanted, compiled)
    target = {(one.kind, one.key): one.fields for one in wanted}
    again = compiled(made)
    assert again.problems == ()
    assert {key: one.fields for key, one in again.resources.items()} == target
    assert diff(inventory(sealed(made).resources), again.resources).changes == ()
    # Once more writes nothing.
    assert rewrite(made, wanted, compiled) == made
    # What did not change keeps every line, its comments included.
    same = {
        one.key
        for one in wanted
        if (old := before.resources.get((one.kind, one.key))) and old.fields == one.fields
    }
    for file, text in files.items():
        ends = "\r\n" if "\r\n" in text else "\n"
        assert "\n" not in made[file].replace("\r\n", "") if ends == "\r\n" else "\r" not in made[file]
        for name in NAMES:
            if f"{file[-6]}{name}" in {key.split("/")[0] for _, key in target}:
                assert f"  # about {file} {name}{ends}" in made[file]
        for said in ("# head of", "# base of", "# the pattern", "# main", "# as main", "# tail", "# all"):
            assert said in made[file]
    if same == {one.key for one in before.resources.values()} == {one.key for one in wanted}:
        assert made == files


@settings(max_examples=60, deadline=None)
@given(trees())
def test_any_tree_says_what_it_says(files: dict[str, str]) -> None:
    assert brought(files, files) == files


def test_an_anchor_that_a_whole_file_needs_is_named() -> None:
    files = {
        "a.yaml": "\n".join(
            ["projects:", *_shared("a.yaml"), "  x: {repository_url: /x, jobsets: *jobsets}", ""]
        )
    }
    wanted = [one for one in stored(compiled(files)) if not one.key.startswith("base-")]
    with pytest.raises(
        RewriteError, match=r"holds the anchor &(base|jobsets|main), which line \d+ still needs"
    ):
        rewrite(files, wanted, compiled)
