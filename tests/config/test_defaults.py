"""Defaults: fields of declarations that do not write them, from the nearest directory that gives them."""

from fc.config.compile import Compiled, Compiler
from fc.config.diff import diff
from fc.config.render import plan_json, plan_text
from tests.support.configuration import compiled, fragment, sealed, shown

JOBSET = "projects: {%s: {repository_url: /p, jobsets: {j: {%s}}}}"


def of(made: Compiled, project: str) -> dict[str, object]:
    assert shown(made.problems) == []
    return made.resources["jobset", f"{project}/j"].fields


def test_a_default_holds_where_nothing_is_written() -> None:
    made = compiled(
        {
            "fc.yaml": "defaults: {jobsets: {nix_expression: ci.nix, check_interval: 10m, branch: main}}",
            "a.yaml": JOBSET % ("a", "check_interval: 5m, branch: null"),
        }
    )
    fields = of(made, "a")
    assert (fields["nix_expression"], fields["check_interval"], fields["branch"]) == ("ci.nix", 300, None)
    assert made.resources["jobset", "a/j"].defaulted == {"nix_expression": "fc.yaml:1"}


def test_the_nearest_directory_wins_field_by_field_and_others_see_nothing() -> None:
    made = compiled(
        {
            "fc.yaml": "defaults: {jobsets: {nix_expression: top, keep_nr: 1, scheduling_shares: 7}}",
            "x/defaults.yaml": "defaults: {jobsets: {nix_expression: x}}",
            "x/y/a.yaml": JOBSET % ("a", "") + "\ndefaults: {jobsets: {keep_nr: 2}}",
            "z/b.yaml": JOBSET % ("b", ""),
        }
    )
    names = ("nix_expression", "keep_nr", "scheduling_shares")
    assert [of(made, "a")[name] for name in names] == ["x", 2, 7]
    assert [of(made, "b")[name] for name in names] == ["top", 1, 7]


def test_what_no_default_gives_is_still_missing_where_it_is_needed() -> None:
    made = compiled(
        {
            "x/fc.yaml": "defaults: {jobsets: {nix_expression: x}}",
            "a.yaml": JOBSET % ("a", ""),
        }
    )
    assert shown(made.problems) == ["a.yaml:1:49: jobset: missing 'nix_expression'"]


def test_a_default_is_checked_like_the_field_and_what_is_each_ones_own_has_none() -> None:
    text = "defaults: {jobsets: {brnach: x, keep_nr: -1, inputs: {}}, users: {email: a@b}, members: {}, projects: 1}"
    assert [one.split(": ", 1)[1][:46] for one in shown(compiled(text).problems)] == [
        "jobsets: unknown key 'brnach'; did you mean 'b",
        "keep_nr: -1 is too small, the least is 0",
        "jobsets: unknown key 'inputs'; known are allow",
        "users: unknown key 'email'; known are enabled,",
        "defaults: unknown key 'members'; known are api",
        "projects: expected a mapping, found the number",
    ]


def test_two_defaults_of_one_field_for_one_directory_are_refused() -> None:
    text = "defaults: {users: {role: admin}}"
    assert shown(compiled({"a.yaml": text, "b.yaml": text, "x/c.yaml": text}).problems) == [
        "b.yaml:1:26: the default of users.role is given twice for this directory; it stands already at a.yaml:1:26"
    ]


def test_a_default_may_be_a_secret_by_name() -> None:
    made = sealed(
        "defaults: {webhooks: {secret: !secret hooks}}\nprojects: {p: {repository_url: /p, webhooks: {github: {}}}}"
    )
    webhook = made.resources["webhook", "p/github"]
    assert webhook.fields["secret"] == {"secret": "hooks"}
    assert webhook.seal is not None


def test_anchors_and_merge_keys_go_before_defaults() -> None:
    text = (
        JOBSET % ("a", "<<: {branch: merged}") + "\ndefaults: {jobsets: {branch: default, nix_expression: x}}"
    )
    assert of(compiled(text), "a")["branch"] == "merged"


def test_a_default_that_changes_is_a_change_of_all_that_take_it() -> None:
    compiler = Compiler()
    taking = fragment(JOBSET % ("a", ""), "a.yaml")
    first, second = (
        compiler.compile([taking, fragment(f"defaults: {{jobsets: {{nix_expression: {one}}}}}")])
        for one in "xy"
    )
    assert [of(one, "a")["nix_expression"] for one in (first, second)] == ["x", "y"]
    hashes = {one.resources["jobset", "a/j"].content_hash for one in (first, second)}
    assert len(hashes) == 2


def test_a_plan_says_what_came_from_a_default() -> None:
    made = compiled("defaults: {jobsets: {nix_expression: x}}\n" + JOBSET % ("a", "branch: b"))
    plan = diff([], made.resources)
    assert "nix_expression: x  (default, fc.yaml:1)\n" in plan_text(plan).plain
    assert "branch: b\n" in plan_text(plan).plain
    fields = {one["field"]: one.get("default") for one in plan_json(plan)["changes"][1]["fields"]}
    assert (fields["nix_expression"], fields["branch"]) == ("fc.yaml:1", None)
