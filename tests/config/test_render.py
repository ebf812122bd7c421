"""Plans as people and programs see them."""

import io
import json

import msgspec
from rich.console import Console

from fc.config.diff import Owned, Plan, diff
from fc.config.render import plan_json, plan_text, summary_line
from tests.support.configuration import WHOLE, project, sealed, value_of


def plan(before: str, after: str, rotated: str = "") -> Plan:
    inventory = [
        Owned(one.kind, one.key, one.content_hash, one.file, one.line, one.fields)
        for one in sealed(before).resources.values()
    ]
    resources = sealed(after, lambda name: value_of(name) + ("!" if name == rotated else "")).resources
    return diff(inventory, resources)


def text(made: Plan) -> str:
    output = io.StringIO()
    Console(file=output, soft_wrap=True, highlight=False).print(plan_text(made), end="")
    return output.getvalue()


def test_a_plan_shows_each_field_before_and_after() -> None:
    before = project("p", main="a", old="b")
    after = project("p", main="c", new="b")
    made = plan(before, after)
    assert text(made) == (
        "- jobset p/old  (disabled, its history is kept, fc.yaml:6)\n"
        "    nix_expression: release.nix\n    enabled: true\n    flake_mode: true\n    branch: b\n"
        "    check_interval: 60\n    scheduling_shares: 100\n    state: enabled\n    keep_nr: 3\n"
        "    restrict_eval: true\n    allow_import_from_derivation: false\n    evaluation_timeout: 600\n"
        "~ jobset p/main  (updated, fc.yaml:5)\n"
        "    branch: a → c\n"
        "+ jobset p/new  (created, fc.yaml:6)\n"
        "    nix_expression: release.nix\n    enabled: true\n    flake_mode: true\n    branch: b\n"
        "    check_interval: 60\n    scheduling_shares: 100\n    state: enabled\n    keep_nr: 3\n"
        "    restrict_eval: true\n    allow_import_from_derivation: false\n    evaluation_timeout: 600\n"
        f"1 to create, 1 to update, 1 to remove (plan {made.digest[:12]})\n"
    )


def test_a_plan_without_changes_says_so() -> None:
    assert text(plan(WHOLE, WHOLE)) == "nothing to change\n"
    assert summary_line(plan(WHOLE, WHOLE)) == "nothing to change"


def test_secrets_are_shown_by_name_only() -> None:
    made = plan("{}", WHOLE)
    for shown in (text(made), json.dumps(plan_json(made), ensure_ascii=False)):
        assert "«secret» deploy-key" in shown
        assert "value-of" not in shown
        assert not any(one.seal in shown for one in sealed(WHOLE).resources.values() if one.seal)


def test_a_rotated_secret_is_shown_as_rotated() -> None:
    made = plan(WHOLE, WHOLE, rotated="deploy-key")
    assert "    key: «secret» deploy-key → «secret» deploy-key (its value has changed)\n" in text(made)


def test_another_secret_is_shown_by_both_names() -> None:
    made = plan(WHOLE, WHOLE.replace("!secret deploy-key", "!secret bot-key"))
    assert "    key: «secret» deploy-key → «secret» bot-key\n" in text(made)


def test_long_and_strange_values_do_not_disturb_the_terminal() -> None:
    before = project("p")
    strange = '"\\e[2J\\n\\u202e' + "x" * 500 + '"'
    shown = text(plan(before, before + f"    description: {strange}\n"))
    assert "\x1b" not in shown
    assert "\\x1b[2J\\n\\u202exxx" in shown
    assert "x…\n" in shown


def test_json_holds_everything_and_can_be_encoded() -> None:
    made = plan(project("p", main="a"), project("p", main="b"))
    decoded = json.loads(msgspec.json.encode(plan_json(made)))
    assert decoded == {
        "digest": made.digest,
        "held": [],
        "summary": {"create": 0, "update": 1, "delete": 0},
        "changes": [
            {
                "action": "update",
                "kind": "jobset",
                "key": "p/main",
                "effect": "updated",
                "file": "fc.yaml",
                "line": 5,
                "fields": [{"field": "branch", "before": "a", "after": "b"}],
            }
        ],
    }


def test_what_has_no_history_is_deleted() -> None:
    made = plan("roles: {r: {description: x}}", "{}")
    assert text(made).startswith("- role r  (deleted, fc.yaml:1)\n")
