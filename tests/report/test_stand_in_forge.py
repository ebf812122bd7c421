"""The stand-in forge answers as the real ones do."""

import asyncio

import httpx
import pytest

from fc.cli.demo.forge import StandInForge
from tests.report.rows import COMMIT

GITHUB = f"/repos/tools/hello/statuses/{COMMIT}"
GITEA = f"/api/v1{GITHUB}"
GITLAB = f"/api/v4/projects/tools%2Fhello/statuses/{COMMIT}"
GOOD = {"Authorization": "Bearer t"}


async def post(forge: StandInForge, path: str, headers: dict[str, str], body: object) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(forge.url + path, headers=headers, json=body)


async def test_it_keeps_the_latest_of_each_context_and_all_in_order() -> None:
    async with StandInForge(token="t") as forge:
        for state in ("pending", "success"):
            answer = await post(
                forge, GITHUB, GOOD, {"state": state, "context": "c", "target_url": "https://x"}
            )
            assert answer.status_code == 201
        assert [posted.state for posted in forge.posted] == ["pending", "success"]
        shown = forge.latest("tools/hello", COMMIT, "c")
        assert shown is not None
        assert shown.state == "success"
        assert forge.latest("tools/hello", COMMIT, "d") is None


@pytest.mark.parametrize(
    ("path", "headers"),
    [
        (GITHUB, {}),
        (GITHUB, {"Authorization": "Bearer x"}),
        (GITEA, {"PRIVATE-TOKEN": "t"}),
        (GITLAB, {"Authorization": "Bearer x"}),
        (GITLAB, {"PRIVATE-TOKEN": "x"}),
    ],
)
async def test_a_wrong_token_is_refused(path: str, headers: dict[str, str]) -> None:
    async with StandInForge(token="t") as forge:
        assert (await post(forge, path, headers, {"state": "success"})).status_code == 401


async def test_unknown_repositories_paths_and_bodies_are_refused() -> None:
    async with StandInForge(token="t", repositories=frozenset({"tools/other"})) as forge:
        assert (await post(forge, GITHUB, GOOD, {"state": "success"})).status_code == 404
        assert (await post(forge, "/user", GOOD, {})).status_code == 404
    async with StandInForge(token="t") as forge:
        assert (await post(forge, GITHUB, GOOD, [])).status_code == 400
        assert (await post(forge, GITHUB, GOOD, {"state": "failed"})).status_code == 422
        assert (
            await post(forge, GITHUB, GOOD, {"state": "success", "description": "x" * 141})
        ).status_code == 422
        assert (
            await post(forge, GITEA, {"Authorization": "token t"}, {"state": "warning"})
        ).status_code == 201
        assert (await post(forge, GITLAB, {"PRIVATE-TOKEN": "t"}, {"state": "failure"})).status_code == 400


async def test_gitlab_refuses_a_pending_status_that_is_pending_already() -> None:
    async with StandInForge(token="t") as forge:
        codes = [
            (await post(forge, GITLAB, {"PRIVATE-TOKEN": "t"}, {"state": state, "name": "c"})).status_code
            for state in ("pending", "pending", "running", "running", "success", "pending")
        ]
        assert codes == [201, 400, 201, 400, 201, 201]


async def test_nonsense_ends_a_connection_and_nothing_else() -> None:
    async with StandInForge(token="t") as forge:
        port = int(forge.url.rpartition(":")[2])
        for nonsense in (
            b"x\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            b"\xff" * 70000,
            b"",
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(nonsense)
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
        assert (await post(forge, GITHUB, GOOD, {"state": "success"})).status_code == 201
