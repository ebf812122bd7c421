"""Gitea's and Forgejo's webhooks and statuses."""

import msgspec
import pytest

from fc.base.errors import SignatureError
from fc.forge import gitea
from fc.forge.events import Ignored, PullRequest, Push
from fc.forge.status_messages import State, Status
from tests.forge.payloads import GITEA_PULL_REQUEST, GITEA_PUSH, NEW, ZEROS, changed, encoded, hmac_of

STATUS = Status(
    state="success",
    context="fc/hello/main/hello",
    description="Built",
    target_url="https://fc.example.org/builds/1",
    sha=NEW,
    repository="tools/hello",
)
GOOD = hmac_of(b"{}", "s")


def test_a_push_is_read() -> None:
    event = gitea.parse("push", encoded(GITEA_PUSH))
    assert isinstance(event, Push)
    assert (event.branch, event.after, event.deleted, event.forced) == ("main", NEW, False, False)
    assert event.repository == "tools/hello"
    assert event.clone_urls == (
        "https://git.example.org/tools/hello.git",
        "ssh://git@git.example.org/tools/hello.git",
        "https://git.example.org/tools/hello",
    )


def test_a_deleted_branch_is_known_by_its_zeros() -> None:
    event = gitea.parse("push", encoded(changed(GITEA_PUSH, "after", ZEROS)))
    assert isinstance(event, Push)
    assert event.deleted


def test_a_pull_request_is_read() -> None:
    event = gitea.parse("pull_request", encoded(GITEA_PULL_REQUEST))
    assert isinstance(event, PullRequest)
    assert (event.number, event.action, event.fetch_ref) == (7, "synchronized", "refs/pull/7/head")
    assert (event.is_fork, event.closed, event.wants_evaluation) == (False, False, True)


def test_other_events_are_ignored() -> None:
    assert gitea.parse("issue_comment", b"{}") == Ignored("issue_comment")
    assert gitea.parse("ping", b"{}") == Ignored("ping")


def test_gitea_checks_its_own_header_alone() -> None:
    gitea.verify({"X-Gitea-Signature": GOOD}, b"{}", "s")
    for headers in ({"X-Forgejo-Signature": GOOD}, {"X-Hub-Signature-256": "sha256=" + GOOD}, {}):
        with pytest.raises(SignatureError):
            gitea.verify(headers, b"{}", "s")


def test_forgejo_checks_its_own_header_and_else_gitea_s() -> None:
    gitea.verify_forgejo({"X-Forgejo-Signature": GOOD, "X-Gitea-Signature": "0"}, b"{}", "s")
    gitea.verify_forgejo({"X-Gitea-Signature": GOOD}, b"{}", "s")


def test_a_wrong_forgejo_signature_is_not_mended_by_a_right_gitea_one() -> None:
    with pytest.raises(SignatureError):
        gitea.verify_forgejo({"X-Forgejo-Signature": "0" * 64, "X-Gitea-Signature": GOOD}, b"{}", "s")


def test_without_a_secret_both_refuse() -> None:
    for check in (gitea.verify, gitea.verify_forgejo):
        with pytest.raises(SignatureError):
            check({"X-Gitea-Signature": hmac_of(b"{}", "")}, b"{}", "")


@pytest.mark.parametrize(
    "base", ["https://git.example.org", "https://git.example.org/", "https://git.example.org/api/v1"]
)
def test_the_base_url_may_have_the_path_of_the_api_or_not(base: str) -> None:
    request = gitea.status_request(base, STATUS)
    assert request.url == f"https://git.example.org/api/v1/repos/tools/hello/statuses/{NEW}"


def test_the_token_goes_where_gitea_wants_it() -> None:
    request = gitea.status_request("https://git.example.org/sub", STATUS)
    assert request.url.startswith("https://git.example.org/sub/api/v1/")
    assert request.headers_with("t0ken")["Authorization"] == "token t0ken"


@pytest.mark.parametrize(
    ("state", "theirs"),
    [("running", "pending"), ("success", "success"), ("failure", "failure"), ("cancelled", "error")],
)
def test_each_state_has_one_of_gitea_s_words(state: State, theirs: str) -> None:
    status = msgspec.structs.replace(STATUS, state=state)
    assert gitea.status_request("https://git.example.org", status).body["state"] == theirs


def test_a_pull_request_is_asked_about() -> None:
    request = gitea.pull_request_request("https://git.example.org/api/v1", "tools/hello", 7)
    assert (request.method, request.url) == (
        "GET",
        "https://git.example.org/api/v1/repos/tools/hello/pulls/7",
    )
    assert request.headers_with("t0ken")["Authorization"] == "token t0ken"
