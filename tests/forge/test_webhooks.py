"""Webhooks of every forge, and hostile ones."""

import hashlib
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fc.base.errors import SignatureError, WebhookError
from fc.forge.events import FORGES, Forge, Ignored, Ping, PullRequest, Push
from fc.forge.webhooks import delivery_id, event_name, parse, verify
from tests.forge.payloads import (
    GITEA_PULL_REQUEST,
    GITEA_PUSH,
    GITHUB_PULL_REQUEST,
    GITHUB_PUSH,
    GITLAB_MERGE_REQUEST,
    GITLAB_PUSH,
    changed,
    encoded,
    hmac_of,
)

EVENT_HEADER = {
    "github": "X-GitHub-Event",
    "gitea": "X-Gitea-Event",
    "forgejo": "X-Forgejo-Event",
    "gitlab": "X-Gitlab-Event",
}
SAMPLES: list[tuple[Forge, str, dict[str, Any]]] = [
    ("github", "push", GITHUB_PUSH),
    ("github", "pull_request", GITHUB_PULL_REQUEST),
    ("gitea", "push", GITEA_PUSH),
    ("gitea", "pull_request", GITEA_PULL_REQUEST),
    ("forgejo", "push", GITEA_PUSH),
    ("forgejo", "pull_request", GITEA_PULL_REQUEST),
    ("gitlab", "Push Hook", GITLAB_PUSH),
    ("gitlab", "Tag Push Hook", GITLAB_PUSH),
    ("gitlab", "Merge Request Hook", GITLAB_MERGE_REQUEST),
]

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=60),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3)
    ),
    max_leaves=6,
)


def paths(node: Any, prefix: str = "") -> list[str]:
    if not isinstance(node, dict):
        return []
    here = [prefix + key for key in node]
    return here + [path for key in node for path in paths(node[key], f"{prefix}{key}.")]


@pytest.mark.parametrize(("forge", "name", "payload"), SAMPLES)
def test_every_forge_s_events_are_read(forge: Forge, name: str, payload: dict[str, Any]) -> None:
    event = parse(forge, {EVENT_HEADER[forge].lower(): name}, encoded(payload))
    assert isinstance(event, Push | PullRequest)
    assert event.repository.endswith("tools/hello")


def test_forgejo_s_events_are_also_known_by_gitea_s_headers() -> None:
    assert isinstance(parse("forgejo", {"X-Gitea-Event": "push"}, encoded(GITEA_PUSH)), Push)


def test_an_event_without_its_header_is_refused() -> None:
    for headers in ({}, {"X-GitHub-Event": ""}, {"X-GitHub-Event": "push\x00"}, {"X-Gitea-Event": "push"}):
        with pytest.raises(WebhookError, match="X-GitHub-Event is missing"):
            parse("github", headers, encoded(GITHUB_PUSH))


def test_the_error_says_where() -> None:
    with pytest.raises(WebhookError, match=r"\$\.repository\.full_name") as caught:
        parse("github", {"X-GitHub-Event": "push"}, encoded(changed(GITHUB_PUSH, "repository.full_name", 5)))
    assert (caught.value.status, caught.value.forge) == (400, "github")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"\xff\xfe",
        b'{"ref": "refs/heads/main"',
        b'{"ref":' * 100_000,
        b"[" * 200_000,
        b'{"ref": "\\ud800"}',
        encoded(changed(GITHUB_PUSH, "ref", "refs/heads/--upload-pack=x y")),
        encoded(changed(GITHUB_PUSH, "after", "HEAD")),
    ],
)
def test_hostile_bodies_are_one_kind_of_error(body: bytes) -> None:
    with pytest.raises(WebhookError):
        parse("github", {"X-GitHub-Event": "push"}, body)


def test_deep_nesting_in_a_field_nobody_reads_is_one_kind_of_error() -> None:
    deep = b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(WebhookError, match="nested too deeply"):
        parse("gitlab", {"X-Gitlab-Event": "Push Hook"}, deep)


def test_a_form_with_the_field_payload_is_read() -> None:
    headers = {"X-GitHub-Event": "push", "content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    body = b"payload=" + quote_plus(encoded(GITHUB_PUSH)).encode()
    assert isinstance(parse("github", headers, body), Push)


@pytest.mark.parametrize(
    "body", [b"", b"payload=1&payload=2", b"other=1", b"payload=\xff", b"a=1&" * 20, b"payload=%ED%A0%80"]
)
def test_other_forms_are_refused(body: bytes) -> None:
    headers = {"X-GitHub-Event": "push", "Content-Type": "application/x-www-form-urlencoded"}
    with pytest.raises(WebhookError):
        parse("github", headers, body)


def test_ping_and_unknown_events() -> None:
    assert parse("github", {"X-GitHub-Event": "ping"}, b"{}") == Ping()
    assert parse("gitlab", {"X-Gitlab-Event": "System Hook"}, b"{}") == Ignored("System Hook")
    assert event_name("gitea", {"X-Gitea-Event": "release"}) == "release"


def test_each_forge_checks_its_own_proof() -> None:
    body, secret = b"{}", "s3cret"
    good = hmac_of(body, secret)
    proofs: dict[Forge, dict[str, str]] = {
        "github": {"X-Hub-Signature-256": f"sha256={good}"},
        "gitea": {"X-Gitea-Signature": good},
        "forgejo": {"X-Forgejo-Signature": good},
        "gitlab": {"X-Gitlab-Token": secret},
    }
    for forge, headers in proofs.items():
        verify(forge, headers, body, secret)


@pytest.mark.parametrize("forge", FORGES)
def test_no_secret_or_no_signature_is_refused_by_every_forge(forge: Forge) -> None:
    with pytest.raises(SignatureError):
        verify(forge, {}, b"{}", "s3cret")
    everything = {
        "X-Hub-Signature-256": "sha256=" + hmac_of(b"{}", ""),
        "X-Gitea-Signature": hmac_of(b"{}", ""),
        "X-Forgejo-Signature": hmac_of(b"{}", ""),
        "X-Gitlab-Token": "",
    }
    with pytest.raises(SignatureError):
        verify(forge, everything, b"{}", "")


def test_a_delivery_is_known_by_the_forge_s_own_id() -> None:
    assert delivery_id("github", {"x-github-delivery": "72d3162e"}, b"{}") == "72d3162e"
    assert delivery_id("gitea", {"X-Gitea-Delivery": "a"}, b"{}") == "a"
    assert delivery_id("forgejo", {"X-Gitea-Delivery": "a", "X-Forgejo-Delivery": "b"}, b"{}") == "b"
    assert delivery_id("gitlab", {"X-Gitlab-Event-UUID": "a"}, b"{}") == "a"
    assert delivery_id("gitlab", {"X-Gitlab-Event-UUID": "a", "Idempotency-Key": "b"}, b"{}") == "b"


@pytest.mark.parametrize("own", ["", "two words", "x" * 201, "nul\x00"])
def test_a_delivery_without_a_usable_id_is_known_by_its_body(own: str) -> None:
    expected = hashlib.sha256(b"{}").hexdigest()
    assert delivery_id("github", {"X-GitHub-Delivery": own}, b"{}") == expected
    assert delivery_id("github", {}, b"{}") == expected


@given(st.sampled_from(SAMPLES), st.binary(max_size=200))
def test_no_body_raises_anything_else(sample: tuple[Forge, str, dict[str, Any]], body: bytes) -> None:
    forge, name, _ = sample
    with pytest.raises(WebhookError):
        parse(forge, {EVENT_HEADER[forge]: name}, body)


@given(st.data(), st.sampled_from(SAMPLES))
def test_no_value_at_any_place_raises_anything_else(
    data: st.DataObject, sample: tuple[Forge, str, dict[str, Any]]
) -> None:
    forge, name, payload = sample
    path = data.draw(st.sampled_from(paths(payload)))
    body = encoded(changed(payload, path, data.draw(JSON)))
    try:
        event = parse(forge, {EVENT_HEADER[forge]: name}, body)
    except WebhookError:
        return
    assert isinstance(event, Push | PullRequest | Ignored)
    if isinstance(event, Push):
        assert event.ref.startswith("refs/")
        assert "\x00" not in event.ref + event.repository + "".join(event.clone_urls)
    if isinstance(event, PullRequest):
        assert 0 < event.number < 2**31
        assert not event.head_ref.startswith("-")


@given(
    st.sampled_from(FORGES),
    st.dictionaries(st.text(max_size=20), st.text(max_size=80), max_size=4),
    st.binary(max_size=50),
)
def test_no_headers_are_taken_for_a_proof(forge: Forge, headers: dict[str, str], body: bytes) -> None:
    with pytest.raises(SignatureError):
        verify(forge, headers, body, "a secret nobody guesses")
    assert delivery_id(forge, headers, body)
