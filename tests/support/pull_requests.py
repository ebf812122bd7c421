"""Pull requests for tests: offered as a forge does, with refs of its own in the repository they go to."""

from collections.abc import Mapping

import msgspec

from fc.base.database import Database
from fc.base.durations import Duration
from fc.base.settings import Settings
from fc.base.source_settings import ConfigurationSettings, ReportSettings
from fc.config.previews import note_pull_request
from fc.forge.events import Forge, PullRequest
from fc.tables.preview_queries import PreviewDetail, config_preview
from tests.support.repository import Repository


def offer(
    repository: Repository,
    files: Mapping[str, str | bytes | None],
    number: int = 1,
    *,
    start: str = "main",
    ref: str = "refs/pull/{}/head",
) -> str:
    """Offer a commit on top of ``start``; its hash. The branches stay as they are."""
    repository.git("checkout", "--quiet", "--detach", start)
    commit = repository.commit(files, f"Offer {number}")
    repository.git("update-ref", ref.format(number), commit)
    repository.git("checkout", "--quiet", "main")
    return commit


def previewing(
    settings: Settings, repository: Repository, forge: Forge = "github", **changes: object
) -> Settings:
    """Settings with one source whose pull requests are previewed."""
    configured = ConfigurationSettings(
        url=repository.url,
        poll_interval=Duration(3600),
        report=ReportSettings(forge=forge, repository="ops/fc"),
    )
    changed = msgspec.structs.replace(configured, **changes)
    return msgspec.structs.replace(settings, configuration=changed)


def event(head: str, number: int = 1, **changes: object) -> PullRequest:
    """What a forge says of a pull request to ``main``."""
    said = PullRequest(
        number=number,
        action="opened",
        head_sha=head,
        head_ref="topic",
        base_ref="main",
        repository="ops/fc",
        clone_urls=(),
        head_repository="mallory/fc",
        is_fork=True,
        fetch_ref=f"refs/pull/{number}/head",
        closed=False,
        merged=False,
        title="Say goodbye",
        author="mallory",
        url=f"https://github.com/ops/fc/pull/{number}",
    )
    return msgspec.structs.replace(said, **changes)


async def heard(database: Database, head: str, number: int = 1, **changes: object) -> str | None:
    """Have a pull request noted."""
    async with database.transaction() as connection:
        return await note_pull_request(connection, "default", event(head, number, **changes))


async def seen(database: Database, number: int = 1) -> PreviewDetail:
    """The preview of a pull request."""
    found = await config_preview(database, "default", number)
    assert found is not None
    return found
