"""One preview: from the head of a pull request to what merging it would change."""

import posixpath
from collections.abc import Iterable

from fc.base.database import Database
from fc.base.errors import ConflictError, GitError, InvalidInputError
from fc.base.git_merge import Merged, MergingMirror, MovedLines
from fc.base.problems import Problem
from fc.base.settings import Settings
from fc.config.compile import Compiled, Compiler
from fc.config.diff import Action
from fc.config.elsewhere import compile_among_others
from fc.config.errors import ConfigurationError
from fc.config.load import Loader
from fc.config.outside import Surroundings
from fc.config.preview_plan import Planned, plan_merge, plan_row
from fc.config.previews import Outcome
from fc.config.scopes import within
from fc.forge.events import Forge

MOST_ERRORS = 500
"""Errors of one pull request that are kept and shown."""
_SHOWN = 5


class PullRequestGoneError(ConflictError):
    """It was merged, or is not there any more."""

    code = "pull_request_gone"


def fetch_ref(forge: Forge, number: int) -> str:
    """What to fetch to get the head of a pull request, forks included."""
    return f"refs/merge-requests/{number}/head" if forge == "gitlab" else f"refs/pull/{number}/head"


class Previewer:
    """Previews the pull requests of one configuration repository.

    What strangers write is read without any variable of the service and without any secret, so no preview can tell
    them what it is, whether it is there, or whether it is the same as another.
    """

    def __init__(self, settings: Settings, database: Database, name: str) -> None:
        """Nothing is fetched yet.

        Args:
            settings: of the service; the source has a forge in them.
            database: what the plans are compared with; only read.
            name: of the source.

        Raises:
            InvalidInputError: its URL is no repository URL.
        """
        configured = settings.configuration.followed[name]
        assert configured.url is not None
        assert configured.report is not None
        self._name = name
        self._configured = configured
        self._forge: Forge = configured.report.forge
        self._database = database
        # Not where synchronisations fetch to: what strangers offer never lies beside what is applied.
        self.mirror = MergingMirror(
            settings.data_dir / "git" / "previews", configured.url, configured.deploy_key
        )
        self.loader = Loader(Surroundings.hidden(settings))
        self._compiler = Compiler()
        self._top = posixpath.normpath(configured.path).strip("/")

    async def preview(self, number: int) -> Outcome:
        """What merging pull request ``number`` would do now.

        Raises:
            PullRequestGoneError: it was merged, or is not there any more.
            GitError: the repository cannot be reached.
        """
        fetched = await self.mirror.fetch_both(self._configured.branch, fetch_ref(self._forge, number))
        base, head = fetched.base, fetched.head
        if head is None:
            message = "the forge does not have it any more"
            raise PullRequestGoneError(message)
        if await self.mirror.contains(base, head):
            message = "it was merged"
            raise PullRequestGoneError(message)
        try:
            merged = await self.mirror.merge(base, head)
            if merged.tree is None:
                return self._unmerged(merged, base, head)
            return await self._plan(base, head, merged.tree)
        except ConfigurationError as error:
            return await self._wrong(error.problems, base, head, merged.tree)
        except (GitError, InvalidInputError) as error:
            # It was fetched, so it is about what stands in it.
            return Outcome("failed", str(error), head, base)

    async def _plan(self, base: str, head: str, tree: str) -> Outcome:
        before = await self._compile(base)
        after = await self._compile(tree)
        if after.problems:
            raise ConfigurationError(after.problems)
        planned = await plan_merge(self._database, self._name, after.resources, before.resources)
        plan = plan_row(planned)
        moved = await self._moved_files({one["file"] for one in plan["changes"]}, head, tree)
        for one in plan["changes"]:
            if one["action"] != "delete" and one["file"] in moved:
                one["line"] = moved[one["file"]].before(one["line"]) or 1
        status = "held" if planned.reasons else "planned"
        return Outcome(status, _in_words(planned), head, base, planned.revision, plan)

    async def _compile(self, tree: str) -> Compiled:
        loaded = await self.loader.load_commit(self.mirror, tree, self._configured.path)
        compiled = await compile_among_others(
            self._database,
            self._name,
            lambda others: self._compiler.compile(loaded.fragments, loaded.problems, others),
        )
        return within(compiled, self._configured.scope)

    def _unmerged(self, merged: Merged, base: str, head: str) -> Outcome:
        branch = self._configured.branch
        if not merged.conflicts:
            return Outcome("failed", f"it cannot be merged into {branch}: {merged.message}", head, base)
        paths = [posixpath.relpath(one, self._top or ".") for one in merged.conflicts]
        files = [one if one.isprintable() else repr(one) for one in paths]
        rest = len(files) - _SHOWN
        named = ", ".join(files[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
        errors = tuple(Problem(file, 1, 1, f"conflicts with {branch}") for file in files)
        return Outcome(
            "failed", f"it conflicts with {branch} in {named}; rebase it", head, base, errors=errors
        )

    async def _wrong(self, found: tuple[Problem, ...], base: str, head: str, tree: str | None) -> Outcome:
        assert tree is not None
        kept = found[:MOST_ERRORS]
        moved = await self._moved_files({problem.file for problem in kept}, head, tree)
        problems = tuple(_moved(problem, moved.get(problem.file)) for problem in kept)
        count = len(found)
        noun = "problem" if count == 1 else "problems"
        message = f"the configuration would have {count} {noun}: {problems[0]}"
        return Outcome("failed", message, head, base, errors=problems)

    async def _moved_files(self, files: Iterable[str], head: str, tree: str) -> dict[str, MovedLines]:
        """Those of ``files`` whose lines stand elsewhere in the head than in the merged tree."""
        prefix = "" if self._top in {"", "."} else f"{self._top}/"
        heads = {one.path: one.blob for one in await self.mirror.tree(head)}
        merges = {one.path: one.blob for one in await self.mirror.tree(tree)}
        moved: dict[str, MovedLines] = {}
        for file in files:
            old, new = heads.get(f"{prefix}{file}"), merges.get(f"{prefix}{file}")
            if old is not None and new is not None and old != new:
                moved[file] = await self.mirror.moved_lines(old, new)
        return moved


def _moved(problem: Problem, moved: MovedLines | None) -> Problem:
    if moved is None:
        return problem
    line = moved.before(problem.line)
    if line is None:
        # It stands in what the branch brought in since, so the head has no such line.
        return Problem(problem.file, 1, 1, f"{problem.message} (line {problem.line} after the merge)")
    return Problem(problem.file, line, problem.column, problem.message)


def _in_words(planned: Planned) -> str:
    if planned.reasons:
        return f"the plan would be held: {'; '.join(planned.reasons)}"
    counted = planned.plan.summary
    if not planned.plan.changes:
        return "nothing would change"
    words: tuple[tuple[Action, str], ...] = (
        ("create", "create"),
        ("update", "update"),
        ("delete", "remove"),
        ("rename", "rename"),
        ("adopt", "adopt"),
    )
    return ", ".join(f"{counted[name]} to {word}" for name, word in words if counted.get(name))
