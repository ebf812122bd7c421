"""What forges say about pull requests on the configuration repository."""

import hashlib
import hmac
import uuid
from typing import Any

import httpx
import msgspec
import pytest

from fc.base.database import Database
from fc.base.source_settings import AppSettings, ReportSettings, SourceSettings
from fc.config.preview_hooks import rerun_sources, why_not_previewed
from fc.forge.events import Forge, Rerun
from tests.config import test_api
from tests.config.test_api import KEY, Open, push, send, signed
from tests.forge.payloads import (
    GITEA_PULL_REQUEST,
    GITHUB_CHECK_RUN,
    GITHUB_CHECK_SUITE,
    GITHUB_PULL_REQUEST,
    GITLAB_MERGE_REQUEST,
    NEW,
    changed,
    encoded,
)
from tests.support.pull_requests import event, heard, seen

SAID: dict[Forge, tuple[dict[str, Any], str, int, str]] = {
    "github": (GITHUB_PULL_REQUEST, "pull_request", 2, "bob"),
    "gitea": (GITEA_PULL_REQUEST, "pull_request", 7, "alice"),
    "forgejo": (GITEA_PULL_REQUEST, "pull_request", 7, "alice"),
    "gitlab": (GITLAB_MERGE_REQUEST, "Merge Request Hook", 3, "bob"),
}
"""What each forge sends, how it calls that, and whose pull request of which number it is."""
opened = test_api.opened
HEADERS = {"github": "GitHub", "gitea": "Gitea", "forgejo": "Forgejo", "gitlab": "Gitlab"}


APP = AppSettings(4711, 815, "app-key")


def checking(repository: str = "tools/hello", app: AppSettings | None = APP) -> ReportSettings:
    """A report that makes check runs."""
    return ReportSettings(forge="github", repository=repository, app=app)


def report(forge: Forge) -> ReportSettings:
    return ReportSettings(forge=forge, repository="tools/hello")


def headers(forge: Forge, body: bytes) -> dict[str, str]:
    """A good signature, as each forge makes it."""
    made = {
        "Content-Type": "application/json",
        f"X-{HEADERS[forge]}-Event": SAID[forge][1],
        f"X-{HEADERS[forge]}-Delivery": str(uuid.uuid4()),
    }
    digest = hmac.new(KEY.encode(), body, hashlib.sha256).hexdigest()
    if forge == "gitlab":
        return made | {"X-Gitlab-Token": KEY, "Idempotency-Key": str(uuid.uuid4())}
    if forge == "github":
        return made | {"X-Hub-Signature-256": f"sha256={digest}"}
    return made | {f"X-{HEADERS[forge]}-Signature": digest}


async def say(
    client: httpx.AsyncClient, forge: Forge, said: dict[str, Any], name: str | None = None
) -> dict[str, Any]:
    body = encoded(said)
    sent = headers(forge, body) | ({} if name is None else {f"X-{HEADERS[forge]}-Event": name})
    answer = await send(client, body, sent, forge)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize("forge", SAID)
async def test_every_forge_has_its_pull_requests_previewed(
    database: Database, opened: Open, forge: Forge
) -> None:
    said, _, number, author = SAID[forge]
    client = opened(report=report(forge))
    assert (await say(client, forge, said))["status"] == "accepted"
    found = (await seen(database, number)).preview
    assert (found.head_hash, found.status, found.title, found.author) == (
        NEW,
        "pending",
        "Say goodbye",
        author,
    )
    assert found.url is not None
    assert found.url.startswith("https://")
    closing = (
        changed(said, "object_attributes.state", "closed")
        if forge == "gitlab"
        else changed(said, "pull_request.state", "closed")
    )
    assert (await say(client, forge, closing))["detail"] == "the pull request is closed"
    assert (await seen(database, number)).preview.status == "closed"
    again = await say(client, forge, closing)
    assert (again["status"], again["detail"]) == ("ignored", "this pull request is closed")


async def test_a_delivery_that_comes_again_changes_nothing(database: Database, opened: Open) -> None:
    client = opened(report=report("github"))
    body = encoded(GITHUB_PULL_REQUEST)
    sent = headers("github", body)
    assert (await send(client, body, sent, "github")).json()["status"] == "accepted"
    await heard(database, "c" * 40, 2)
    assert (await send(client, body, sent, "github")).json()["status"] == "duplicate"
    assert (await seen(database, 2)).preview.head_hash == "c" * 40


async def test_only_pull_requests_to_the_followed_branch_are_previewed(
    database: Database, opened: Open
) -> None:
    client = opened(report=report("github"))
    elsewhere = changed(GITHUB_PULL_REQUEST, "pull_request.base.ref", "release")
    answer = await say(client, "github", elsewhere)
    assert answer == {
        "status": "ignored",
        "detail": "only pull requests to the branch 'main' are previewed",
    }
    await say(client, "github", GITHUB_PULL_REQUEST)
    answer = await say(client, "github", changed(elsewhere, "action", "edited"))
    assert answer["detail"] == "the pull request does not go to the followed branch any more"
    assert (await seen(database, 2)).preview.status == "closed"


@pytest.mark.parametrize(
    ("name", "said"), [("check_run", GITHUB_CHECK_RUN), ("check_suite", GITHUB_CHECK_SUITE)]
)
async def test_a_check_that_is_wanted_again_has_its_pull_request_planned_again(
    database: Database, opened: Open, name: str, said: dict[str, Any]
) -> None:
    client = opened(report=checking("Tools/Hello"))
    await heard(database, NEW, 2)
    await heard(database, "c" * 40, 3)
    await database.execute("UPDATE config_previews SET status = 'planned', requested_at = NULL")
    answer = await say(client, "github", said, name)
    assert answer == {"status": "accepted", "detail": "the pull request is planned again"}
    rows = await database.fetch("SELECT number, status, requested_at IS NULL FROM config_previews ORDER BY 1")
    assert [tuple(row) for row in rows] == [(2, "pending", False), (3, "planned", True)]
    answer = await say(client, "github", changed(said, f"{name}.head_sha", "e" * 40), name)
    assert answer == {
        "status": "ignored",
        "detail": "no open pull request has this commit as its head",
    }
    await heard(database, NEW, 2, closed=True)
    assert (await say(client, "github", said, name))["status"] == "ignored"
    assert (await seen(database, 2)).preview.status == "closed"


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("check_run.app.id", 4712),
        ("check_run.app", None),
        ("check_run.name", "lint"),
        ("check_run.name", "fc/plan/other"),
        ("repository.full_name", "tools/other"),
        ("action", "completed"),
    ],
)
async def test_checks_that_fc_did_not_make_are_left_alone(
    database: Database, opened: Open, path: str, value: object
) -> None:
    await heard(database, NEW, 2)
    before = await database.fetchrow("SELECT p.*::text FROM config_previews p")
    said = changed(GITHUB_CHECK_RUN, path, value)
    assert (await say(opened(report=checking()), "github", said, "check_run"))["status"] == "ignored"
    assert (await say(opened(report=report("github")), "github", GITHUB_CHECK_RUN, "check_run"))[
        "status"
    ] == "ignored", "without an App it makes none"
    assert await database.fetchrow("SELECT p.*::text FROM config_previews p") == before


async def test_a_check_is_not_made_again_without_a_signature_nor_twice_for_one_delivery(
    database: Database, opened: Open
) -> None:
    client = opened(report=checking())
    await heard(database, NEW, 2)
    body = encoded(GITHUB_CHECK_RUN)
    good = headers("github", body) | {"X-GitHub-Event": "check_run"}
    for wrong in ({"X-Hub-Signature-256": "sha256=" + "0" * 64}, {"X-Hub-Signature-256": ""}):
        assert (await send(client, body, good | wrong, "github")).status_code == 401
    assert await database.fetchval("SELECT reruns FROM config_previews") == 0
    said = [(await send(client, body, good, "github")).json()["status"] for _ in range(2)]
    assert said == ["accepted", "duplicate"]
    assert await database.fetchval("SELECT reruns FROM config_previews") == 1


@pytest.mark.parametrize("forge", ["gitea", "forgejo", "gitlab"])
async def test_other_forges_have_no_checks(database: Database, opened: Open, forge: Forge) -> None:
    await heard(database, NEW, 2)
    answer = await say(opened(report=checking()), forge, GITHUB_CHECK_RUN, "check_run")
    assert answer["status"] == "ignored"
    assert await database.fetchval("SELECT reruns FROM config_previews") == 0


def test_an_app_has_one_hook_for_all_sources_it_reports_for() -> None:
    followed = {
        "default": SourceSettings(report=checking()),
        "team": SourceSettings(report=checking()),
        "elsewhere": SourceSettings(report=checking("tools/other")),
        "quiet": SourceSettings(),
        "status": SourceSettings(report=report("github")),
    }
    one = Rerun(app=4711, name="fc/plan/team", head_sha=NEW, repository="tools/hello")
    assert rerun_sources(one, followed) == ["team"]
    assert rerun_sources(msgspec.structs.replace(one, name=None), followed) == ["default", "team"]
    assert rerun_sources(msgspec.structs.replace(one, app=None), followed) == []


def test_pull_requests_elsewhere_that_an_app_is_told_of_are_not_previewed() -> None:
    said = event("a" * 40)
    assert why_not_previewed(said, SourceSettings(report=checking("OPS/fc"))) is None
    assert "another repository" in (why_not_previewed(said, SourceSettings(report=checking())) or "")


async def test_without_a_forge_in_the_settings_it_is_said_why_not(database: Database, opened: Open) -> None:
    answer = await say(opened(), "github", GITHUB_PULL_REQUEST)
    assert answer["status"] == "ignored"
    assert "its report is not set" in answer["detail"]
    assert await database.fetchval("SELECT count(*) FROM config_previews") == 0


async def test_a_pull_request_without_a_signature_is_refused(database: Database, opened: Open) -> None:
    body = encoded(GITHUB_PULL_REQUEST)
    sent = headers("github", body) | {"X-Hub-Signature-256": "sha256=" + "0" * 64}
    answer = await send(opened(report=report("github")), body, sent, "github")
    assert answer.status_code == 401
    assert await database.fetchval("SELECT count(*) FROM config_previews") == 0


async def test_a_push_to_the_base_has_them_planned_again(database: Database, opened: Open) -> None:
    await heard(database, "c" * 40)
    await database.execute("UPDATE config_previews SET requested_at = NULL, base_hash = $1", "d" * 40)
    body = push()
    assert (await send(opened(), body, signed(body))).json()["status"] == "accepted"
    assert (await seen(database)).preview.requested_at is not None


@pytest.mark.parametrize(
    "title",
    [
        "<script>alert(1)</script>",
        "\x00\x1b[31m\u202eeno",
        "x" * 1_000_000,
        None,
        "'; DROP TABLE config_previews; --",
    ],
)
async def test_a_hostile_title_is_only_a_title(database: Database, opened: Open, title: str | None) -> None:
    said = changed(GITHUB_PULL_REQUEST, "pull_request.title", title)
    said = changed(said, "pull_request.user.login", title or "x")
    said = changed(said, "pull_request.html_url", "javascript:alert(1)")
    said = changed(said, "pull_request.head.ref", "--upload-pack=touch${IFS}x")
    client = opened(report=report("github"))
    body = encoded(said)
    answer = await send(client, body, headers("github", body), "github")
    if answer.status_code == 202:
        found = (await seen(database, 2)).preview
        assert len(found.title or "") <= 300
        assert (found.title or "x").isprintable()
        assert found.url is None
    else:
        # A branch of that name is refused as a whole.
        assert answer.status_code == 400
        assert await database.fetchval("SELECT count(*) FROM config_previews") == 0


async def test_the_api_lists_pull_requests_page_by_page(database: Database, opened: Open) -> None:
    client = opened()
    for number in range(1, 6):
        await heard(database, f"{number}" * 40, number)
    await heard(database, "1" * 40, 1, closed=True)
    path = "/api/v1/configuration/previews"
    answer = await client.get(path, params={"limit": 3})
    assert answer.status_code == 200, answer.text
    first = answer.json()
    second = (await client.get(path, params={"limit": 3, "before": first["next"]})).json()
    assert [one["number"] for one in first["items"] + second["items"]] == [5, 4, 3, 2]
    assert second["next"] is None
    everything = (await client.get(path, params={"closed": True})).json()
    assert [one["number"] for one in everything["items"]] == [5, 4, 3, 2, 1]
    one = (await client.get(f"{path}/default/4")).json()
    assert (one["preview"]["head_hash"], one["changes"], one["errors"]) == ("4" * 40, [], [])
    for wrong in ("default/6", "other/4", f"default/{10**12}", "a%00b/4"):
        assert (await client.get(f"{path}/{wrong}")).status_code == 404


@pytest.mark.parametrize(
    ("forge", "number", "ref", "fits"),
    [
        ("github", 1, "refs/pull/1/head", True),
        ("gitlab", 1, "refs/merge-requests/1/head", True),
        ("gitlab", 1, "refs/pull/1/head", False),
        ("gitea", 2, "refs/pull/1/head", False),
    ],
)
def test_a_forge_of_another_kind_is_not_believed(forge: Forge, number: int, ref: str, *, fits: bool) -> None:
    said = event("a" * 40, number, fetch_ref=ref)
    reason = why_not_previewed(said, SourceSettings(report=report(forge)))
    assert (reason is None) is fits
