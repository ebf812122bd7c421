"""Badges: by the newest evaluation of the branch, never by a pull request."""

import pytest
from litestar import Litestar
from litestar.testing import AsyncTestClient

from fc.base.database import Database
from fc.web.badge import draw
from tests.support.built import add_evaluation, add_jobset

Client = AsyncTestClient[Litestar]
PATH = "/projects/hello/jobsets/main/badge.svg"


@pytest.mark.parametrize(
    ("builds", "word"),
    [
        ([], "no jobs"),
        (["succeeded", "succeeded"], "succeeded"),
        (["succeeded", "cached_failure"], "1 failed"),
        (["succeeded", "dependency_failed", "failed"], "2 failed"),
        (["succeeded", "running"], "building"),
    ],
)
async def test_a_badge_shows_the_newest_evaluation(
    client: Client, database: Database, builds: list[str], word: str
) -> None:
    jobset = await add_jobset(database)
    await add_evaluation(database, jobset, 1, ["failed"])
    await add_evaluation(database, jobset, 2, builds)
    await add_evaluation(database, jobset, 3, ["failed"] * 9, pr_number=7)
    answer = await client.get(PATH)
    assert answer.headers["content-type"] == "image/svg+xml"
    assert f"<title>main: {word}</title>" in answer.text


async def test_a_jobset_that_was_never_evaluated_has_a_badge_too(client: Client, database: Database) -> None:
    await add_jobset(database)
    answer = await client.get(PATH)
    assert "<title>main: never evaluated</title>" in answer.text
    again = await client.get(PATH, headers={"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


def test_a_badge_is_as_wide_as_its_words() -> None:
    assert 'width="64"' not in draw("a long name of a jobset", "12 failed", "bad")
    assert "…" in draw("x" * 200, "12 failed", "bad")
    assert "&lt;b&gt;" in draw("<b>", "ok", "good")
