"""How a pull request stands, on every forge."""

from typing import Any

import msgspec
import pytest

from fc.base.errors import StatusError
from fc.forge.events import FORGES, Forge
from fc.forge.pull_requests import PullRequestState, read_state, state_request
from tests.forge.payloads import GITEA_PULL_REQUEST, GITHUB_PULL_REQUEST, NEW, changed, encoded, lacking

MERGE_REQUEST = {
    "id": 99,
    "iid": 3,
    "project_id": 15,
    "title": "Say goodbye",
    "state": "opened",
    "target_branch": "main",
    "source_branch": "goodbye",
    "sha": NEW,
    "merge_commit_sha": None,
    "squash_commit_sha": None,
    "draft": False,
}
SHOWN: dict[Forge, tuple[dict[str, Any], int]] = {
    "github": (GITHUB_PULL_REQUEST["pull_request"], 2),  # type: ignore[dict-item]  # of a payload of mixed values
    "gitea": (GITEA_PULL_REQUEST["pull_request"], 7),  # type: ignore[dict-item]  # likewise
    "forgejo": (GITEA_PULL_REQUEST["pull_request"], 7),  # type: ignore[dict-item]  # likewise
    "gitlab": (MERGE_REQUEST, 3),
}


def test_each_forge_has_its_own_address() -> None:
    assert {forge: state_request(forge, "https://h", "tools/hello", 7).url for forge in FORGES} == {
        "github": "https://h/repos/tools/hello/pulls/7",
        "gitea": "https://h/api/v1/repos/tools/hello/pulls/7",
        "forgejo": "https://h/api/v1/repos/tools/hello/pulls/7",
        "gitlab": "https://h/api/v4/projects/tools%2Fhello/merge_requests/7",
    }


@pytest.mark.parametrize("forge", FORGES)
def test_a_question_changes_nothing_and_holds_no_token(forge: Forge) -> None:
    request = state_request(forge, "https://h", "tools/hello", 7)
    assert request.method == "GET"
    assert request.token_header not in request.headers
    with pytest.raises(StatusError):
        state_request(forge, "https://h", "hello there", 7)


@pytest.mark.parametrize("forge", FORGES)
def test_an_open_one_says_where_it_goes_and_what_it_offers(forge: Forge) -> None:
    said, number = SHOWN[forge]
    assert read_state(forge, encoded(said), number) == PullRequestState(
        closed=False, base_ref="main", head_sha=NEW
    )


@pytest.mark.parametrize("forge", FORGES)
@pytest.mark.parametrize("merged", [False, True])
def test_a_closed_one_is_closed_merged_or_not(forge: Forge, *, merged: bool) -> None:
    said, number = SHOWN[forge]
    if forge == "gitlab":
        said = changed(said, "state", "merged" if merged else "closed")
    else:
        said = changed(changed(said, "state", "closed"), "merged", merged)
    state = read_state(forge, encoded(said), number)
    assert state is not None
    assert state.closed


def test_states_that_fc_does_not_know_are_open() -> None:
    for forge, word in (("gitlab", "locked"), ("github", "queued")):
        said, number = SHOWN[forge]  # type: ignore[index]  # a forge by its name
        state = read_state(forge, encoded(changed(said, "state", word)), number)  # type: ignore[arg-type]  # likewise
        assert state is not None
        assert not state.closed


@pytest.mark.parametrize("head", ["", "HEAD", None, NEW.upper()])
def test_a_head_that_is_no_commit_is_not_known(head: str | None) -> None:
    said, number = SHOWN["gitea"]
    state = read_state("gitea", encoded(changed(said, "head.sha", head)), number)
    assert state == PullRequestState(closed=False, base_ref="main", head_sha=None)
    assert read_state("gitlab", encoded(lacking(MERGE_REQUEST, "sha")), 3) == PullRequestState(
        closed=False, base_ref="main", head_sha=None
    )


@pytest.mark.parametrize("forge", FORGES)
@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"{}", b"[" * 100_000, b'{"state": "closed"}', b"<html>", b'"\xff"']
)
def test_what_is_no_pull_request_says_nothing(forge: Forge, body: bytes) -> None:
    assert read_state(forge, body, 7) is None


@pytest.mark.parametrize("forge", FORGES)
def test_another_one_is_not_taken_for_it(forge: Forge) -> None:
    said, number = SHOWN[forge]
    assert read_state(forge, msgspec.json.encode(said), number + 1) is None
