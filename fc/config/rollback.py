"""Rolling back: an earlier revision's state, compiled anew, to be planned and applied as any other."""

import uuid
from collections.abc import Callable, Collection
from dataclasses import replace

from fc.base.database import Database
from fc.base.git import CommitInfo
from fc.config.apply import Applied, apply_within
from fc.config.compile import Compiled, compile_fragments
from fc.config.delegated import is_project_file, project_of
from fc.config.errors import ConfigurationError
from fc.config.export import export_files
from fc.config.history import Rebuilt
from fc.config.inventory import Origin
from fc.config.language import Fields
from fc.config.load import read_fragment
from fc.config.nodes import compose
from fc.config.pauses import pin
from fc.config.project_file import FILE, check_file, compile_file
from fc.config.sealing import seal


def recompile(rebuilt: Rebuilt, reveal: Callable[[Fields], str]) -> Compiled:
    """The configuration of an earlier revision, checked by the language of today.

    Fields the language has learned since get their defaults. Secrets are known by name alone, so those that rows
    hold the hash of have the values of today.

    Args:
        rebuilt: the state.
        reveal: value behind a reference to a secret; raises ``SecretMissingError``.

    Raises:
        ConfigurationError: what was right then is not any more; places are those of the state's own export.
        EncryptedError: a secret stood encrypted in git, not by its name.
    """
    files = export_files(rebuilt.resources)
    if is_project_file(rebuilt.source):
        composed = compose(FILE, files.get(FILE, "").encode())
        compiled = compile_file(check_file(composed, "", {}, {}), project_of(rebuilt.source))
    else:
        compiled = compile_fragments(read_fragment(file, "", text.encode()) for file, text in files.items())
    if not compiled.problems:
        compiled = seal(compiled, reveal)
    if compiled.problems:
        raise ConfigurationError(compiled.problems)
    places = {(one.kind, one.key): (one.file, one.line) for one in rebuilt.resources}
    resources = {
        key: replace(one, file=places[key][0], line=places[key][1], column=1)
        for key, one in compiled.resources.items()
    }
    return Compiled(resources, ())


async def roll_back(
    database: Database,
    rebuilt: Rebuilt,
    compiled: Compiled,
    *,
    digest: str,
    reason: str,
    by: str,
    confirmed: Collection[str] = (),
) -> tuple[Applied, bool]:
    """Put an earlier state back and pin its source to it, in one transaction; and whether there was one to pin.

    Args:
        database: where.
        rebuilt: the state.
        compiled: what ``recompile`` made of it.
        digest: of the plan that was shown.
        reason: why, for whoever wonders.
        by: who, such as ``cli:ada``.
        confirmed: digests of plans that were confirmed though they remove much.

    Raises:
        PlanChangedError: the plan is not the one that was shown.
        PlanHeldError: it removes so much that it has to be confirmed, and was not.
        ConfigurationError: it would take over rows that git does not own.
    """
    origin = Origin(rebuilt.source, _described(rebuilt.commit, rebuilt.revision, reason))
    async with database.transaction() as connection:
        # First the source, as every synchronisation does, so that neither waits for the other in a circle.
        pinned = await pin(connection, rebuilt.source, reason=reason, by=by, revision=rebuilt.revision)
        applied = await apply_within(
            connection, origin, compiled.resources, expected_digest=digest, confirmed=confirmed
        )
    return applied, pinned


def _described(commit: CommitInfo | None, revision: uuid.UUID, reason: str) -> CommitInfo | None:
    """The commit whose state is put back, as the history is to show it."""
    if commit is None:
        return None
    return CommitInfo(
        commit.hash, commit.author, f"Rolled back to {str(revision)[:8]}: {reason}", commit.committed_at
    )
