"""One synchronisation of a project's own file: as of any source, within what its project delegates."""

from dataclasses import replace

import structlog
from typing_extensions import override

from fc.base.database import Database
from fc.base.durations import Duration
from fc.base.errors import GitError, InvalidInputError
from fc.base.git import GitMirror
from fc.base.problems import sorted_problems
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.base.source_settings import SourceSettings
from fc.config import sources
from fc.config.compile import Compiled
from fc.config.delegated import POLL_SECONDS, DueFile, note_branch, place_of, postpone
from fc.config.delegation import beyond_delegation
from fc.config.elsewhere import compile_among_others
from fc.config.load import most_problems
from fc.config.project_file import FILE, compile_file, read_file
from fc.config.sync import Synchronizer

_FETCH_SECONDS = 120.0
"""A repository that takes longer makes others wait."""
_HEAD = "HEAD"
_LONGEST_BRANCH = 255

log = structlog.get_logger(__name__)


class FileSynchronizer(Synchronizer):
    """Follows the default branch of a project's repository, once."""

    def __init__(self, settings: Settings, database: Database, due: DueFile) -> None:
        """Nothing is fetched yet.

        Raises:
            InvalidInputError: the project's URL is no repository URL.
        """
        key = settings.configuration.deploy_key
        configured = SourceSettings(
            url=due.repository_url,
            branch=_HEAD,
            path=FILE,
            poll_interval=Duration(POLL_SECONDS),
            deploy_key=key,
        )
        # A file has no secrets, so none are looked up.
        super().__init__(settings, database, Secrets(None), due.claim.source, configured)
        self._due = due
        self._mirror = GitMirror(
            settings.data_dir / "git", due.repository_url, key, fetch_seconds=_FETCH_SECONDS
        )

    @override
    async def _synchronize(self, held: sources.Claim, started: float) -> None:
        last = self._due.last_commit
        if self._due.settled and last is not None and await self._stands_at(last):
            await sources.finish_synced(self._database, held, last, self._poll)
            return
        await super()._synchronize(held, started)

    async def _stands_at(self, commit: str) -> bool:
        try:
            return await self._mirror.ls_remote(_HEAD) == commit
        except GitError:
            # Fetching will say what is wrong.
            return False

    @override
    async def _compile(self, commit: str) -> Compiled:
        """What the file declares at ``commit``, with everything that its project does not allow as a problem."""
        due = self._due
        fragment = await read_file(self._mirror, commit)
        branch = await self._mirror.default_branch()
        if branch is not None and branch != due.branch:
            await note_branch(self._database, due, branch[:_LONGEST_BRANCH])
        compiled = await compile_among_others(
            self._database, self._name, lambda others: compile_file(fragment, due.project, others)
        )
        beyond = beyond_delegation(
            compiled.resources,
            due.delegate,
            due.repository_url,
            await place_of(self._database, due.project),
        )
        problems = most_problems(FILE, sorted_problems([*compiled.problems, *beyond]))
        return replace(compiled, problems=problems)


async def synchronize_file(settings: Settings, database: Database, due: DueFile) -> None:
    """Synchronise the file that was claimed. Whatever goes wrong is recorded there, and ends nothing else."""
    try:
        try:
            synchronizer = FileSynchronizer(settings, database, due)
        except InvalidInputError as error:
            await sources.finish_failed(database, due.claim, str(error), retry_seconds=float(POLL_SECONDS))
            return
        await synchronizer.follow(due.claim)
    except Exception as error:
        log.exception("a project's own file cannot be synchronised", source=due.claim.source)
        await postpone(database, due, f"{type(error).__name__}: {error}")
