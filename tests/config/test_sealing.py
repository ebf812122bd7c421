"""Sealing: hashes of secrets become part of resources, values never do."""

import hashlib

from fc.base.secrets import Secrets
from fc.config.sealing import seal, seals
from tests.support.configuration import WHOLE, compiled, shown, value_of


def test_rows_that_hold_a_hash_get_it() -> None:
    resources = seal(compiled(WHOLE), lambda one: value_of(one["secret"])).resources
    assert resources["api_key", "deploy-bot"].seal == hashlib.sha256(b"value-of-deploy-key").hexdigest()
    assert resources["webhook", "hello/github"].seal == hashlib.sha256(b"value-of-hello-webhook").hexdigest()
    assert {one.key for one in resources.values() if one.seal} == {"deploy-bot", "hello/github"}


def test_sealing_changes_the_hash_of_what_it_seals_only() -> None:
    before = compiled(WHOLE)
    after = seal(before, lambda one: value_of(one["secret"]))
    changed = {
        one
        for one in before.resources
        if before.resources[one].content_hash != after.resources[one].content_hash
    }
    assert changed == {("api_key", "deploy-bot"), ("webhook", "hello/github")}


def test_each_secret_is_asked_for_once() -> None:
    asked = []

    def reveal(reference: dict[str, str]) -> str:
        asked.append(reference["secret"])
        return reference["secret"]

    text = "projects: {p: {repository_url: /p, webhooks: {github: {secret: !secret s}, gitea: {secret: !secret s}}}}"
    seal(compiled(text), reveal)
    assert asked == ["s"]


def test_a_missing_secret_is_a_problem_where_it_is_named() -> None:
    made = seal(compiled("api_keys:\n  k: {key: !secret nowhere}\n"), Secrets(None).reveal)
    assert shown(made.problems) == [
        "fc.yaml:2:12: key: secret 'nowhere' is not known: set FC_SECRET_NOWHERE or write a file (secrets.directory is not set)"
    ]


def test_two_keys_of_one_value_are_refused_without_showing_it() -> None:
    text = "api_keys: {a: {key: !secret x}, b: {key: !secret y}}"
    made = seal(compiled(text), lambda _reference: "hunter2")
    assert shown(made.problems) == [
        "fc.yaml:1:42: key: the secret 'y' has the same value as the key of api key 'a'"
    ]


def value_a(_: object) -> str:
    return "a"


def value_b(_: object) -> str:
    return "b"


def test_the_mark_of_a_file_changes_with_a_secret_and_that_of_others_does_not() -> None:
    made = compiled(
        {"a.yaml": "api_keys: {k: {key: !secret s, role: admin}}", "b.yaml": "users: {u: {email: u@x}}"}
    )
    assert not made.problems
    first, same, rotated = (seal(made, given) for given in (value_a, value_a, value_b))
    assert first.parts["a.yaml"].mark == same.parts["a.yaml"].mark != rotated.parts["a.yaml"].mark
    assert first.parts["b.yaml"] is rotated.parts["b.yaml"]
    for one in (first, rotated):
        assert one.resources == {
            key: found for part in one.parts.values() for key, found in part.resources.items()
        }
    assert seals(first) == seals(same) != seals(rotated)
    assert {key for _, key, _ in seals(first)} == {"k"}
