"""One task to its target: what came of it, without secrets."""

import uuid
from pathlib import Path
from typing import Any

import pytest

from fc.base.secrets import Secrets
from fc.forge.status_answers import Answer, Later, Refused, Taken
from fc.report.deliver import deliver
from fc.report.installation_tokens import InstallationTokens
from fc.report.post import Poster
from fc.report.queue import Task
from tests.report.test_status import CONTENT
from tests.support.forge import Fault, FaultyForge, WebhookReceiver


@pytest.fixture
def secrets(tmp_path: Path) -> Secrets:
    (tmp_path / "forge-token").write_text("forge-t0ken\n")
    return Secrets(tmp_path)


def task(kind: str, target: dict[str, Any], *, wanted: bool = True) -> Task:
    content = CONTENT if kind != "webhook" else {"event": "build_finished"}
    payload = {"content": content, "target": target}
    return Task(uuid.uuid4(), kind, uuid.uuid4(), "h:443", payload, 1, 12, uuid.uuid4(), 0.0, wanted)


def reason(answer: Answer) -> str:
    assert isinstance(answer, Later | Refused)
    return answer.reason


def forge_target(url: str, token: str = "forge-token") -> dict[str, Any]:
    return {"url": url, "repository": "tools/hello", "token": {"secret": token}}


async def test_statuses_and_events_find_their_senders(secrets: Secrets) -> None:
    async with FaultyForge() as forge, WebhookReceiver() as receiver, Poster() as poster:
        assert (
            await deliver(
                task("forgejo_status", forge_target(forge.url)), secrets, poster, InstallationTokens()
            )
            == Taken()
        )
        assert (
            await deliver(task("webhook", {"url": receiver.url}), secrets, poster, InstallationTokens())
            == Taken()
        )
        assert (len(forge.posted), len(receiver.requests)) == (1, 1)


async def test_a_target_that_configuration_has_dropped_is_not_asked(secrets: Secrets) -> None:
    async with FaultyForge() as forge, Poster() as poster:
        answer = await deliver(
            task("github_status", forge_target(forge.url), wanted=False),
            secrets,
            poster,
            InstallationTokens(),
        )
        assert isinstance(answer, Refused)
        assert forge.requests == []


async def test_mail_is_refused_in_words(secrets: Secrets) -> None:
    async with Poster() as poster:
        assert await deliver(task("email", {}), secrets, poster, InstallationTokens()) == Refused(
            "email is not sent by this version of FC"
        )


async def test_a_missing_secret_may_come_and_a_wrong_address_may_not(secrets: Secrets) -> None:
    async with Poster() as poster:
        missing = await deliver(
            task("github_status", forge_target("https://h", "absent")), secrets, poster, InstallationTokens()
        )
        assert isinstance(missing, Later)
        assert not missing.down
        assert "FC_SECRET_ABSENT" in missing.reason
        wrong = await deliver(
            task("github_status", forge_target("ftp://h")), secrets, poster, InstallationTokens()
        )
        assert isinstance(wrong, Refused)


async def test_a_host_that_is_away_may_come_back(secrets: Secrets) -> None:
    async with Poster() as poster:
        answer = await deliver(
            task("github_status", forge_target("http://127.0.0.1:1")), secrets, poster, InstallationTokens()
        )
        assert isinstance(answer, Later)
        assert answer.down


@pytest.mark.parametrize(
    "fault",
    [
        Fault(kind="garbage"),
        Fault(code=422, body=b'{"message": "bad token forge-t0ken"}'),
        Fault(code=422, body=b'{"message": "bad token forge-\\u0074\\u0030ken"}'),
        Fault(code=422, body=b'{"message": "' + b"x" * 190 + b' forge-t0ken"}'),
    ],
)
async def test_a_forge_that_quotes_the_token_does_not_bring_it_into_the_reason(
    secrets: Secrets, fault: Fault
) -> None:
    async with FaultyForge() as forge, Poster() as poster:
        forge.fault = fault
        said = reason(
            await deliver(
                task("github_status", forge_target(forge.url)), secrets, poster, InstallationTokens()
            )
        )
        assert "forge-t" not in said


async def test_a_token_that_no_header_may_hold_is_refused_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "forge-token").write_text("two\nlines")
    async with Poster() as poster:
        answer = await deliver(
            task("github_status", forge_target("https://h")), Secrets(tmp_path), poster, InstallationTokens()
        )
        assert isinstance(answer, Refused)
        assert "lines" not in answer.reason.replace("line breaks", "")
