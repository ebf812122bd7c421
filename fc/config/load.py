"""From a tree of YAML files to what each file declares. What was read before is not parsed again."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fc.base.git import GitMirror
from fc.base.problems import Problem, sorted_problems
from fc.config.declared import Fragment
from fc.config.nodes import MAX_PROBLEMS, compose
from fc.config.shapes import check_document
from fc.config.tree import MAX_TOTAL_BYTES, SourceTree, read_commit, read_directory
from fc.config.values import Reading


@dataclass(frozen=True, slots=True)
class Loaded:
    """A whole tree, read: what its files declare, and what is wrong with the tree itself."""

    fragments: tuple[Fragment, ...]
    """By path; each has its own problems."""
    problems: tuple[Problem, ...]
    """Links that lead out, and files that cannot be read."""


class Loader:
    """Reads trees, and remembers what each blob declared as long as it is part of the tree."""

    def __init__(self) -> None:
        self._fragments: dict[tuple[str, str], Fragment] = {}
        self.parsed = 0
        """How many files were parsed so far."""

    def load_directory(self, directory: Path) -> Loaded:
        """Every YAML file below ``directory``.

        Raises:
            InvalidInputError: there is no such directory, or it holds too much.
        """
        tree, contents = read_directory(directory)
        return self._load(tree, contents)

    async def load_commit(self, mirror: GitMirror, commit: str, path: str) -> Loaded:
        """Every YAML file at and below ``path`` in a commit that was fetched, without a checkout.

        Raises:
            GitError: the commit or the path is not there.
            InvalidInputError: it holds too much.
        """
        tree = await read_commit(mirror, commit, path)
        missing = [one.blob for one in tree.files if (one.path, one.blob) not in self._fragments]
        contents = await mirror.blobs(missing, limit=MAX_TOTAL_BYTES)
        # Parsing a large tree takes a while; the loop of events goes on meanwhile.
        return await asyncio.to_thread(self._load, tree, contents)

    def _load(self, tree: SourceTree, contents: Mapping[str, bytes]) -> Loaded:
        fragments = {}
        for one in tree.files:
            known = self._fragments.get((one.path, one.blob))
            if known is None:
                self.parsed += 1
                known = read_fragment(one.path, one.blob, contents[one.blob])
            fragments[one.path, one.blob] = known
        self._fragments = fragments
        return Loaded(tuple(fragments.values()), tree.problems)


def read_fragment(file: str, blob: str, data: bytes) -> Fragment:
    """What the contents of one file declare. Pure; never raises, whatever ``data`` is."""
    nodes, problems, whole = compose(file, data)
    reading = Reading(file)
    documents = tuple(check_document(node, reading) for node in nodes)
    found = sorted_problems([*problems, *reading.problems])
    if len(found) > MAX_PROBLEMS:
        rest = len(found) - MAX_PROBLEMS + 1
        first = found[MAX_PROBLEMS - 1]
        more = Problem(
            file, first.line, first.column, f"from here on there are {rest} more problems in this file"
        )
        found = (*found[: MAX_PROBLEMS - 1], more)
    return Fragment(file, blob, documents, found, whole)
