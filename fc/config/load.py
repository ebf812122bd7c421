"""From a tree of YAML files to what each file declares. What was read before is not parsed again."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from fc.base.collecting import in_batches, uncollected
from fc.base.git import GitMirror
from fc.base.problems import Problem, sorted_problems
from fc.config import sops
from fc.config.declared import Fragment
from fc.config.included import Located, locate_nothing
from fc.config.nodes import MAX_PROBLEMS, Composed, compose
from fc.config.outside import Surroundings, fill, wanted_files
from fc.config.shapes import check_document
from fc.config.tree import MAX_TOTAL_BYTES, SourceFile, SourceTree, read_commit, read_directory
from fc.config.values import Reading

_BATCH_BYTES = 256 * 1024
"""Of YAML that is read without a search for cycles; a tenth of a second or two."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A whole tree, read: what its files declare, and what is wrong with the tree itself."""

    fragments: tuple[Fragment, ...]
    """By path; each has its own problems."""
    problems: tuple[Problem, ...]
    """Links that lead out, and files that cannot be read."""

    @property
    def settled(self) -> bool:
        """Whether reading the same tree again would give the same."""
        return all(one.settled for one in self.fragments)


class _Draft(NamedTuple):
    """A file that was parsed and not checked yet."""

    source: SourceFile
    composed: Composed
    included: dict[str, Located]
    """Files it takes in, by their paths."""


class Loader:
    """Reads trees, and remembers what each blob declared as long as it is part of the tree."""

    def __init__(self, surroundings: Surroundings | None = None) -> None:
        """``surroundings``: what ``!env`` may take; none: nothing."""
        self._surroundings = surroundings or Surroundings()
        self._fragments: dict[tuple[str, str], Fragment] = {}
        self.parsed = 0
        """How many files were parsed so far."""

    def load_directory(self, directory: Path) -> Loaded:
        """Every YAML file below ``directory``.

        Raises:
            InvalidInputError: there is no such directory, or it holds too much.
        """
        return self.load(*read_directory(directory))

    def load(self, tree: SourceTree, contents: dict[str, bytes]) -> Loaded:
        """Every YAML file of ``tree``; ``contents``: by blob, of these and of what ``tree`` locates, once it did."""
        return self._finish(tree, self._drafts(tree, contents), contents)

    async def load_commit(self, mirror: GitMirror, commit: str, path: str) -> Loaded:
        """Every YAML file at and below ``path`` in a commit that was fetched, without a checkout.

        Raises:
            GitError: the commit or the path is not there.
            InvalidInputError: it holds too much.
        """
        tree = await read_commit(mirror, commit, path)
        missing = [one.blob for one in tree.files if self._known(tree, one) is None]
        contents = dict(await mirror.blobs(missing, limit=MAX_TOTAL_BYTES))
        # Parsing a large tree takes a while; the loop of events goes on meanwhile.
        drafts = await asyncio.to_thread(self._drafts, tree, contents)
        included = {one.blob for draft in drafts for one in draft.included.values() if one.blob}
        contents.update(await mirror.blobs(included - contents.keys(), limit=MAX_TOTAL_BYTES))
        return await asyncio.to_thread(self._finish, tree, drafts, contents)

    def _known(self, tree: SourceTree, one: SourceFile) -> Fragment | None:
        """What a file declared before, if neither it nor what it takes in has changed."""
        known = self._fragments.get((one.path, one.blob))
        if (
            known is None
            or not known.settled
            or any(tree.locate(path) != located for path, located in known.included.items())
        ):
            return None
        return known

    def _drafts(self, tree: SourceTree, contents: Mapping[str, bytes]) -> list[_Draft]:
        """The files that are not known, parsed."""
        drafts = []
        missing = (one for one in tree.files if self._known(tree, one) is None)
        for batch in in_batches(missing, _BATCH_BYTES, lambda one: len(contents[one.blob])):
            with uncollected():
                for one in batch:
                    self.parsed += 1
                    composed = compose(one.path, contents[one.blob])
                    wanted = wanted_files(one.path, composed.tagged)
                    drafts.append(_Draft(one, composed, {path: tree.locate(path) for path in wanted}))
        return drafts

    def _finish(self, tree: SourceTree, drafts: list[_Draft], contents: Mapping[str, bytes]) -> Loaded:
        new = {}
        for batch in in_batches(drafts, _BATCH_BYTES, lambda one: len(contents[one.source.blob])):
            with uncollected():
                for one in batch:
                    new[one.source.path, one.source.blob] = _checked(one, self._surroundings, contents)
        self._fragments = {
            (one.path, one.blob): new.get((one.path, one.blob)) or self._fragments[one.path, one.blob]
            for one in tree.files
        }
        return Loaded(tuple(self._fragments.values()), tree.problems)


def read_fragment(file: str, blob: str, data: bytes, surroundings: Surroundings | None = None) -> Fragment:
    """What the contents of one file on its own declare. Never raises, whatever ``data`` is."""
    composed = compose(file, data)
    included = {path: locate_nothing(path) for path in wanted_files(file, composed.tagged)}
    return _checked(_Draft(SourceFile(file, blob), composed, included), surroundings or Surroundings(), {})


def _checked(draft: _Draft, surroundings: Surroundings, contents: Mapping[str, bytes]) -> Fragment:
    file = draft.source.path
    reading = Reading(file)
    if file.endswith(sops.SUFFIXES) and draft.composed.whole:
        sops.open_file(
            draft.composed.documents, reading, surroundings.decryptor, form_only=surroundings.form_only
        )
    fill(draft.composed.tagged, reading, surroundings, draft.included, contents)
    documents = tuple(check_document(node, reading) for node in draft.composed.documents)
    found = most_problems(file, [*draft.composed.problems, *reading.problems])
    return Fragment(
        file, draft.source.blob, documents, found, draft.composed.whole, draft.included, reading.settled
    )


def most_problems(file: str, problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """The problems of one file by place; of very many the first, and how many more there are."""
    found = sorted_problems(problems)
    if len(found) <= MAX_PROBLEMS:
        return found
    rest = len(found) - MAX_PROBLEMS + 1
    first = found[MAX_PROBLEMS - 1]
    more = Problem(
        file, first.line, first.column, f"from here on there are {rest} more problems in this file"
    )
    return (*found[: MAX_PROBLEMS - 1], more)
