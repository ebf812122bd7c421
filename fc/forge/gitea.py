"""Gitea and Forgejo: their webhooks and commit statuses. Forgejo sends Gitea's headers beside its own.

Sources: https://docs.gitea.com/usage/webhooks, https://forgejo.org/docs/latest/user/webhooks/, and the
operation repoCreateStatus of their OpenAPI documents.
"""

from collections.abc import Mapping

from fc.forge.events import Event, Ignored
from fc.forge.github import parse_pull_request, parse_push
from fc.forge.signatures import find_header, require_hmac
from fc.forge.status_messages import ForgeRequest, State, Status, join_url, short, split_owner

EVENT_HEADERS = ("X-Gitea-Event",)
DELIVERY_HEADERS = ("X-Gitea-Delivery",)
FORGEJO_EVENT_HEADERS = ("X-Forgejo-Event", "X-Gitea-Event")
FORGEJO_DELIVERY_HEADERS = ("X-Forgejo-Delivery", "X-Gitea-Delivery")

_STATES: dict[State, str] = {
    "pending": "pending",
    "running": "pending",
    "success": "success",
    "failure": "failure",
    "error": "error",
    # Their ``warning`` counts as passed where a branch asks for green statuses.
    "cancelled": "error",
}


def verify(headers: Mapping[str, str], body: bytes, secret: str) -> None:
    """Check ``X-Gitea-Signature``.

    Raises:
        SignatureError: it is missing or wrong, or there is no secret.
    """
    require_hmac(headers, "X-Gitea-Signature", body, secret)


def verify_forgejo(headers: Mapping[str, str], body: bytes, secret: str) -> None:
    """Check ``X-Forgejo-Signature``; only where that is missing, ``X-Gitea-Signature``.

    Raises:
        SignatureError: it is missing or wrong, or there is no secret.
    """
    own = find_header(headers, "X-Forgejo-Signature") is not None
    require_hmac(headers, "X-Forgejo-Signature" if own else "X-Gitea-Signature", body, secret)


def parse(name: str, text: bytes) -> Event:
    """The event ``name`` with the JSON ``text``.

    Raises:
        msgspec.DecodeError: it does not have the fields it should have.
    """
    if name == "push":
        return parse_push(text)
    if name == "pull_request":
        return parse_pull_request(text)
    return Ignored(name)


def status_request(base_url: str, status: Status) -> ForgeRequest:
    """POST /api/v1/repos/{owner}/{repo}/statuses/{sha}; ``base_url`` is that of the site.

    Raises:
        StatusError: the base URL, the repository or the commit is not what it must be.
    """
    owner, name = split_owner(status.repository)
    return ForgeRequest(
        url=join_url(base_url, "/api/v1", f"/repos/{owner}/{name}/statuses/{status.checked_sha}"),
        headers={"Accept": "application/json"},
        token_header="Authorization",  # noqa: S106 - the name of a header, no token
        token_prefix="token ",  # noqa: S106 - what stands before a token
        body={
            "state": _STATES[status.state],
            "context": short(status.context, 255, distinct=True),
            "description": short(status.description, 140),
            "target_url": status.target_url,
        },
    )


def pull_request_request(base_url: str, repository: str, number: int) -> ForgeRequest:
    """GET /api/v1/repos/{owner}/{repo}/pulls/{index}; ``base_url`` is that of the site.

    Raises:
        StatusError: the base URL or the repository is not what it must be.
    """
    owner, name = split_owner(repository)
    return ForgeRequest(
        url=join_url(base_url, "/api/v1", f"/repos/{owner}/{name}/pulls/{number}"),
        headers={"Accept": "application/json"},
        token_header="Authorization",  # noqa: S106 - the name of a header, no token
        token_prefix="token ",  # noqa: S106 - what stands before a token
        method="GET",
        body={},
    )
