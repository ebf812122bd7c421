"""A working copy brought to a state, file by file: ``fcctl export --into``."""

import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

import click

from fc.base.errors import ConflictError
from fc.base.git_worktree import uncommitted_files
from fc.base.settings import Settings
from fc.cli.unified_diff import unified_diff
from fc.cli.working_copy import Edit, WorkingCopy
from fc.config.blobs import blob_id
from fc.config.compile import Compiled, Compiler, ResourceId
from fc.config.errors import ConfigurationError
from fc.config.export import Stored
from fc.config.load import Loader
from fc.config.outside import Surroundings
from fc.config.rewrite import rewrite
from fc.config.tree import SourceFile, SourceTree, read_directory

_MARK = "\ufeff"
_NAMED = 5
_ANY_WRITE = 0o222


async def bring(
    directory: Path,
    stored: Iterable[Stored],
    settings: Settings,
    elsewhere: Collection[ResourceId] = (),
    *,
    force: bool = False,
) -> None:
    """Edit the files below ``directory`` so that they declare ``stored``.

    What an earlier run was interrupted in is finished first.

    Args:
        directory: a working copy, of git or not.
        stored: everything to be declared.
        settings: what reading configuration takes from around it.
        elsewhere: what other sources declare.
        force: edit also files that git could not give back, and files that are read-only.

    Raises:
        ConfigurationError: they have problems as they are.
        RewriteError: something cannot be edited by a program.
        ConflictError: a file is not to be edited, or somebody else edited it meanwhile.
        GitError: git cannot say what is committed.
    """
    copy = WorkingCopy(directory)
    with copy.locked():
        if copy.interrupted:
            finished = copy.finish()
            state = f"finished what was interrupted ({_named(finished)})" if finished else _GIVEN_UP
            click.echo(f"{directory}: {state}", err=True)
        edits = _edits(copy, stored, settings, elsewhere)
        if not force:
            await _require_free(copy, edits)
        copy.write(edits)
    done = f"edited {', '.join(one.path for one in edits)}" if edits else "nothing to change"
    click.echo(f"{directory}: {done}", err=True)


def show_edits(
    directory: Path, stored: Iterable[Stored], settings: Settings, elsewhere: Collection[ResourceId] = ()
) -> None:
    """Print what ``bring`` would edit, as a unified diff; nothing is written.

    Raises:
        ConfigurationError: as of ``bring``, and likewise ``RewriteError``.
        ConflictError: an earlier run was interrupted, and is to be finished first.
    """
    copy = WorkingCopy(directory)
    if copy.interrupted:
        message = f"an export into {directory} was interrupted; run it again without --dry-run, which finishes it first"
        raise ConflictError(message)
    edits = _edits(copy, stored, settings, elsewhere)
    for one in edits:
        click.echo(unified_diff(one.path, one.before, one.after), nl=False)
    if not edits:
        click.echo(f"{directory}: nothing to change", err=True)


_GIVEN_UP = (
    "an export was interrupted here, and files were changed since, so it is not finished but begun anew"
)


def _edits(
    copy: WorkingCopy, stored: Iterable[Stored], settings: Settings, elsewhere: Collection[ResourceId]
) -> list[Edit]:
    """What has to be replaced, by path."""
    tree, contents = read_directory(copy.root)
    loader, compiler = Loader(Surroundings.of(settings)), Compiler()
    loaded = loader.load(tree, contents)
    compiled = compiler.compile(loaded.fragments, loaded.problems, elsewhere)
    if compiled.problems:
        raise ConfigurationError(compiled.problems)
    before = {one.path: contents[one.blob] for one in tree.files}
    texts = {path: data.decode("utf-8").removeprefix(_MARK) for path, data in before.items()}

    def compile_texts(changed: Mapping[str, str]) -> Compiled:
        held = dict(contents)
        files = []
        for path, text in sorted(changed.items()):
            data = text.encode()
            files.append(SourceFile(path, blob_id(data)))
            held[files[-1].blob] = data
        again = loader.load(SourceTree(tuple(files), (), tree.locate), held)
        return compiler.compile(again.fragments, again.problems, elsewhere)

    made = rewrite(texts, stored, compile_texts)
    edits = []
    for path, text in sorted(made.items()):
        if texts.get(path) != text:
            mark = _MARK if before.get(path, b"").startswith(_MARK.encode()) else ""
            after = (mark + text).encode() if text.strip() else None
            edits.append(Edit(copy.place(path), before.get(path), after))
    return edits


async def _require_free(copy: WorkingCopy, edits: Sequence[Edit]) -> None:
    """Refuse to edit what cannot be had back, or what somebody protects."""
    files = {copy.root / one.path: one.path for one in edits}
    dirty = [files[one] for one in await uncommitted_files(files)]
    if dirty:
        message = (
            f"{_named(dirty)} would be edited and {'has' if len(dirty) == 1 else 'have'} changes that are not committed; "
            "nothing was written: commit or put them aside, or give --force"
        )
        raise ConflictError(message)
    locked = [
        path
        for file, path in files.items()
        if os.path.lexists(file) and not file.lstat().st_mode & _ANY_WRITE
    ]
    if locked:
        message = f"{_named(locked)} would be edited and {'is' if len(locked) == 1 else 'are'} read-only; nothing was written: give --force if it is meant"
        raise ConflictError(message)


def _named(paths: Sequence[str]) -> str:
    """Paths for people; of many the first."""
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return ", ".join(paths[:_NAMED]) + more
