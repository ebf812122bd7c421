"""GitLab: its webhooks and commit statuses.

Sources: https://docs.gitlab.com/user/project/integrations/webhook_events/,
https://docs.gitlab.com/api/commits/#set-commit-pipeline-status.
"""

import re
from collections.abc import Mapping
from urllib.parse import quote

import msgspec

from fc.base.errors import StatusError
from fc.forge.events import (
    BranchName,
    CloneUrl,
    Commit,
    Event,
    Ignored,
    Number,
    PullRequest,
    Push,
    Ref,
    RepositoryName,
    distinct_urls,
    is_zeros,
    one_line,
    web_url,
)
from fc.forge.signatures import require_token
from fc.forge.status_messages import ForgeRequest, State, Status, join_url, short

EVENT_HEADERS = ("X-Gitlab-Event",)
# The event's UUID is shared by events that hooks of one event cause; the key is one for each delivery and its retries.
DELIVERY_HEADERS = ("Idempotency-Key", "X-Gitlab-Event-UUID")

_STATES: dict[State, str] = {
    "pending": "pending",
    "running": "running",
    "success": "success",
    "failure": "failed",
    "error": "failed",
    "cancelled": "canceled",
}

_ACTIONS = {"open": "opened", "reopen": "reopened", "close": "closed", "merge": "closed"}

_PROJECT = re.compile(r"[1-9][0-9]*|[A-Za-z0-9_.-]+(?:/[A-Za-z0-9_.-]+)+")
"""A project's id, or its path with every group."""


class _Project(msgspec.Struct):
    path_with_namespace: RepositoryName
    git_http_url: CloneUrl | None = None
    git_ssh_url: CloneUrl | None = None
    web_url: CloneUrl | None = None

    @property
    def urls(self) -> tuple[str, ...]:
        return distinct_urls(self.git_http_url, self.git_ssh_url, self.web_url)


class _Push(msgspec.Struct):
    ref: Ref
    before: Commit
    after: Commit
    project: _Project


class _LastCommit(msgspec.Struct):
    id: Commit


class _Source(msgspec.Struct):
    path_with_namespace: RepositoryName


class _Attributes(msgspec.Struct):
    iid: Number
    state: str
    source_branch: BranchName
    target_branch: BranchName
    source_project_id: int | None
    target_project_id: int
    last_commit: _LastCommit | None
    source: _Source | None = None
    action: str = ""
    oldrev: str | None = None
    title: str | None = None
    url: str | None = None


class _User(msgspec.Struct):
    username: str


class _MergeRequestEvent(msgspec.Struct):
    project: _Project
    object_attributes: _Attributes
    user: _User | None = None
    """Who caused the event."""


def verify(headers: Mapping[str, str], _body: bytes, secret: str) -> None:
    """Check ``X-Gitlab-Token``: GitLab sends the secret itself, not a signature.

    Raises:
        SignatureError: it is missing or wrong, or there is no secret.
    """
    require_token(headers, "X-Gitlab-Token", secret)


def parse(name: str, text: bytes) -> Event:
    """The event ``name`` with the JSON ``text``.

    Raises:
        msgspec.DecodeError: it does not have the fields it should have.
    """
    if name in {"Push Hook", "Tag Push Hook"}:
        return _parse_push(text)
    if name == "Merge Request Hook":
        return _parse_merge_request(name, text)
    return Ignored(name)


def status_request(base_url: str, status: Status) -> ForgeRequest:
    """POST /api/v4/projects/{id}/statuses/{sha}; ``base_url`` is that of the site.

    Raises:
        StatusError: the base URL, the project or the commit is not what it must be.
    """
    project = _in_path(status.repository)
    return ForgeRequest(
        url=join_url(base_url, "/api/v4", f"/projects/{project}/statuses/{status.checked_sha}"),
        headers={"Accept": "application/json"},
        token_header="PRIVATE-TOKEN",  # noqa: S106 - the name of a header, no token
        token_prefix="",
        body={
            "state": _STATES[status.state],
            "name": short(status.context, 255, distinct=True),
            "description": short(status.description, 140),
            "target_url": status.target_url,
        },
    )


def merge_request_request(base_url: str, project: str, number: int) -> ForgeRequest:
    """GET /api/v4/projects/{id}/merge_requests/{iid}; ``base_url`` is that of the site.

    Raises:
        StatusError: the base URL or the project is not what it must be.
    """
    return ForgeRequest(
        url=join_url(base_url, "/api/v4", f"/projects/{_in_path(project)}/merge_requests/{number}"),
        headers={"Accept": "application/json"},
        token_header="PRIVATE-TOKEN",  # noqa: S106 - the name of a header, no token
        token_prefix="",
        method="GET",
        body={},
    )


def _in_path(project: str) -> str:
    """A project, safe to stand in a path.

    Raises:
        StatusError: it is none.
    """
    if not _PROJECT.fullmatch(project):
        message = f"{project!r} is no GitLab project; write its full path (group/project) or its number"
        raise StatusError(message)
    return quote(project, safe="")


def _parse_push(text: bytes) -> Push:
    push = msgspec.json.decode(text, type=_Push)
    return Push(
        ref=push.ref,
        before=push.before,
        after=push.after,
        deleted=is_zeros(push.after),
        forced=False,
        repository=push.project.path_with_namespace,
        clone_urls=push.project.urls,
    )


def _parse_merge_request(name: str, text: bytes) -> PullRequest | Ignored:
    event = msgspec.json.decode(text, type=_MergeRequestEvent)
    attributes = event.object_attributes
    if attributes.last_commit is None:
        return Ignored(f"{name} without a commit")
    action = _ACTIONS.get(attributes.action, attributes.action)
    if attributes.action == "update":
        # Without oldrev only its text, labels or people have changed.
        action = "synchronized" if attributes.oldrev else "edited"
    return PullRequest(
        number=attributes.iid,
        action=action,
        head_sha=attributes.last_commit.id,
        head_ref=attributes.source_branch,
        base_ref=attributes.target_branch,
        repository=event.project.path_with_namespace,
        clone_urls=event.project.urls,
        head_repository=attributes.source.path_with_namespace if attributes.source is not None else None,
        is_fork=attributes.source_project_id != attributes.target_project_id,
        fetch_ref=f"refs/merge-requests/{attributes.iid}/head",
        closed=attributes.state in {"closed", "merged"},
        merged=attributes.state == "merged",
        title=one_line(attributes.title),
        author=one_line(event.user.username) or None
        if event.user is not None and attributes.action == "open"
        else None,
        url=web_url(attributes.url),
    )
