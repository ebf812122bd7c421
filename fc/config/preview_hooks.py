"""What a forge's word about a pull request leads to: which are previewed, and why others are not."""

import asyncpg

from fc.base.source_settings import SourceSettings
from fc.config.previewing import fetch_ref
from fc.config.previews import forget_pull_request, note_pull_request
from fc.forge.events import PullRequest


def why_not_previewed(event: PullRequest, configured: SourceSettings) -> str | None:
    """Why a pull request is of no interest whatever is known of it; none: it may be. Pure."""
    if configured.report is None:
        return "pull requests of this source are not previewed: its report is not set"
    if event.fetch_ref != fetch_ref(configured.report.forge, event.number):
        return f"the source is on a forge of another kind, {configured.report.forge}"
    return None


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
