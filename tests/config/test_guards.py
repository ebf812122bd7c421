"""Prune guards: which plans wait for a confirmation, and which do not."""

import pytest

from fc.config.compile import ResourceId
from fc.config.diff import Plan, diff
from fc.config.guards import reasons_to_hold
from tests.config.test_diff import owned
from tests.support.configuration import sealed

PROTECTED = "roles: {r: {description: x, protected: true}, s: {description: x}}"


def planned(before: str, after: str) -> tuple[Plan, tuple[str, ...]]:
    inventory, resources = owned(sealed(before).resources), sealed(after).resources
    plan = diff(inventory, resources)
    return plan, reasons_to_hold(plan, inventory, resources)


def reasons(before: str, after: str) -> tuple[str, ...]:
    return planned(before, after)[1]


def roles(count: int) -> str:
    return "roles:\n" + "".join(f"  r{number}: {{description: x}}\n" for number in range(count))


@pytest.mark.parametrize(("before", "after"), [(4, 1), (12, 9), (16, 12), (100, 75), (3, 3), (1, 9)])
def test_few_removals_and_small_shares_need_no_confirmation(before: int, after: int) -> None:
    assert reasons(roles(before), roles(after)) == ()


@pytest.mark.parametrize(("before", "after"), [(5, 1), (15, 11), (100, 74)])
def test_more_than_a_quarter_of_a_kind_is_held(before: int, after: int) -> None:
    gone = before - after
    assert reasons(roles(before), roles(after)) == (
        f"it would remove {gone} of {before} roles, more than 25%",
    )


def test_everything_is_held_however_little_it_is() -> None:
    (reason,) = reasons(roles(1), "{}")
    assert reason.startswith("it would remove everything that git owns here (1 resources)")


def test_what_is_protected_is_held_with_its_place() -> None:
    assert reasons(PROTECTED, "roles: {s: {description: x}}") == (
        "it would remove role 'r', which is protected (fc.yaml:1)",
    )
    assert reasons(PROTECTED, "roles: {r: {description: y, protected: true}}") == ()


def test_many_protected_resources_are_counted() -> None:
    many = roles(8).replace("x}", "x, protected: true}") + "users: {u: {email: u@x}}"
    found = reasons(many, "users: {u: {email: u@x}}")
    assert found[-1] == "it would remove 3 more that are protected"
    assert len(found) == 7


@pytest.mark.parametrize(
    "after",
    [
        "users: {b: {email: b@x}}",
        "users: {a: {email: a@x}, b: {email: b@x}}",
        "users: {a: {email: a@x, role: admin, enabled: false}, b: {email: b@x}}",
        "users: {b: {email: b@x, enabled: false}}\napi_keys: {k: {key: !secret s, role: admin, user: b}}",
    ],
)
def test_the_last_admin_is_held(after: str) -> None:
    before = "users: {a: {email: a@x, role: admin}, b: {email: b@x}}"
    assert reasons(before, after) == ("nobody would be left with the role admin; now it is user 'a'",)


@pytest.mark.parametrize(
    "after",
    [
        "users: {c: {email: c@x, role: admin}}",
        "api_keys: {k: {key: !secret s, role: admin}}",
        "users: {a: {email: other@x, role: admin}}",
    ],
)
def test_another_admin_is_enough(after: str) -> None:
    assert reasons("users: {a: {email: a@x, role: admin}}", after) == ()


def test_where_nobody_was_an_admin_nobody_is_missed() -> None:
    assert reasons("users: {a: {email: a@x}}", "users: {b: {email: b@x}}") == ()


def test_a_plan_is_confirmed_by_enough_of_its_digest() -> None:
    plan, _ = planned(roles(5), roles(1))
    assert plan.confirmed_by([plan.digest])
    assert plan.confirmed_by(["0" * 12, plan.digest[:12].upper()])
    assert not plan.confirmed_by([plan.digest[:11]])
    assert not plan.confirmed_by(["", "0" * 64, plan.digest + "0"])


def test_protection_that_is_not_asked_for_changes_no_content() -> None:
    plain = sealed("users: {a: {email: a@x}}").resources
    said: ResourceId = ("user", "a")
    assert "protected" not in plain[said].fields
    assert (
        sealed("users: {a: {email: a@x, protected: false}}").resources[said].content_hash
        == plain[said].content_hash
    )
