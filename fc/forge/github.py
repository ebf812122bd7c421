"""GitHub: its webhooks and commit statuses, on github.com and on Enterprise Server.

Sources: https://docs.github.com/en/webhooks/webhook-events-and-payloads,
https://docs.github.com/en/rest/commits/statuses.
"""

from collections.abc import Mapping

import msgspec

from fc.forge.events import (
    BranchName,
    CloneUrl,
    Commit,
    Event,
    Ignored,
    Number,
    Ping,
    PullRequest,
    Push,
    Ref,
    RepositoryName,
    Rerun,
    distinct_urls,
    is_zeros,
    one_line,
    web_url,
)
from fc.forge.signatures import require_hmac
from fc.forge.status_messages import ForgeRequest, State, Status, join_url, short, split_owner

EVENT_HEADERS = ("X-GitHub-Event",)
DELIVERY_HEADERS = ("X-GitHub-Delivery",)
HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
"""Of every request to its API."""

_STATES: dict[State, str] = {
    "pending": "pending",
    "running": "pending",
    "success": "success",
    "failure": "failure",
    "error": "error",
    "cancelled": "error",
}


class _Repository(msgspec.Struct):
    full_name: RepositoryName
    clone_url: CloneUrl | None = None
    ssh_url: CloneUrl | None = None
    git_url: CloneUrl | None = None
    html_url: CloneUrl | None = None

    @property
    def urls(self) -> tuple[str, ...]:
        return distinct_urls(self.clone_url, self.ssh_url, self.git_url, self.html_url)


class _Push(msgspec.Struct):
    ref: Ref
    before: Commit
    after: Commit
    repository: _Repository
    forced: bool = False


class _HeadRepository(msgspec.Struct):
    full_name: RepositoryName


class _Head(msgspec.Struct):
    sha: Commit
    ref: BranchName
    repo: _HeadRepository | None


class _Base(msgspec.Struct):
    ref: BranchName


class _User(msgspec.Struct):
    login: str


class _PullRequest(msgspec.Struct):
    state: str
    head: _Head
    base: _Base
    merged: bool | None = None
    title: str | None = None
    user: _User | None = None
    html_url: str | None = None


class _PullRequestEvent(msgspec.Struct):
    action: str
    number: Number
    pull_request: _PullRequest
    repository: _Repository


class _Action(msgspec.Struct):
    action: str


class _App(msgspec.Struct):
    id: int


class _Check(msgspec.Struct):
    """A check run, or a suite of them, which has no name."""

    head_sha: Commit
    app: _App | None = None
    name: str | None = None


class _CheckEvent(msgspec.Struct):
    repository: _Repository
    check_run: _Check | None = None
    check_suite: _Check | None = None


def verify(headers: Mapping[str, str], body: bytes, secret: str) -> None:
    """Check ``X-Hub-Signature-256``.

    Raises:
        SignatureError: it is missing or wrong, or there is no secret.
    """
    require_hmac(headers, "X-Hub-Signature-256", body, secret, prefix="sha256=")


def parse(name: str, text: bytes) -> Event:
    """The event ``name`` with the JSON ``text``.

    Raises:
        msgspec.DecodeError: it does not have the fields it should have.
    """
    if name == "push":
        return parse_push(text)
    if name == "pull_request":
        return parse_pull_request(text)
    if name in {"check_run", "check_suite"}:
        return _parse_check(name, text)
    if name == "ping":
        return Ping()
    return Ignored(name)


def parse_push(text: bytes) -> Push:
    """A push event; Gitea and Forgejo send the same fields."""
    push = msgspec.json.decode(text, type=_Push)
    return Push(
        ref=push.ref,
        before=push.before,
        after=push.after,
        deleted=is_zeros(push.after),
        forced=push.forced,
        repository=push.repository.full_name,
        clone_urls=push.repository.urls,
    )


def parse_pull_request(text: bytes) -> PullRequest:
    """A pull request event; Gitea and Forgejo send the same fields and ``synchronized`` for ``synchronize``."""
    event = msgspec.json.decode(text, type=_PullRequestEvent)
    head, author = event.pull_request.head, event.pull_request.user
    fetch_ref = f"refs/pull/{event.number}/head"
    return PullRequest(
        number=event.number,
        action="synchronized" if event.action == "synchronize" else event.action,
        head_sha=head.sha,
        head_ref=head.ref or fetch_ref,
        base_ref=event.pull_request.base.ref,
        repository=event.repository.full_name,
        clone_urls=event.repository.urls,
        head_repository=head.repo.full_name if head.repo is not None else None,
        is_fork=head.repo is None or head.repo.full_name != event.repository.full_name,
        fetch_ref=fetch_ref,
        closed=event.pull_request.state == "closed",
        merged=event.pull_request.merged is True,
        title=one_line(event.pull_request.title),
        author=one_line(author.login) or None if author is not None else None,
        url=web_url(event.pull_request.html_url),
    )


def _parse_check(name: str, text: bytes) -> Rerun | Ignored:
    """A check event. Whatever an App does with a check is said; only that somebody wants it again matters."""
    action = msgspec.json.decode(text, type=_Action).action
    if action != "rerequested":
        return Ignored(f"{name} {one_line(action)}")
    event = msgspec.json.decode(text, type=_CheckEvent)
    check = event.check_run if name == "check_run" else event.check_suite
    if check is None:
        message = f"Object missing required field `{name}`"
        raise msgspec.ValidationError(message)
    return Rerun(
        app=None if check.app is None else check.app.id,
        # Without a name a run would count as a whole suite.
        name=(check.name or "") if name == "check_run" else None,
        head_sha=check.head_sha,
        repository=event.repository.full_name,
    )


def status_request(base_url: str, status: Status) -> ForgeRequest:
    """POST /repos/{owner}/{repo}/statuses/{sha}; ``base_url`` is that of the API.

    Raises:
        StatusError: the base URL, the repository or the commit is not what it must be.
    """
    owner, name = split_owner(status.repository)
    return ForgeRequest(
        url=join_url(base_url, "", f"/repos/{owner}/{name}/statuses/{status.checked_sha}"),
        headers=HEADERS,
        token_header="Authorization",  # noqa: S106 - the name of a header, no token
        token_prefix="Bearer ",  # noqa: S106 - what stands before a token
        body={
            "state": _STATES[status.state],
            "context": short(status.context, 255, distinct=True),
            "description": short(status.description, 140),
            "target_url": status.target_url,
        },
    )


def pull_request_request(base_url: str, repository: str, number: int) -> ForgeRequest:
    """GET /repos/{owner}/{repo}/pulls/{number}; ``base_url`` is that of the API.

    Raises:
        StatusError: the base URL or the repository is not what it must be.
    """
    owner, name = split_owner(repository)
    return ForgeRequest(
        url=join_url(base_url, "", f"/repos/{owner}/{name}/pulls/{number}"),
        headers=HEADERS,
        token_header="Authorization",  # noqa: S106 - the name of a header, no token
        token_prefix="Bearer ",  # noqa: S106 - what stands before a token
        method="GET",
        body={},
    )
