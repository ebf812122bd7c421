"""Differences: what changes, in which order, with which digest."""

from fc.config.compile import Resource, ResourceId
from fc.config.diff import Owned, Plan, diff, differing_ids, moved
from fc.config.language import KINDS
from tests.support.configuration import WHOLE, sealed, value_of

Resources = dict[ResourceId, Resource]


def owned(resources: Resources) -> list[Owned]:
    """The inventory after ``resources`` were applied."""
    return [
        Owned(one.kind, one.key, one.content_hash, one.file, one.line, one.fields)
        for one in resources.values()
    ]


def users(**emails: str) -> Resources:
    return sealed(
        "users: {" + ", ".join(f"{name}: {{email: {email}}}" for name, email in emails.items()) + "}"
    ).resources


def steps(plan: Plan) -> list[tuple[str, str]]:
    return [(change.action, change.key) for change in plan.changes]


def test_equal_states_need_no_change() -> None:
    resources = sealed(WHOLE).resources
    plan = diff(owned(resources), resources)
    assert plan.changes == ()
    assert plan.summary == {"create": 0, "update": 0, "delete": 0}
    assert differing_ids(owned(resources), resources) == set()


def test_what_is_referred_to_is_created_first() -> None:
    plan = diff([], sealed(WHOLE).resources)
    assert [change.kind for change in plan.changes] == sorted(
        (change.kind for change in plan.changes), key=[kind.name for kind in KINDS].index
    )
    assert {change.action for change in plan.changes} == {"create"}
    kinds = [change.kind for change in plan.changes]
    assert kinds.index("project") < kinds.index("jobset") < kinds.index("channel")
    assert kinds.index("user") < kinds.index("member")
    assert kinds.index("remote_builder") < kinds.index("worker_pool")


def test_what_refers_is_removed_first() -> None:
    resources = sealed(WHOLE).resources
    forward = [change.kind for change in diff([], resources).changes]
    backward = [change.kind for change in diff(owned(resources), {}).changes]
    assert backward == forward[::-1]


def test_removals_come_before_everything_else() -> None:
    plan = diff(owned(users(b="b@x", c="c@x")), users(a="b@x", c="d@x"))
    assert steps(plan) == [("delete", "b"), ("create", "a"), ("update", "c")]
    assert plan.summary == {"create": 1, "update": 1, "delete": 1}


def test_a_change_holds_what_was_and_what_will_be() -> None:
    before, after = users(a="a@x"), users(a="a@y")
    (change,) = diff(owned(before), after).changes
    assert change.id == ("user", "a")
    assert (change.before, change.after) == (before["user", "a"].fields, after["user", "a"].fields)
    assert change.differing() == ["email"]


def test_new_and_removed_resources_differ_in_every_field() -> None:
    resources = users(a="a@x")
    names = list(resources["user", "a"].fields)
    (created,) = diff([], resources).changes
    (removed,) = diff(owned(resources), {}).changes
    assert set(created.differing()) == set(names) - {"full_name"}
    assert set(removed.differing()) == set(names) - {"full_name"}


def test_a_rotated_secret_is_a_change_of_its_field() -> None:
    before = sealed(WHOLE).resources
    after = sealed(WHOLE, lambda name: value_of(name) + ("-new" if name == "deploy-key" else "")).resources
    (change,) = diff(owned(before), after).changes
    assert (change.action, change.key, change.before, change.differing()) == (
        "update", "deploy-bot", change.after, ["key"],
    )  # fmt: skip


def test_a_differing_hash_of_equal_fields_is_no_field_where_no_secret_is_sealed() -> None:
    resources = users(a="a@x")
    stale = [Owned("user", "a", "hash of an older program", "fc.yaml", 1, resources["user", "a"].fields)]
    (change,) = diff(stale, resources).changes
    assert change.differing() == []


def test_the_digest_is_of_the_changes_not_of_the_places() -> None:
    before = owned(users(a="a@x"))
    plan = diff(before, users(a="a@y"))
    elsewhere = diff(before, sealed({"other.yaml": "\n\nusers: {a: {email: a@y}}"}).resources)
    different = diff(before, users(a="a@z"))
    from_elsewhere = diff(owned(users(a="a@w")), users(a="a@y"))
    assert plan.digest == elsewhere.digest
    assert len({plan.digest, different.digest, from_elsewhere.digest, diff([], {}).digest}) == 4


def test_a_plan_that_leaves_nothing_removes_everything() -> None:
    before = owned(users(a="a@x", b="b@x"))
    assert diff(before, {}).removes_everything
    assert not diff(before, users(a="a@x")).removes_everything
    assert not diff(before, users(c="a@x")).removes_everything
    assert not diff([], {}).removes_everything
    assert not diff([], users(a="a@x")).removes_everything


def test_only_the_contents_of_what_differs_are_needed() -> None:
    before = owned(users(a="a@x", b="b@x", c="c@x"))
    assert differing_ids(before, users(a="a@y", c="c@x")) == {("user", "a"), ("user", "b")}


def test_what_only_moved_is_no_change_but_noticed() -> None:
    before = owned(users(a="a@x", b="b@x"))
    after = sealed(
        {"fc.yaml": "users: {b: {email: b@y}}", "people.yaml": "users: {a: {email: a@x}}"}
    ).resources
    assert [(one.key, one.file) for one in moved(before, after)] == [("a", "people.yaml")]
    assert moved(before, users(a="a@x", b="b@x")) == []
    assert moved(before, {}) == []
