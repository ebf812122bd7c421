"""Check runs and App tokens, against a GitHub that answers as the real one, on good days and bad ones."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from fc.base.secrets import Secrets
from fc.forge.status_answers import Answer, Later, Refused, Taken
from fc.report.deliver import deliver
from fc.report.installation_tokens import InstallationTokens
from fc.report.post import Poster
from fc.report.queue import Task
from tests.report.rows import COMMIT
from tests.support.forge import LIMITED, Fault
from tests.support.github import APP, INSTALLATION, KEY_PEM, FakeGitHub

HTML = Fault(code=200, body=b"<html>sign in</html>")


class Sender:
    """One process: its tokens live as long as it."""

    def __init__(self, github: FakeGitHub, secrets: Secrets, longest: float = 30.0) -> None:
        self.github = github
        self.secrets = secrets
        self.tokens = InstallationTokens()
        self.poster = Poster(longest)

    async def check(
        self, conclusion: str | None = "success", annotations: int = 0, summary: str = "s", **target: Any
    ) -> Answer:
        """Deliver a check run with so many annotations."""
        remark = {"path": "a.yaml", "level": "notice", "title": "t", "message": "m"}
        more = {
            "conclusion": conclusion,
            "summary": summary,
            "annotations": [remark | {"line": number + 1} for number in range(annotations)],
        }
        return await self._deliver("github_check", more, target)

    async def status(self, kind: str = "github_status", **target: Any) -> Answer:
        """Deliver a status."""
        return await self._deliver(kind, {}, target)

    async def _deliver(self, kind: str, more: dict[str, Any], target: dict[str, Any]) -> Answer:
        app = {"id": APP, "installation": INSTALLATION, "key": {"secret": "app-key"}}
        payload = {
            "content": {
                "context": "fc/plan",
                "sha": COMMIT,
                "state": "success",
                "description": "Nothing would change",
                "target_url": "https://fc.example.org/x",
            }
            | more,
            "target": {"url": self.github.url, "repository": "tools/fc", "app": app} | target,
        }
        task = Task(uuid.uuid4(), kind, None, "h:443", payload, 1, 12, uuid.uuid4(), 0.0, True, "default")
        return await deliver(task, self.secrets, self.poster, self.tokens)


@pytest.fixture
async def github() -> AsyncIterator[FakeGitHub]:
    async with FakeGitHub() as started:
        yield started


@pytest.fixture
async def sender(github: FakeGitHub, tmp_path: Path) -> AsyncIterator[Sender]:
    (tmp_path / "app-key").write_text(KEY_PEM)
    (tmp_path / "other-key").write_text(
        "-----BEGIN RSA PRIVATE KEY-----\nc2VjcmV0\n-----END RSA PRIVATE KEY-----"
    )
    made = Sender(github, Secrets(tmp_path))
    yield made
    await made.poster.close()


def reason(answer: Answer) -> str:
    assert isinstance(answer, Later | Refused)
    return answer.reason


def methods(github: FakeGitHub) -> list[str]:
    return [
        f"{request.method} {request.path.partition('?')[0].rpartition('/')[2]}" for request in github.requests
    ]


async def test_a_check_run_waits_and_is_then_completed(sender: Sender, github: FakeGitHub) -> None:
    assert await sender.check(None) == Taken()
    assert github.run("fc/plan")["status"] == "in_progress"
    assert await sender.check("action_required", 3) == Taken()
    (run,) = github.runs
    assert (run["status"], run["conclusion"], len(run["annotations"])) == ("completed", "action_required", 3)
    assert (run["head_sha"], run["details_url"]) == (COMMIT, "https://fc.example.org/x")
    assert (run["output"]["title"], run["output"]["summary"]) == ("Nothing would change", "s")
    assert github.tokens_given == 1


async def test_other_words_are_a_new_run_and_the_same_are_none(sender: Sender, github: FakeGitHub) -> None:
    for summary in ("a", "a", "b", "a"):
        assert await sender.check("failure", 2, summary) == Taken()
    assert [run["output"]["summary"] for run in github.runs] == ["a", "b", "a"]
    assert all(len(run["annotations"]) == 2 for run in github.runs)


async def test_more_annotations_than_a_request_may_have(sender: Sender, github: FakeGitHub) -> None:
    assert await sender.check("failure", 120) == Taken()
    assert methods(github) == [
        "POST access_tokens",
        "GET check-runs",
        "POST check-runs",
        "PATCH 100",
        "PATCH 100",
    ]
    assert [one["start_line"] for one in github.run("fc/plan")["annotations"]] == list(range(1, 121))


async def test_a_run_that_broke_off_is_completed_and_not_begun_again(
    sender: Sender, github: FakeGitHub
) -> None:
    await sender.check(None, 0, "before")
    # Of each try GitHub carries out one request that writes, and is gone before the next.
    github.answered = lambda request: setattr(
        github, "fault", Fault(kind="close") if request.method == "PATCH" else None
    )
    for _ in range(3):
        answer = await sender.check("failure", 120)
        assert isinstance(answer, Later | Taken)
        github.fault = None
    github.answered = lambda _: None
    assert await sender.check("failure", 120) == Taken(), "a sender that died before it recorded"
    (run,) = github.runs
    assert [one["start_line"] for one in run["annotations"]] == list(range(1, 121))
    assert methods(github).count("PATCH 100") == 5, "three carried out, two lost"


async def test_many_at_once_share_one_token(sender: Sender, github: FakeGitHub) -> None:
    answers = await asyncio.gather(*(sender.status() for _ in range(10)))
    assert set(answers) == {Taken()}
    assert github.tokens_given == 1


async def test_the_app_sets_ordinary_statuses_unless_there_is_a_token(
    sender: Sender, github: FakeGitHub
) -> None:
    assert await sender.status() == Taken()
    assert github.latest("tools/fc", COMMIT, "fc/plan") is not None
    assert github.requests[-1].headers["authorization"].startswith("Bearer ghs_")
    missing = await sender.status(token={"secret": "personal"})
    assert "FC_SECRET_PERSONAL" in reason(missing)


async def test_a_token_that_ended_meanwhile_is_replaced_once(sender: Sender, github: FakeGitHub) -> None:
    for send in (sender.check, sender.status):
        assert await send() == Taken()
        github.revoke()
        assert await send() == Taken()
    assert github.tokens_given == 3, "two that ended, and the first"
    github.fault = Fault(code=401, body=b'{"message": "Bad credentials"}')
    assert isinstance(await sender.check(), Refused)


async def test_a_token_that_ends_in_the_middle_of_a_run(sender: Sender, github: FakeGitHub) -> None:
    await sender.check(None)
    github.answered = lambda request: (
        github.revoke() if request.method == "PATCH" and github.tokens_given == 1 else None
    )
    assert await sender.check("failure", 120) == Taken()
    (run,) = github.runs
    assert [one["start_line"] for one in run["annotations"]] == list(range(1, 121))
    assert github.tokens_given == 2


async def test_a_token_is_not_used_to_its_last_moment(sender: Sender, github: FakeGitHub) -> None:
    github.token_life = 299
    for _ in range(2):
        assert await sender.status() == Taken()
    assert github.tokens_given == 2
    github.token_life = 3600
    for _ in range(2):
        assert await sender.status() == Taken()
    assert github.tokens_given == 3


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (
            {"app": {"id": APP + 1, "installation": INSTALLATION, "key": {"secret": "app-key"}}},
            "check app.id",
        ),
        ({"app": {"id": APP, "installation": 1, "key": {"secret": "app-key"}}}, "check app.installation"),
        ({"app": {"id": APP, "installation": 1, "key": {"secret": "other-key"}}}, "no RSA private key"),
        ({"repository": "fc"}, "owner/name"),
        ({"url": "ftp://h"}, "must look like https"),
    ],
)
async def test_an_app_that_is_wrongly_described_is_refused_in_words(
    sender: Sender, target: dict[str, Any], said: str
) -> None:
    for answer in (await sender.check(**target), await sender.status(**target)):
        assert isinstance(answer, Refused)
        assert said in answer.reason


async def test_an_app_that_does_not_reach_the_repository_or_may_not_write_is_told(
    sender: Sender, github: FakeGitHub
) -> None:
    github.may_write_checks = False
    assert "checks: write" in reason(await sender.check())
    github.may_write_checks = True
    github._repositories = frozenset({"tools/other"})
    assert "App is not installed" in reason(await sender.check())
    sender.tokens = InstallationTokens()
    assert "add it to the App's repositories" in reason(await sender.check())


async def test_a_key_that_is_not_there_may_come(sender: Sender) -> None:
    app = {"id": APP, "installation": INSTALLATION, "key": {"secret": "absent"}}
    answer = await sender.check(app=app)
    assert isinstance(answer, Later)
    assert "FC_SECRET_ABSENT" in answer.reason


@pytest.mark.parametrize("before", [0, 1, 2])
@pytest.mark.parametrize(
    ("fault", "kind", "said"),
    [
        (LIMITED, Later, "rate limit"),
        (Fault(code=429, headers=(("Retry-After", "7"),)), Later, "rate limit"),
        (Fault(code=502, body=b"<html>"), Later, "the forge has a problem"),
        (HTML, Later, "url"),
        (Fault(code=200, body=b"{}"), Later, "url"),
        (Fault(code=200, body=b"[" * 100_000), Later, "url"),
        (Fault(kind="garbage"), Later, "no usable answer"),
        (Fault(kind="close"), Later, "no usable answer"),
        (
            Fault(code=422, body=b'{"message": "Validation Failed @all ghs_token0001"}'),
            Refused,
            "Validation Failed",
        ),
        (Fault(code=403, body=b'{"message": "Forbidden"}'), Refused, "Forbidden"),
        (Fault(code=302, body=b""), Refused, "elsewhere"),
    ],
)
async def test_bad_days_at_every_step(
    sender: Sender, github: FakeGitHub, before: int, fault: Fault, kind: type[Answer], said: str
) -> None:
    if before:
        await sender.status()
    if before == 2:
        github.answered = lambda _: github.next_faults.append(fault)
    else:
        github.next_faults.append(fault)
    answer = await sender.check()
    assert isinstance(answer, kind)
    assert said in reason(answer)
    assert not any(token in reason(answer) for token in github.tokens)


async def test_what_a_careless_proxy_quotes_is_not_shown(sender: Sender, github: FakeGitHub) -> None:
    github.fault = Fault(kind="garbage")
    first = reason(await sender.check())
    assert "eyJ" not in first, "not the App's proof either"
    github.fault = Fault(code=201, body=b'{"token": "ghs_half", "expires_at": "soon"}')
    assert "holds none" in reason(await sender.check())


async def test_a_github_that_hangs_is_left_in_time(github: FakeGitHub, sender: Sender) -> None:
    await sender.status()
    hurried = Sender(github, sender.secrets, longest=0.5)
    hurried.tokens = sender.tokens
    github.fault = Fault(kind="hang")
    answer = await hurried.check("failure", 120)
    assert isinstance(answer, Later)
    assert answer.down
    await hurried.poster.close()


async def test_without_a_token_and_an_app_it_is_said_what_to_write(sender: Sender) -> None:
    assert "names no token" in reason(await sender.status(app=None))
    assert "names no token" in reason(await sender.status("gitlab_status"))
