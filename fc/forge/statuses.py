"""Commit statuses on every forge: from a status to the request that sets it."""

from collections.abc import Callable

from fc.forge import gitea, github, gitlab
from fc.forge.events import Forge
from fc.forge.status_messages import ForgeRequest, Status

_WRITERS: dict[Forge, Callable[[str, Status], ForgeRequest]] = {
    "github": github.status_request,
    "gitea": gitea.status_request,
    "forgejo": gitea.status_request,
    "gitlab": gitlab.status_request,
}


def status_request(forge: Forge, base_url: str, status: Status) -> ForgeRequest:
    """The request that sets ``status``, without its token.

    Args:
        forge: which one.
        base_url: GitHub: of the API (``https://api.github.com``, Enterprise: ``https://host/api/v3``); the
            others: of the site, with or without the path of the API.
        status: what to set.

    Raises:
        StatusError: the base URL, the repository or the commit is not what it must be; the message says how
            to write it.
    """
    return _WRITERS[forge](base_url, status)
