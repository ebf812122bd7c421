"""What a forge says of a pull request, against what hooks said."""

from typing import Any

import pytest

from fc.base.database import Database
from fc.forge.pull_requests import PullRequestState
from fc.report.looks import claim_look, find, note
from tests.report.configuration_rows import HEAD, preview

OPEN = PullRequestState(closed=False, base_ref="main", head_sha=HEAD)


async def old(database: Database, number: int = 7, minutes: int = 20, **columns: Any) -> None:
    """A pull request of which nothing was heard for a while."""
    await preview(database, number, **{"status": "planned"} | columns)
    await database.execute(
        "UPDATE config_previews SET looked_at = now() - make_interval(mins => $2), requested_at = NULL WHERE number = $1",
        number,
        minutes,
    )


@pytest.mark.parametrize(
    ("state", "finding"),
    [
        (OPEN, None),
        (PullRequestState(closed=False, base_ref="", head_sha=None), None),
        (PullRequestState(closed=False, base_ref="main", head_sha="e" * 40), "moved"),
        (PullRequestState(closed=False, base_ref="release", head_sha=HEAD), "elsewhere"),
        (PullRequestState(closed=True, base_ref="release", head_sha="e" * 40), "closed"),
    ],
)
def test_what_no_hook_said_is_found(state: PullRequestState, finding: str | None) -> None:
    assert find(state, "main", HEAD) == finding
    assert find(state, "refs/heads/main", HEAD) == finding


async def test_only_open_ones_that_were_not_looked_at_lately_are_claimed_longest_first(
    database: Database,
) -> None:
    await old(database, 1, 20)
    await old(database, 2, 30)
    await old(database, 3, 14)
    await old(database, 4, 40, status="closed")
    await old(database, 5, 40, source="other")
    await preview(database, 6)
    claimed = [await claim_look(database, "default") for _ in range(3)]
    assert [None if one is None else one.number for one in claimed] == [2, 1, None]


async def test_what_was_found_closed_is_not_asked_about_again(database: Database) -> None:
    await old(database)
    look = await claim_look(database, "default")
    assert look is not None
    assert await note(database, look, "closed")
    await database.execute("UPDATE config_previews SET looked_at = now() - interval '1 day'")
    assert await claim_look(database, "default") is None


@pytest.mark.parametrize("finding", ["closed", "elsewhere", "moved"])
async def test_what_a_hook_said_meanwhile_is_newer(database: Database, finding: str) -> None:
    await old(database)
    look = await claim_look(database, "default")
    assert look is not None
    await database.execute("UPDATE config_previews SET looked_at = clock_timestamp()")
    before = await database.fetchval("SELECT p::text FROM config_previews p")
    assert not await note(database, look, finding)  # type: ignore[arg-type]  # one of its words
    assert await database.fetchval("SELECT p::text FROM config_previews p") == before


async def test_new_commits_are_planned_once(database: Database) -> None:
    await old(database)
    look = await claim_look(database, "default")
    assert look is not None
    assert await note(database, look, "moved")
    requested = await database.fetchval("SELECT requested_at FROM config_previews")
    assert requested is not None
    assert not await note(database, look, "moved"), "it waits already"
    assert await database.fetchval("SELECT requested_at FROM config_previews") == requested
