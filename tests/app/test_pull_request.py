"""A pull request on the configuration repository, through the whole service: hook, plan, check run, page, merge."""

import asyncio
import hashlib
import hmac
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from fc import app
from fc.base.database import Database
from fc.base.durations import Duration
from fc.base.looping import Services, run_loop
from fc.base.nix_cli import Nix
from fc.base.notify import Listener
from fc.base.secrets import Secrets
from fc.base.settings import DatabaseSettings, ForgeSettings, ForgesSettings, SecretsSettings, Settings
from fc.base.source_settings import AppSettings, ConfigurationSettings, ReportSettings
from fc.config.loop import make_loops as config_loops
from fc.report.loop import make_loops as report_loops
from tests.support.configuration import project
from tests.support.github import APP, INSTALLATION, KEY_PEM, FakeGitHub
from tests.support.pull_requests import offer
from tests.support.repository import Repository
from tests.support.waiting import eventually

HOOK_SECRET = "hook-s3cret"


@pytest.fixture
async def github() -> AsyncIterator[FakeGitHub]:
    async with FakeGitHub() as started:
        yield started


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    made = Repository(tmp_path / "configuration")
    made.commit({"fc.yaml": project("hello")}, "Say hello")
    return made


@pytest.fixture
def served(
    settings: Settings, database_url: str, repository: Repository, github: FakeGitHub, tmp_path: Path
) -> Settings:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "app-key").write_text(KEY_PEM)
    (secrets / "hook").write_text(HOOK_SECRET)
    report = ReportSettings("github", "ops/fc", app=AppSettings(APP, INSTALLATION, "app-key"))
    return msgspec.structs.replace(
        settings,
        database=DatabaseSettings(url=database_url, pool_size=3),
        secrets=SecretsSettings(directory=secrets),
        forges=ForgesSettings(github=ForgeSettings(url=github.url)),
        configuration=ConfigurationSettings(
            url=repository.url, poll_interval=Duration(3600), webhook_secret="hook", report=report
        ),
    )


class Service:
    """The web application and the loops that follow, plan and report, over one database."""

    def __init__(self, client: AsyncTestClient[Litestar], github: FakeGitHub) -> None:
        self.client = client
        self.github = github

    async def hook(self, event: str, said: dict[str, Any]) -> str:
        """What GitHub posts; the service's answer."""
        body = msgspec.json.encode(said)
        digest = hmac.new(HOOK_SECRET.encode(), body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": str(uuid.uuid4()),
            "X-Hub-Signature-256": f"sha256={digest}",
        }
        answer = await self.client.post("/hooks/configuration/github", content=body, headers=headers)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["status"])

    async def offered(self, head: str, action: str = "opened", *, closed: bool = False) -> str:
        """GitHub tells of pull request 1."""
        repository = {"full_name": "ops/fc", "clone_url": "https://github.com/ops/fc.git"}
        pull_request = {
            "state": "closed" if closed else "open",
            "merged": closed,
            "title": "Say goodbye",
            "html_url": "https://github.com/ops/fc/pull/1",
            "user": {"login": "mallory"},
            "head": {"sha": head, "ref": "topic", "repo": {"full_name": "mallory/fc"}},
            "base": {"ref": "main"},
        }
        said = {"action": action, "number": 1, "pull_request": pull_request, "repository": repository}
        return await self.hook("pull_request", said)

    async def pushed(self, before: str, after: str) -> str:
        """GitHub tells of a push to main."""
        repository = {"full_name": "ops/fc", "clone_url": "https://github.com/ops/fc.git"}
        said = {"ref": "refs/heads/main", "before": before, "after": after, "repository": repository}
        return await self.hook("push", said)

    async def concluded(self, head: str, conclusion: str) -> dict[str, Any]:
        """The check run of ``head``, once it has that conclusion."""

        def found() -> list[dict[str, Any]]:
            return [
                run
                for run in self.github.runs
                if run["head_sha"] == head and run.get("conclusion") == conclusion
            ]

        async def there() -> bool:
            return bool(found())

        await eventually(there, f"the check run of {head[:8]} is {conclusion}")
        return found()[-1]

    async def status(self, commit: str, state: str) -> str:
        """The description of the status of ``commit``, once it has that state."""

        async def there() -> bool:
            found = self.github.latest("ops/fc", commit, "fc/configuration")
            return found is not None and found.state == state

        await eventually(there, f"the status of {commit[:8]} is {state}")
        found = self.github.latest("ops/fc", commit, "fc/configuration")
        assert found is not None
        return found.description


@pytest.fixture
async def service(
    served: Settings, database: Database, nix: Nix, github: FakeGitHub
) -> AsyncIterator[Service]:
    assert served.secrets.directory is not None
    services = Services(served, database, Secrets(served.secrets.directory), nix, "test:1")
    listener = Listener(database.url)
    await listener.start()
    stop = asyncio.Event()
    loops = [*config_loops(services), *report_loops(services)]
    running = [asyncio.create_task(run_loop(loop, listener, stop)) for loop in loops]
    async with AsyncTestClient(app.create_app(served), raise_server_exceptions=False) as client:
        yield Service(client, github)
    stop.set()
    await asyncio.gather(*running)
    await listener.close()


async def test_from_the_pull_request_to_what_is_in_force(
    service: Service, repository: Repository, database: Database
) -> None:
    base = repository.git("rev-parse", "main").strip()
    assert "1 created" in await service.status(base, "success")
    # A pull request that is wrong fails, with its very lines.
    wrong = offer(repository, {"more.yaml": "projects:\n  bye: {repository_url: /srv/bye, jobsts: {}}\n"})
    assert await service.offered(wrong) == "accepted"
    run = await service.concluded(wrong, "failure")
    assert [(one["path"], one["start_line"]) for one in run["annotations"]] == [("more.yaml", 2)]
    # Mended, it shows what it would change; nothing of it is in force.
    head = offer(repository, {"more.yaml": project("bye")})
    assert await service.offered(head, "synchronize") == "accepted"
    run = await service.concluded(head, "success")
    assert run["output"]["title"].startswith("Plan: ")
    assert await database.fetchval("SELECT count(*) FROM projects WHERE name = 'bye'") == 0
    page = await service.client.get("/configuration/previews/default/1", headers={"accept": "text/html"})
    assert page.status_code == 200
    assert "Say goodbye" in page.text
    assert "would add" in page.text
    # What is in force moves: the same head is planned again, and says so.
    other = repository.commit({"other.yaml": project("other")}, "Another one")
    assert await service.pushed(base, other) == "accepted"
    assert "created" in await service.status(other, "success")

    async def planned_again() -> bool:
        row = await database.fetchrow("SELECT base_hash, status FROM config_previews")
        return row is not None and (row["base_hash"], row["status"]) == (other, "planned")

    await eventually(planned_again, "the preview is planned on the new base")
    # Merged, it is applied as any commit is, and the preview ends.
    repository.git("merge", "--quiet", "--no-edit", head)
    merged = repository.git("rev-parse", "main").strip()
    assert await service.offered(head, "closed", closed=True) == "accepted"
    assert await service.pushed(other, merged) == "accepted"
    await service.status(merged, "success")
    assert await database.fetchval("SELECT count(*) FROM projects WHERE enabled") == 3
    assert await database.fetchval("SELECT status FROM config_previews") == "closed"


async def test_a_pull_request_that_would_be_held_says_so_and_so_does_its_commit(
    service: Service, repository: Repository, database: Database
) -> None:
    base = repository.git("rev-parse", "main").strip()
    await service.status(base, "success")
    head = offer(repository, {"fc.yaml": "# nothing is left\n"})
    assert await service.offered(head) == "accepted"
    run = await service.concluded(head, "action_required")
    assert "would remove everything" in run["output"]["summary"] + run["output"]["title"]
    repository.git("merge", "--quiet", "--ff-only", head)
    assert await service.pushed(base, head) == "accepted"
    described = await service.status(head, "failure")
    assert described.startswith("Held: it would remove everything")
    assert "fcctl confirm" in described
    assert await database.fetchval("SELECT count(*) FROM projects WHERE enabled") == 1
