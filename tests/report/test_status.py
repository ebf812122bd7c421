"""Sending commit statuses to the stand-in forge."""

import pytest

from fc.base.errors import SecretMissingError, StatusError
from fc.forge.events import FORGES, Forge
from fc.forge.status_answers import Later, Refused, Taken
from fc.report.post import Poster
from fc.report.status import send_status
from fc.report.target import SecretReference, Target
from tests.report.rows import COMMIT
from tests.support.forge import LIMITED, Fault, FaultyForge

CONTENT = {
    "state": "failure",
    "context": "fc/hello/main/job",
    "description": "The build failed",
    "target_url": "https://fc.example.org/builds/1",
    "sha": COMMIT,
}
SHOWN = {"github": "failure", "gitea": "failure", "forgejo": "failure", "gitlab": "failed"}


def resolve(reference: SecretReference) -> str:
    name = reference.secret
    if name != "forge-token":
        raise SecretMissingError(name, "not here")
    return "forge-t0ken"


def target(url: str, repository: str = "tools/hello", token: str | None = "forge-token") -> Target:
    return Target(url=url, repository=repository, token=SecretReference(token) if token else None)


@pytest.mark.parametrize("forge", FORGES)
async def test_every_forge_shows_the_status(forge: Forge) -> None:
    async with FaultyForge() as server, Poster() as poster:
        assert await send_status(forge, target(server.url), CONTENT, resolve, poster) == Taken()
        shown = server.latest("tools/hello", COMMIT, "fc/hello/main/job")
        assert shown is not None
        assert shown.state == SHOWN[forge]
        assert (shown.description, shown.target_url) == (
            "The build failed",
            "https://fc.example.org/builds/1",
        )
        assert server.requests[0].headers["content-type"] == "application/json"


@pytest.mark.parametrize("forge", FORGES)
async def test_a_wrong_token_and_an_unknown_repository_are_refused(forge: Forge) -> None:
    async with FaultyForge("other", frozenset({"tools/hello"})) as server, Poster() as poster:
        refused = await send_status(forge, target(server.url), CONTENT, resolve, poster)
        assert isinstance(refused, Refused)
        assert "token is not accepted" in refused.reason
    async with FaultyForge(repositories=frozenset({"tools/other"})) as server, Poster() as poster:
        refused = await send_status(forge, target(server.url), CONTENT, resolve, poster)
        assert isinstance(refused, Refused)
        assert "no such repository" in refused.reason


async def test_gitlab_takes_the_same_pending_status_twice() -> None:
    async with FaultyForge() as server, Poster() as poster:
        for _ in range(2):
            answer = await send_status(
                "gitlab", target(server.url), CONTENT | {"state": "running"}, resolve, poster
            )
            assert answer == Taken()
        assert len(server.posted) == 1


async def test_limits_troubles_and_wrong_servers_are_told_apart() -> None:
    async with FaultyForge() as server, Poster() as poster:
        server.next_faults.extend([LIMITED, Fault(code=502, body=b"<html>"), Fault(code=200, body=b"<html>")])
        answers = [
            await send_status("github", target(server.url), CONTENT, resolve, poster) for _ in range(3)
        ]
        assert answers[0] == Later(
            "HTTP 403: You have exceeded a secondary rate limit; rate limit", after=60.0, limited=True
        )
        assert answers[1] == Later("HTTP 502: the forge has a problem", down=True)
        assert isinstance(answers[2], Later)


async def test_a_target_that_is_not_written_as_it_must_be_is_never_asked() -> None:
    async with FaultyForge() as server, Poster() as poster:
        with pytest.raises(StatusError, match="owner/name"):
            await send_status("github", target(server.url, repository="hello"), CONTENT, resolve, poster)
        with pytest.raises(StatusError, match="names no token"):
            await send_status("github", target(server.url, token=None), CONTENT, resolve, poster)
        with pytest.raises(StatusError, match="the forge's URL ''"):
            await send_status("gitea", target(""), CONTENT, resolve, poster)
        with pytest.raises(SecretMissingError):
            await send_status("github", target(server.url, token="other"), CONTENT, resolve, poster)
        assert server.requests == []
