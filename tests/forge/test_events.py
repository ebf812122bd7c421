"""The shapes of events."""

import msgspec
import pytest

from fc.forge.events import (
    BranchName,
    Commit,
    PullRequest,
    Push,
    Ref,
    distinct_urls,
    is_zeros,
    one_line,
    web_url,
)
from tests.forge.payloads import NEW, OLD, ZEROS


def push(ref: str) -> Push:
    return Push(
        ref=ref, before=OLD, after=NEW, deleted=False, forced=False, repository="tools/hello", clone_urls=()
    )


def pull_request(action: str, *, closed: bool) -> PullRequest:
    return PullRequest(
        number=1,
        action=action,
        head_sha=NEW,
        head_ref="goodbye",
        base_ref="main",
        repository="tools/hello",
        clone_urls=(),
        head_repository=None,
        is_fork=True,
        fetch_ref="refs/pull/1/head",
        closed=closed,
        merged=False,
    )


def test_a_push_to_a_branch_names_the_branch_with_its_slashes() -> None:
    event = push("refs/heads/release/24.05")
    assert (event.branch, event.tag) == ("release/24.05", None)


def test_a_push_of_a_tag_names_the_tag() -> None:
    event = push("refs/tags/v1")
    assert (event.branch, event.tag) == (None, "v1")


def test_a_push_of_notes_is_neither() -> None:
    event = push("refs/notes/commits")
    assert (event.branch, event.tag) == (None, None)


@pytest.mark.parametrize("action", ["opened", "synchronized", "reopened", "ready_for_review"])
def test_a_pull_request_with_new_code_wants_an_evaluation(action: str) -> None:
    assert pull_request(action, closed=False).wants_evaluation


def test_a_closed_or_merely_labelled_pull_request_wants_none() -> None:
    assert not pull_request("synchronized", closed=True).wants_evaluation
    assert not pull_request("labeled", closed=False).wants_evaluation


def test_zeros_stand_for_nothing_in_both_hash_lengths() -> None:
    assert is_zeros(ZEROS)
    assert is_zeros("0" * 64)
    assert not is_zeros(NEW)


def test_urls_are_kept_once_and_in_order() -> None:
    assert distinct_urls("b", None, "", "a", "b") == ("b", "a")


@pytest.mark.parametrize("commit", ["", "a" * 39, "a" * 41, "A" * 40, "g" * 40, "a" * 40 + "\n", "--help"])
def test_what_is_no_full_hash_is_refused(commit: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(commit, Commit)


@pytest.mark.parametrize(
    "ref",
    [
        "main",
        "",
        "refs/",
        "refs/heads/a b",
        "refs/heads/a..b",
        "refs/heads/a\n",
        "refs/heads/a:b",
        "refs/x@{1}",
    ],
)
def test_what_git_would_not_take_for_a_ref_is_refused(ref: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(ref, Ref)


@pytest.mark.parametrize("branch", ["-upload-pack=touch", "a b", "a\x00", "a..b", "a*", "x" * 1025])
def test_a_branch_can_never_be_an_option_of_git(branch: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(branch, BranchName)


def test_unusual_but_allowed_branches_pass() -> None:
    for branch in ("feature/ünïcode", "dependabot/npm_and_yarn/a-1.0", "a-", "user@host", ""):
        assert msgspec.convert(branch, BranchName) == branch


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (None, ""),
        (" Say\n\tgoodbye ", "Say goodbye"),
        ("a\x00b\u202ec\u200bd\ud800e", "a b c d e"),
        ("\x1b[31mred", "[31mred"),
        ("<script>", "<script>"),
        ("x" * 301, "x" * 299 + "…"),
        ("\n" * 10_000_000, ""),
    ],
)
def test_a_strangers_text_is_one_line(text: str | None, shown: str) -> None:
    assert one_line(text) == shown


@pytest.mark.parametrize("url", ["https://github.com/tools/hello/pull/2", "http://[::1]:3000/a/b/pulls/1"])
def test_a_page_has_a_web_url(url: str) -> None:
    assert web_url(url) == url


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "javascript:alert(1)",
        "https://a/<b>",
        "https://a b",
        "https://a/\n",
        "//a",
        "https://" + "a" * 2001,
    ],
)
def test_anything_else_has_none(url: str | None) -> None:
    assert web_url(url) is None
