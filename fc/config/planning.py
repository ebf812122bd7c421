"""What a tree of files would change, for who asks without applying it: reads, and stores nothing."""

import posixpath
from collections.abc import Mapping

from fc.base.database import Database
from fc.base.errors import InvalidInputError, NotFoundError
from fc.base.git import TreeEntry
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.base.source_settings import DEFAULT_SOURCE
from fc.config.apply import make_guarded_plan
from fc.config.blobs import blob_id
from fc.config.compile import Compiled, Compiler
from fc.config.elsewhere import compile_among_others
from fc.config.errors import ConfigurationError
from fc.config.included import locate_in_commit
from fc.config.language import KIND_BY_NAME
from fc.config.load import Loaded
from fc.config.plan_view import PlanView, view
from fc.config.scopes import within
from fc.config.sealing import seal
from fc.config.tree import MAX_FILES, MAX_TOTAL_BYTES, SourceFile, SourceTree

_SUFFIXES = (".yaml", ".yml")
_LONGEST_PATH = 1024
_SHOWN = 80


async def plan_loaded(
    database: Database, settings: Settings, secrets: Secrets, source: str, loaded: Loaded
) -> PlanView:
    """What applying a tree as ``source`` would do now.

    Raises:
        ConfigurationError: it has problems.
        NotFoundError: the settings have no such source.
    """
    compiled = await compile_as(database, settings, secrets, source, loaded)
    plan, reasons = await make_guarded_plan(database, source, compiled.resources)
    return view(plan, reasons)


async def compile_as(
    database: Database, settings: Settings, secrets: Secrets, source: str, loaded: Loaded
) -> Compiled:
    """A tree as ``source`` may declare it, sealed.

    Raises:
        ConfigurationError: it has problems.
        NotFoundError: the settings have no such source.
    """
    compiled = await _compiled(database, settings, source, loaded)
    if not compiled.problems:
        compiled = seal(compiled, secrets.reveal)
    if compiled.problems:
        raise ConfigurationError(compiled.problems)
    return compiled


def without_guesses(plan: PlanView) -> PlanView:
    """``plan`` without its digest, if hashes of secrets are part of that. Pure.

    Who has the digest could try guesses at a secret without asking anybody. Such a plan is confirmed by the digest
    that the service itself shows once it is held.
    """
    sealed = any(KIND_BY_NAME[change.kind].sealed is not None for change in plan.changes)
    return PlanView("", plan.held, plan.summary, plan.changes) if sealed else plan


def tree_of(files: Mapping[str, bytes]) -> tuple[SourceTree, dict[str, bytes]]:
    """The tree that ``files`` make, by path, and their contents by blob. Touches no disk. Pure.

    Raises:
        InvalidInputError: a path is not what a tree has, or there is too much.
    """
    if len(files) > MAX_FILES or sum(map(len, files.values())) > MAX_TOTAL_BYTES:
        message = f"the configuration has more than {MAX_FILES} files or {MAX_TOTAL_BYTES} bytes"
        raise InvalidInputError(message)
    contents: dict[str, bytes] = {}
    entries: dict[str, TreeEntry] = {}
    for path, data in files.items():
        wrong = _wrong(path)
        if wrong:
            message = f"the path {path[:_SHOWN]!r} {wrong}"
            raise InvalidInputError(message)
        blob = blob_id(data)
        contents[blob] = data
        entries[path] = TreeEntry(path, blob, "100644", len(data))
    read = tuple(SourceFile(path, entries[path].blob) for path in sorted(files) if path.endswith(_SUFFIXES))
    return SourceTree(read, (), locate_in_commit(entries)), contents


def _wrong(path: str) -> str:
    """What is wrong with a path; empty: nothing."""
    if len(path) > _LONGEST_PATH:
        return f"has more than {_LONGEST_PATH} characters"
    if not path or not path.isprintable() or "\\" in path:
        return "is empty or has characters that no path in a tree has"
    if (
        path.startswith("/")
        or posixpath.normpath(path) != path
        or path.split("/", maxsplit=1)[0] in {".", ".."}
    ):
        return "is not one below the directory"
    return "is hidden: what begins with a dot is left out" if "/." in f"/{path}" else ""


async def _compiled(database: Database, settings: Settings, source: str, loaded: Loaded) -> Compiled:
    followed = settings.configuration.followed
    if source not in followed and source != DEFAULT_SOURCE:
        what = "configuration source"
        raise NotFoundError(what, source[:_SHOWN])
    compiled = await compile_among_others(
        database,
        source,
        lambda others: Compiler().compile(loaded.fragments, loaded.problems, others),
    )
    return within(compiled, followed[source].scope if source in followed else ())
