"""Scopes: what a source may declare."""

import pytest

from fc.base.source_settings import ScopeRule
from fc.config.compile import compile_fragments
from fc.config.load import read_fragment
from fc.config.scopes import covers, out_of_scope
from tests.support.configuration import WHOLE

RESOURCES = compile_fragments([read_fragment("fc.yaml", "", WHOLE.encode())]).resources


def test_without_rules_everything_may_be_declared() -> None:
    assert out_of_scope(RESOURCES, ()) == []


def test_what_no_rule_covers_is_a_problem_at_its_place() -> None:
    found = out_of_scope(RESOURCES, [ScopeRule(kinds=("project",), names=("hello",))])
    kinds = {kind for kind, key in RESOURCES if "/" not in key or kind == "worker_pool"}
    assert len(found) == len([one for one in RESOURCES if one[0] in kinds - {"project"}])
    assert all(
        "outside of what this source may declare (project named hello)" in one.message for one in found
    )
    assert all((one.file, one.line > 0) == ("fc.yaml", True) for one in found)


def test_what_stands_inside_a_project_goes_with_it() -> None:
    everything_else = ScopeRule(kinds=("user", "api_key", "remote_builder", "role", "worker_pool"))
    found = out_of_scope(RESOURCES, [everything_else])
    assert [one.message.split("'")[1] for one in found] == ["hello"]


@pytest.mark.parametrize(
    ("pattern", "name", "covered"),
    [
        ("*", "anything", True),
        ("team-a-*", "team-a-web", True),
        ("team-a-*", "team-b-web", False),
        ("Team", "team", False),
        ("nix/*", "nix/linux", True),
        ("a?c", "abc", False),
        ("a?c", "a?c", True),
        ("r[x]", "rx", False),
        ("r[x]", "r[x]", True),
    ],
)
def test_only_the_star_stands_for_other_text(pattern: str, name: str, covered: bool) -> None:
    assert covers([ScopeRule(names=(pattern,))], "role", name) is covered


def test_any_of_several_rules_is_enough() -> None:
    rules = [ScopeRule(kinds=("user",)), ScopeRule(kinds=("project",), names=("a", "b"))]
    assert covers(rules, "project", "b")
    assert covers(rules, "user", "ada")
    assert not covers(rules, "role", "a")
