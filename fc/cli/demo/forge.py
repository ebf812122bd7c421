"""A stand-in forge: it takes commit statuses over HTTP as GitHub, Gitea, Forgejo and GitLab do, and keeps them."""

import re
from typing import Any, Literal
from urllib.parse import unquote

import msgspec
from typing_extensions import override

from fc.cli.demo.http_server import HttpAnswer, HttpRequest, HttpServer

Dialect = Literal["github", "gitea", "gitlab"]

_ROUTES: tuple[tuple[Dialect, re.Pattern[str]], ...] = (
    ("gitea", re.compile(r"/api/v1/repos/(?P<repository>[^/]+/[^/]+)/statuses/(?P<sha>[0-9a-f]+)")),
    ("gitlab", re.compile(r"/api/v4/projects/(?P<repository>[^/]+)/statuses/(?P<sha>[0-9a-f]+)")),
    ("github", re.compile(r"(?:/api/v3)?/repos/(?P<repository>[^/]+/[^/]+)/statuses/(?P<sha>[0-9a-f]+)")),
)
_STATES: dict[Dialect, frozenset[str]] = {
    "github": frozenset({"pending", "success", "failure", "error"}),
    "gitea": frozenset({"pending", "success", "failure", "error", "warning", "skipped"}),
    "gitlab": frozenset({"pending", "running", "success", "failed", "canceled", "skipped"}),
}
_UNFINISHED = {"pending": "enqueue", "running": "run"}
_LONGEST_DESCRIPTION = {"github": 140, "gitea": 1 << 16, "gitlab": 255}


class PostedStatus(msgspec.Struct, frozen=True):
    """A status as it came."""

    repository: str
    sha: str
    context: str
    state: str
    """In the forge's own words."""
    description: str
    target_url: str


class StandInForge(HttpServer):
    """Answers ``POST`` of commit statuses on the paths of all four forges, on one port.

    Args:
        token: the only one it accepts, where each forge wants it.
        repositories: the ones it has; none: any that is asked for.
    """

    def __init__(self, token: str, repositories: frozenset[str] | None = None) -> None:
        super().__init__()
        self._token = token
        self._repositories = repositories
        self.posted: list[PostedStatus] = []
        """Every status it took, in order."""
        self.statuses: dict[tuple[str, str], dict[str, PostedStatus]] = {}
        """What it shows: the latest of each context, by repository and commit."""

    def latest(self, repository: str, sha: str, context: str) -> PostedStatus | None:
        """What it shows for one context of one commit; none: nothing was posted."""
        return self.statuses.get((repository, sha), {}).get(context)

    @override
    async def answer(self, request: HttpRequest) -> HttpAnswer:
        path = request.path.partition("?")[0]
        for dialect, route in _ROUTES:
            match = route.fullmatch(path)
            if match is not None and request.method == "POST":
                return self._take(dialect, unquote(match["repository"]), match["sha"], request)
        return _say(404, "Not Found")

    def _take(self, dialect: Dialect, repository: str, sha: str, request: HttpRequest) -> HttpAnswer:
        if not self._may_enter(dialect, request):
            return _say(401, "Bad credentials")
        if self._repositories is not None and repository not in self._repositories:
            return _say(404, "Not Found")
        try:
            fields = msgspec.json.decode(request.body, type=dict[str, Any])
        except msgspec.DecodeError:
            return _say(400, "Problems parsing JSON")
        status = PostedStatus(
            repository=repository,
            sha=sha,
            context=str(fields.get("name" if dialect == "gitlab" else "context", "default")),
            state=str(fields.get("state")),
            description=str(fields.get("description") or ""),
            target_url=str(fields.get("target_url") or ""),
        )
        return self._judge(dialect, status) or self._keep(status)

    def _may_enter(self, dialect: Dialect, request: HttpRequest) -> bool:
        if dialect == "gitlab":
            return request.headers.get("private-token") == self._token
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() in {"bearer", "token"} and token == self._token

    def _judge(self, dialect: Dialect, status: PostedStatus) -> HttpAnswer | None:
        """What the real one would say against it; none: nothing."""
        if status.state not in _STATES[dialect] or len(status.description) > _LONGEST_DESCRIPTION[dialect]:
            return _say(400 if dialect == "gitlab" else 422, "Validation Failed")
        now = self.latest(status.repository, status.sha, status.context)
        verb = _UNFINISHED.get(status.state)
        if dialect == "gitlab" and verb is not None and now is not None and now.state == status.state:
            reason = f'Status cannot transition via "{verb}"'
            return _say(400, f"Cannot transition status via :{verb} from :{now.state} (Reason(s): {reason})")
        return None

    def _keep(self, status: PostedStatus) -> HttpAnswer:
        self.posted.append(status)
        self.statuses.setdefault((status.repository, status.sha), {})[status.context] = status
        return HttpAnswer(201, msgspec.json.encode({"id": len(self.posted)} | msgspec.structs.asdict(status)))


def _say(code: int, message: str) -> HttpAnswer:
    return HttpAnswer(code, msgspec.json.encode({"message": message}))
