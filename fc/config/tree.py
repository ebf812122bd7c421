"""Which YAML files a directory or a commit holds. Symbolic links never lead out of it."""

import os
import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from fc.base.errors import InvalidInputError
from fc.base.git import GitMirror, TreeEntry
from fc.base.problems import Problem
from fc.config.blobs import blob_id
from fc.config.included import Locate, locate_in_commit, locate_in_directory
from fc.config.nodes import MAX_BYTES

MAX_FILES = 20_000
"""Most YAML files of one tree."""
MAX_TOTAL_BYTES = 128 * 1024 * 1024
"""Most bytes of all of them."""

_SUFFIXES = (".yaml", ".yml")
_LINK = "120000"
_MOST_LINKS = 16
_OUTSIDE = "this symbolic link leads out of the configuration"
_DANGLING = "this symbolic link leads nowhere"


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A YAML file, not read yet."""

    path: str
    """Inside the tree, with slashes."""
    blob: str
    """git's id of its contents."""


@dataclass(frozen=True, slots=True)
class SourceTree:
    """The YAML files of a tree in the order of their paths, and what is wrong with the tree itself."""

    files: tuple[SourceFile, ...]
    problems: tuple[Problem, ...]
    locate: Locate
    """Finds what ``!file`` names."""


def read_directory(directory: Path) -> tuple[SourceTree, dict[str, bytes]]:
    """The YAML files below ``directory``, and their contents by blob.

    Whatever begins with a dot is left out: git's own directory, and the YAML files of forges and other tools.

    Raises:
        InvalidInputError: there is no such directory, or it holds too much.
    """
    root = directory.resolve()
    if not root.is_dir():
        message = f"{directory}: there is no such directory"
        raise InvalidInputError(message)
    gathering = _Gathering()
    contents: dict[str, bytes] = {}
    for path in _walk(root, gathering):
        name = path.relative_to(root).as_posix()
        if path.is_symlink() and not _leads_to_new_file(path, root, gathering, name):
            continue
        try:
            with path.open("rb") as stream:
                # One byte more than is allowed is enough to say so.
                data = stream.read(MAX_BYTES + 1)
        except OSError as error:
            gathering.note(name, f"cannot be read: {error.strerror}")
            continue
        blob = blob_id(data)
        contents[blob] = data
        gathering.add(name, blob, len(data))
    return gathering.tree(locate_in_directory(root, contents)), contents


def _walk(root: Path, gathering: "_Gathering") -> Iterator[Path]:
    """YAML files and all symbolic links below ``root`` that are not hidden; no link is followed."""
    pending = [root]
    while pending:
        directory = pending.pop()
        try:
            entries = [entry for entry in os.scandir(directory) if not entry.name.startswith(".")]
        except OSError as error:
            gathering.note(directory.relative_to(root).as_posix(), f"cannot be read: {error.strerror}")
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                pending.append(Path(entry.path))
            elif entry.is_symlink() or (
                entry.name.endswith(_SUFFIXES) and entry.is_file(follow_symlinks=False)
            ):
                yield Path(entry.path)


def _leads_to_new_file(link: Path, root: Path, gathering: "_Gathering", name: str) -> bool:
    """Whether a link stands for a file of the tree that is not read under a name of its own."""
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):
        target = None  # It leads nowhere, or in a circle.
    # An absolute target is refused even if it is inside: it would not be in another clone.
    if link.readlink().is_absolute() or (target is not None and not target.is_relative_to(root)):
        gathering.note(name, _OUTSIDE)
    elif target is None:
        gathering.note(name, _DANGLING)
    elif target.is_file() and name.endswith(_SUFFIXES):
        return not _is_read(target.relative_to(root).as_posix())
    return False


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") for part in name.split("/"))


def _is_read(name: str) -> bool:
    return name.endswith(_SUFFIXES) and not _is_hidden(name)


async def read_commit(mirror: GitMirror, commit: str, path: str = ".") -> SourceTree:
    """The YAML files at and below ``path`` in a commit that was fetched: the same as of its checkout.

    Raises:
        GitError: the commit or the path is not there.
        InvalidInputError: it holds too much.
    """
    top = posixpath.normpath(path)
    prefix = "" if top == "." else f"{top}/"
    entries = {entry.path.removeprefix(prefix): entry for entry in await mirror.tree(commit, path)}
    links = {name: entry for name, entry in entries.items() if entry.mode == _LINK}
    targets = await mirror.blobs(entry.blob for entry in links.values())
    aims = {name: targets[entry.blob].decode(errors="replace") for name, entry in links.items()}
    gathering = _Gathering()
    for name, entry in entries.items():
        if name in links:
            if not _is_hidden(name):
                _take_link(gathering, name, aims, entries)
        elif _is_read(name):
            gathering.add(name, entry.blob, entry.size)
    return gathering.tree(locate_in_commit(entries))


def _take_link(
    gathering: "_Gathering", name: str, aims: Mapping[str, str], entries: Mapping[str, TreeEntry]
) -> None:
    """As ``_leads_to_new_file``, for a link in a commit."""
    place = name
    for _ in range(_MOST_LINKS):
        if place not in aims:
            break
        place = posixpath.normpath(posixpath.join(posixpath.dirname(place), aims[place]))
        if place.startswith(("/", "../")) or place == "..":
            gathering.note(name, _OUTSIDE)
            return
    entry = entries.get(place)
    if entry is None or place in aims:
        if not any(other.startswith(f"{place}/") for other in entries) and place != ".":
            gathering.note(name, _DANGLING)
    elif name.endswith(_SUFFIXES) and not _is_read(place):
        gathering.add(name, entry.blob, entry.size)


class _Gathering:
    """A tree being put together, within its limits."""

    def __init__(self) -> None:
        self._files: list[SourceFile] = []
        self._problems: list[Problem] = []
        self._bytes = 0

    def note(self, name: str, message: str) -> None:
        """A problem with the file itself."""
        self._problems.append(Problem(_printable(name), 1, 1, message))

    def add(self, name: str, blob: str, size: int) -> None:
        """One more file."""
        self._bytes += size
        if len(self._files) >= MAX_FILES or self._bytes > MAX_TOTAL_BYTES:
            message = f"the configuration has more than {MAX_FILES} files or {MAX_TOTAL_BYTES} bytes of YAML"
            raise InvalidInputError(message)
        if name != _printable(name):
            self.note(name, "the name of this file has unprintable characters; rename it")
            return
        self._files.append(SourceFile(name, blob))

    def tree(self, locate: Locate) -> SourceTree:
        """What was gathered."""
        return SourceTree(tuple(sorted(self._files, key=lambda one: one.path)), tuple(self._problems), locate)


def _printable(name: str) -> str:
    if name.isprintable():
        return name
    return name.encode("unicode_escape", "backslashreplace").decode("ascii")
