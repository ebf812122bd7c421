"""What a forge's word about a pull request leads to: which are previewed, and why others are not."""

from collections.abc import Mapping

import asyncpg

from fc.base.source_settings import PLAN_CHECK, SourceSettings, named_for
from fc.config.previewing import fetch_ref
from fc.config.previews import forget_pull_request, note_pull_request, rerun
from fc.forge.events import PullRequest, Rerun


def why_not_previewed(event: PullRequest, configured: SourceSettings) -> str | None:
    """Why a pull request is of no interest whatever is known of it; none: it may be. Pure."""
    report = configured.report
    if report is None:
        return "pull requests of this source are not previewed: its report is not set"
    if event.fetch_ref != fetch_ref(report.forge, event.number):
        return f"the source is on a forge of another kind, {report.forge}"
    if report.app is not None and not _same(event.repository, report.repository):
        # An App has one hook for all repositories it is installed on.
        return f"the source is in another repository, {report.repository}"
    return None


def rerun_sources(event: Rerun, followed: Mapping[str, SourceSettings]) -> list[str]:
    """Sources of which FC made the check that somebody wants again. Pure.

    An App has one hook, whichever source that is the hook of: so every source that the App reports for is looked at.
    """
    return [
        name
        for name, source in followed.items()
        if (report := source.report) is not None
        and report.forge == "github"
        and report.app is not None
        and report.app.id == event.app
        and _same(report.repository, event.repository)
        and event.name in {None, named_for(PLAN_CHECK, name)}
    ]


async def take_pull_request(
    connection: asyncpg.Connection, source: str, configured: SourceSettings, event: PullRequest
) -> tuple[bool, str]:
    """Note what a forge says about a pull request.

    Args:
        connection: in the transaction that logs the delivery.
        source: its name.
        configured: its settings.
        event: one that ``why_not_previewed`` has nothing against.

    Returns:
        Whether anything is done, and what, or why not.
    """
    if event.base_ref != configured.branch.removeprefix("refs/heads/"):
        # It may have gone to the followed branch before.
        if await forget_pull_request(connection, source, event.number):
            return True, "the pull request does not go to the followed branch any more"
        return False, f"only pull requests to the branch {configured.branch!r} are previewed"
    reason = await note_pull_request(connection, source, event)
    if reason is not None:
        return False, reason
    return True, "the pull request is closed" if event.closed else "the pull request is previewed"


async def take_rerun(connection: asyncpg.Connection, sources: list[str], event: Rerun) -> tuple[bool, str]:
    """Have what ``rerun_sources`` found made again; arguments and answer as of ``take_pull_request``."""
    if await rerun(connection, sources, event.head_sha):
        return True, "the pull request is planned again"
    return False, "no open pull request has this commit as its head"


def _same(one: str, other: str) -> bool:
    """Whether two names are of one repository; GitHub does not tell capitals from small letters."""
    return one.casefold() == other.casefold()
