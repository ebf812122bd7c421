"""Configuration in words."""

import pytest

from fc.tables.configuration_queries import ConfigChange
from fc.web.configuration_shown import changed, counts_in_words, difference, scope_in_words


@pytest.mark.parametrize(
    ("scope", "expected"),
    [
        ([], "everything"),
        ([{"kinds": [], "names": ["*"]}], "everything"),
        ([{"kinds": ["project"], "names": ["*"]}], "all projects"),
        ([{"kinds": [], "names": ["a-*"]}], "every kind named a-*"),
        ([{"kinds": ["project", "remote_builder"], "names": ["a", "b", "c"]}], "projects and remote builders named a, b and c"),
        ([{"kinds": ["user", "role"], "names": ["*"]}, {"kinds": ["project"], "names": ["x"]}], "all users and all roles; projects named x"),
        ([{}], "everything"),
    ],
)  # fmt: skip
def test_scopes_are_told_in_words(scope: list[dict[str, list[str]]], expected: str) -> None:
    assert scope_in_words(scope) == expected


def test_counts_are_told_in_words() -> None:
    assert counts_in_words({}) == "nothing changed"
    assert counts_in_words({"delete": 1, "create": 2, "rename": 0}) == "2 added, 1 removed"


def test_secrets_are_told_by_their_names_in_either_form() -> None:
    assert difference({"token": {"secret": "a"}}, {"token": "«secret» b"}) == [
        ("old", "token", "«secret» a"),
        ("new", "token", "«secret» b"),
    ]
    assert difference(None, {"token": {"encrypted": "0f"}}) == [("new", "token", "«secret»")]


def test_a_long_value_is_cut() -> None:
    change = ConfigChange("role", "r", "create", None, {"scopes": ["x" * 9000]}, None, None)
    [(_, _, value)] = changed(change).lines
    assert len(value) < 2100
    assert value.endswith("more characters)")
