"""How a pull request stands, asked of its forge: the question and the answer, on every forge.

Sources: https://docs.github.com/en/rest/pulls/pulls#get-a-pull-request, the operation repoGetPullRequest of Gitea's and
Forgejo's OpenAPI documents, https://docs.gitlab.com/api/merge_requests/#get-single-mr.
"""

from collections.abc import Mapping

import msgspec

from fc.forge import gitea, github, gitlab
from fc.forge.events import Commit, Forge
from fc.forge.status_messages import ForgeRequest

PULL_REQUEST_ADVICE: Mapping[int, str] = {
    401: "the token is not accepted; put a valid one into the secret",
    403: "the token may not read pull requests there; give it that right (GitHub: pull requests, read; "
    "Gitea, Forgejo: read:repository; GitLab: read_api)",
    404: "there is no such pull request, or the token may not see it; check repository, url and token",
}


class PullRequestState(msgspec.Struct, frozen=True, kw_only=True):
    """How a pull request stands now."""

    closed: bool
    """Merged or not."""
    base_ref: str
    """Branch it goes to; empty: the forge does not say."""
    head_sha: str | None
    """The commit it offers; none: the forge does not say, for example since its branch is gone."""


class _Branch(msgspec.Struct):
    ref: str = ""
    sha: str | None = None


class _PullRequest(msgspec.Struct):
    """Of GitHub, Gitea and Forgejo."""

    number: int
    state: str
    base: _Branch
    head: _Branch
    merged: bool | None = None


class _MergeRequest(msgspec.Struct):
    """Of GitLab."""

    iid: int
    state: str
    target_branch: str
    sha: str | None = None


def state_request(forge: Forge, base_url: str, repository: str, number: int) -> ForgeRequest:
    """The request that asks how a pull request stands, without its token.

    Args:
        forge: which one.
        base_url: as for ``status_request``.
        repository: ``owner/name``; at GitLab the full path or the number of the project.
        number: of the pull request.

    Raises:
        StatusError: the base URL or the repository is not what it must be.
    """
    if forge == "gitlab":
        return gitlab.merge_request_request(base_url, repository, number)
    if forge == "github":
        return github.pull_request_request(base_url, repository, number)
    return gitea.pull_request_request(base_url, repository, number)


def read_state(forge: Forge, body: bytes, number: int) -> PullRequestState | None:
    """What the forge answers; none: that is no answer about pull request ``number``.

    A state of which FC does not know, such as GitLab's ``locked`` while it merges, counts as open.
    """
    try:
        if forge == "gitlab":
            merge = msgspec.json.decode(body, type=_MergeRequest)
            found, closed = merge.iid, merge.state in {"closed", "merged"}
            base, head = merge.target_branch, merge.sha
        else:
            pull = msgspec.json.decode(body, type=_PullRequest)
            found, closed = pull.number, pull.state == "closed" or pull.merged is True
            base, head = pull.base.ref, pull.head.sha
    except (ValueError, RecursionError):
        return None
    if found != number:
        return None
    return PullRequestState(closed=closed, base_ref=base, head_sha=_commit(head))


def _commit(text: str | None) -> str | None:
    try:
        return msgspec.convert(text, Commit)
    except msgspec.ValidationError:
        return None
