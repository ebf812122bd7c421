"""GitLab's webhooks and statuses."""

import msgspec
import pytest

from fc.base.errors import SignatureError, StatusError
from fc.forge import gitlab
from fc.forge.events import Ignored, PullRequest, Push
from fc.forge.status_messages import State, Status
from tests.forge.payloads import GITLAB_MERGE_REQUEST, GITLAB_PUSH, NEW, ZEROS, changed, encoded, lacking

STATUS = Status(
    state="success",
    context="fc/hello/main/hello",
    description="Built",
    target_url="https://fc.example.org/builds/1",
    sha=NEW,
    repository="group/tools/hello",
)


def merge_request(**attributes: object) -> PullRequest:
    payload = GITLAB_MERGE_REQUEST
    for name, value in attributes.items():
        payload = changed(payload, f"object_attributes.{name}", value)
    event = gitlab.parse("Merge Request Hook", encoded(payload))
    assert isinstance(event, PullRequest)
    return event


def test_a_push_is_read() -> None:
    event = gitlab.parse("Push Hook", encoded(GITLAB_PUSH))
    assert isinstance(event, Push)
    assert (event.branch, event.tag, event.after, event.deleted) == ("main", None, NEW, False)
    assert event.repository == "group/tools/hello"
    assert event.clone_urls == (
        "https://gitlab.example.org/group/tools/hello.git",
        "git@gitlab.example.org:group/tools/hello.git",
        "https://gitlab.example.org/group/tools/hello",
    )


def test_a_pushed_tag_and_a_deleted_one_are_read() -> None:
    event = gitlab.parse("Tag Push Hook", encoded(changed(GITLAB_PUSH, "ref", "refs/tags/v1")))
    assert isinstance(event, Push)
    assert event.tag == "v1"
    gone = gitlab.parse(
        "Tag Push Hook", encoded(changed(changed(GITLAB_PUSH, "after", ZEROS), "checkout_sha", None))
    )
    assert isinstance(gone, Push)
    assert gone.deleted


def test_a_merge_request_of_a_fork_is_read() -> None:
    event = merge_request()
    assert (event.number, event.action, event.head_sha) == (3, "opened", NEW)
    assert (event.head_ref, event.base_ref) == ("goodbye", "main")
    assert (event.repository, event.head_repository, event.is_fork) == (
        "group/tools/hello",
        "bob/hello",
        True,
    )
    assert event.fetch_ref == "refs/merge-requests/3/head"
    assert (event.closed, event.merged, event.wants_evaluation) == (False, False, True)


def test_a_merge_request_within_the_project_is_no_fork() -> None:
    assert not merge_request(source_project_id=15).is_fork


def test_a_merge_request_whose_fork_is_gone_counts_as_a_fork() -> None:
    event = merge_request(source=None, source_project_id=None)
    assert (event.is_fork, event.head_repository) == (True, None)


def test_an_update_brings_code_only_with_an_old_revision() -> None:
    assert merge_request(action="update", oldrev="1" * 40).action == "synchronized"
    edited = merge_request(action="update")
    assert (edited.action, edited.wants_evaluation) == ("edited", False)


def test_merging_closes_it() -> None:
    event = merge_request(action="merge", state="merged")
    assert (event.action, event.closed, event.merged) == ("closed", True, True)


def test_closing_does_not_merge_it() -> None:
    event = merge_request(action="close", state="closed")
    assert (event.action, event.closed, event.merged) == ("closed", True, False)


def test_other_actions_keep_gitlab_s_word() -> None:
    assert merge_request(action="approved").action == "approved"


def test_a_merge_request_without_a_commit_is_ignored() -> None:
    payload = changed(GITLAB_MERGE_REQUEST, "object_attributes.last_commit", None)
    assert gitlab.parse("Merge Request Hook", encoded(payload)) == Ignored(
        "Merge Request Hook without a commit"
    )


def test_a_merge_request_without_its_number_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="iid"):
        gitlab.parse("Merge Request Hook", encoded(lacking(GITLAB_MERGE_REQUEST, "object_attributes.iid")))


def test_other_events_are_ignored() -> None:
    assert gitlab.parse("Pipeline Hook", b"{}") == Ignored("Pipeline Hook")


def test_the_token_must_be_the_secret() -> None:
    gitlab.verify({"x-gitlab-token": "s3cret"}, b"anything", "s3cret")
    for headers in ({"X-Gitlab-Token": "S3cret"}, {"X-Gitlab-Token": "s3cret "}, {}):
        with pytest.raises(SignatureError):
            gitlab.verify(headers, b"anything", "s3cret")


def test_a_status_names_the_project_by_its_encoded_path() -> None:
    request = gitlab.status_request("https://gitlab.example.org", STATUS)
    assert request.url == f"https://gitlab.example.org/api/v4/projects/group%2Ftools%2Fhello/statuses/{NEW}"
    assert request.headers_with("t0ken")["PRIVATE-TOKEN"] == "t0ken"
    assert request.body["name"] == "fc/hello/main/hello"


def test_a_project_may_be_named_by_its_number() -> None:
    status = msgspec.structs.replace(STATUS, repository="42")
    assert gitlab.status_request("https://gitlab.com/api/v4", status).url == (
        f"https://gitlab.com/api/v4/projects/42/statuses/{NEW}"
    )


@pytest.mark.parametrize("repository", ["", "hello", "a/../b?x", "a//b", "0", "a/b\n"])
def test_what_is_no_project_is_refused(repository: str) -> None:
    with pytest.raises(StatusError, match="GitLab project"):
        gitlab.status_request("https://gitlab.com", msgspec.structs.replace(STATUS, repository=repository))


@pytest.mark.parametrize(
    ("state", "theirs"),
    [
        ("pending", "pending"),
        ("running", "running"),
        ("success", "success"),
        ("failure", "failed"),
        ("error", "failed"),
        ("cancelled", "canceled"),
    ],
)
def test_each_state_has_one_of_gitlab_s_words(state: State, theirs: str) -> None:
    status = msgspec.structs.replace(STATUS, state=state)
    assert gitlab.status_request("https://gitlab.com", status).body["state"] == theirs


def test_a_merge_request_is_asked_about() -> None:
    request = gitlab.merge_request_request("https://gitlab.example.org", "group/tools/hello", 7)
    assert (request.method, request.url) == (
        "GET",
        "https://gitlab.example.org/api/v4/projects/group%2Ftools%2Fhello/merge_requests/7",
    )
    assert request.headers_with("t0ken")["PRIVATE-TOKEN"] == "t0ken"
    assert gitlab.merge_request_request("https://h", "15", 7).url.endswith("/projects/15/merge_requests/7")
