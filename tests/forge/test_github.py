"""GitHub's webhooks and statuses."""

import msgspec
import pytest

from fc.base.errors import SignatureError, StatusError
from fc.forge import github
from fc.forge.events import Ignored, Ping, PullRequest, Push, Rerun
from fc.forge.status_messages import State, Status
from tests.forge.payloads import (
    GITHUB_CHECK_RUN,
    GITHUB_CHECK_SUITE,
    GITHUB_PING,
    GITHUB_PULL_REQUEST,
    GITHUB_PUSH,
    NEW,
    OLD,
    ZEROS,
    changed,
    encoded,
    hmac_of,
    lacking,
)

STATUS = Status(
    state="failure",
    context="fc/hello/main/x86_64-linux.hello",
    description="Failed",
    target_url="https://fc.example.org/builds/1",
    sha=NEW,
    repository="tools/hello",
)


def test_a_push_is_read() -> None:
    assert github.parse("push", encoded(GITHUB_PUSH)) == Push(
        ref="refs/heads/main",
        before=OLD,
        after=NEW,
        deleted=False,
        forced=False,
        repository="tools/hello",
        clone_urls=(
            "https://github.com/tools/hello.git",
            "git@github.com:tools/hello.git",
            "git://github.com/tools/hello.git",
            "https://github.com/tools/hello",
        ),
    )


def test_a_forced_push_says_so() -> None:
    event = github.parse("push", encoded(changed(GITHUB_PUSH, "forced", True)))
    assert isinstance(event, Push)
    assert event.forced


def test_a_deleted_branch_is_known_by_its_zeros() -> None:
    event = github.parse("push", encoded(changed(GITHUB_PUSH, "after", ZEROS)))
    assert isinstance(event, Push)
    assert event.deleted


def test_a_pull_request_of_a_fork_is_read() -> None:
    assert github.parse("pull_request", encoded(GITHUB_PULL_REQUEST)) == PullRequest(
        number=2,
        action="opened",
        head_sha=NEW,
        head_ref="goodbye",
        base_ref="main",
        repository="tools/hello",
        clone_urls=(
            "https://github.com/tools/hello.git",
            "git@github.com:tools/hello.git",
            "git://github.com/tools/hello.git",
            "https://github.com/tools/hello",
        ),
        head_repository="bob/hello",
        is_fork=True,
        fetch_ref="refs/pull/2/head",
        closed=False,
        merged=False,
        title="Say goodbye",
        author="bob",
        url="https://github.com/tools/hello/pull/2",
    )


def test_a_pull_request_within_the_repository_is_no_fork() -> None:
    event = github.parse(
        "pull_request",
        encoded(changed(GITHUB_PULL_REQUEST, "pull_request.head.repo.full_name", "tools/hello")),
    )
    assert isinstance(event, PullRequest)
    assert not event.is_fork


def test_a_pull_request_whose_fork_is_gone_counts_as_a_fork() -> None:
    event = github.parse(
        "pull_request", encoded(changed(GITHUB_PULL_REQUEST, "pull_request.head.repo", None))
    )
    assert isinstance(event, PullRequest)
    assert (event.is_fork, event.head_repository) == (True, None)


def test_a_head_without_a_branch_is_named_by_its_ref() -> None:
    event = github.parse("pull_request", encoded(changed(GITHUB_PULL_REQUEST, "pull_request.head.ref", "")))
    assert isinstance(event, PullRequest)
    assert event.head_ref == "refs/pull/2/head"


def test_new_commits_have_one_name_on_every_forge() -> None:
    event = github.parse("pull_request", encoded(changed(GITHUB_PULL_REQUEST, "action", "synchronize")))
    assert isinstance(event, PullRequest)
    assert event.action == "synchronized"


def test_a_merged_pull_request_is_closed_and_merged() -> None:
    payload = changed(
        changed(GITHUB_PULL_REQUEST, "pull_request.state", "closed"), "pull_request.merged", True
    )
    event = github.parse("pull_request", encoded(changed(payload, "action", "closed")))
    assert isinstance(event, PullRequest)
    assert (event.closed, event.merged, event.wants_evaluation) == (True, True, False)


def test_a_ping_is_a_ping_and_other_events_are_ignored_unread() -> None:
    assert github.parse("ping", encoded(GITHUB_PING)) == Ping()
    assert github.parse("star", b"not even JSON") == Ignored("star")


def test_a_check_that_is_wanted_again_names_its_app_and_its_commit() -> None:
    assert github.parse("check_run", encoded(GITHUB_CHECK_RUN)) == Rerun(
        app=4711, name="fc/plan", head_sha=NEW, repository="tools/hello"
    )
    assert github.parse("check_suite", encoded(GITHUB_CHECK_SUITE)) == Rerun(
        app=4711, name=None, head_sha=NEW, repository="tools/hello"
    )


def test_a_check_without_an_app_or_a_name_is_nobody_s() -> None:
    gone = changed(GITHUB_CHECK_SUITE, "check_suite.app", None)
    assert github.parse("check_suite", encoded(gone)) == Rerun(
        app=None, name=None, head_sha=NEW, repository="tools/hello"
    )
    nameless = github.parse("check_run", encoded(lacking(GITHUB_CHECK_RUN, "check_run.name")))
    assert isinstance(nameless, Rerun)
    assert nameless.name is not None, "it is no whole suite"


@pytest.mark.parametrize("action", ["created", "completed", "requested_action"])
def test_what_else_happens_to_checks_is_ignored_unread(action: str) -> None:
    assert github.parse("check_run", encoded({"action": action})) == Ignored(f"check_run {action}")


@pytest.mark.parametrize("path", ["check_run", "check_run.head_sha", "repository", "action"])
def test_a_check_that_lacks_a_field_is_refused(path: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=path.rsplit(".", maxsplit=1)[-1]):
        github.parse("check_run", encoded(lacking(GITHUB_CHECK_RUN, path)))


@pytest.mark.parametrize("path", ["ref", "after", "before", "repository", "repository.full_name"])
def test_a_push_that_lacks_a_field_is_refused(path: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=path.rsplit(".", maxsplit=1)[-1]):
        github.parse("push", encoded(lacking(GITHUB_PUSH, path)))


def test_signatures_are_checked() -> None:
    github.verify({"X-Hub-Signature-256": "sha256=" + hmac_of(b"{}", "s")}, b"{}", "s")
    with pytest.raises(SignatureError):
        github.verify({"X-Hub-Signature-256": hmac_of(b"{}", "s")}, b"{}", "s")


def test_a_status_is_addressed_to_the_commit() -> None:
    request = github.status_request("https://api.github.com", STATUS)
    assert request.method == "POST"
    assert request.url == f"https://api.github.com/repos/tools/hello/statuses/{NEW}"
    assert request.headers_with("t0ken")["Authorization"] == "Bearer t0ken"
    assert request.body == {
        "state": "failure",
        "context": "fc/hello/main/x86_64-linux.hello",
        "description": "Failed",
        "target_url": "https://fc.example.org/builds/1",
    }


def test_enterprise_server_keeps_the_path_of_its_api() -> None:
    request = github.status_request("https://ghe.example.org/api/v3/", STATUS)
    assert request.url == f"https://ghe.example.org/api/v3/repos/tools/hello/statuses/{NEW}"


@pytest.mark.parametrize(
    ("state", "theirs"),
    [
        ("pending", "pending"),
        ("running", "pending"),
        ("success", "success"),
        ("failure", "failure"),
        ("error", "error"),
        ("cancelled", "error"),
    ],
)
def test_each_state_has_one_of_github_s_words(state: State, theirs: str) -> None:
    status = msgspec.structs.replace(STATUS, state=state)
    assert github.status_request("https://api.github.com", status).body["state"] == theirs


def test_a_repository_without_an_owner_is_refused() -> None:
    with pytest.raises(StatusError, match="owner/name"):
        github.status_request("https://api.github.com", msgspec.structs.replace(STATUS, repository="hello"))


def test_a_pull_request_is_asked_about() -> None:
    request = github.pull_request_request("https://ghe.example.org/api/v3", "tools/hello", 7)
    assert (request.method, request.url) == (
        "GET",
        "https://ghe.example.org/api/v3/repos/tools/hello/pulls/7",
    )
    assert request.headers_with("t0ken")["Authorization"] == "Bearer t0ken"
