"""Files that configuration takes in with ``!file``: found inside the tree, never through a symbolic link."""

import os
import posixpath
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from fc.base.git import TreeEntry
from fc.config.blobs import blob_id

MAX_INCLUDED_BYTES = 64 * 1024
"""Largest file that is taken in; no field holds as much."""
_LINK = "120000"
_SUBMODULE = "160000"


class Located(NamedTuple):
    """Where the contents of a path are, or why there are none."""

    blob: str = ""
    """git's id of them."""
    problem: str = ""


Locate = Callable[[str], Located]
"""Finds a path of the tree; paths are normal, with slashes, and may lead out."""


def inside(file: str, written: str) -> str:
    """The path that ``written`` in ``file`` means: relative to the directory of ``file``."""
    return posixpath.normpath(posixpath.join(posixpath.dirname(file), written))


def locate_nothing(path: str) -> Located:
    """For a text that belongs to no tree."""
    return Located(problem=f"there is no file {path!r}")


def locate_in_directory(root: Path, contents: dict[str, bytes]) -> Locate:
    """Finds files below ``root``, and puts what they hold into ``contents``."""

    def locate(path: str) -> Located:
        refused = _refused(path)
        if refused:
            return Located(problem=refused)
        for parent in _parents(path):
            if (root / parent).is_symlink():
                return Located(problem=_link(parent))
        try:
            # Without O_NONBLOCK a FIFO would never open.
            descriptor = os.open(root / path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            missing = isinstance(error, FileNotFoundError | NotADirectoryError)
            return (
                locate_nothing(path)
                if missing
                else Located(problem=f"{path!r} cannot be read: {error.strerror}")
            )
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return Located(problem=f"{path!r} is no file")
        with os.fdopen(descriptor, "rb") as stream:
            data = stream.read(MAX_INCLUDED_BYTES + 1)
        if len(data) > MAX_INCLUDED_BYTES:
            return Located(problem=_large(path))
        blob = blob_id(data)
        contents[blob] = data
        return Located(blob)

    return locate


def locate_in_commit(entries: Mapping[str, TreeEntry]) -> Locate:
    """Finds files among the entries of a commit, by their paths."""

    def locate(path: str) -> Located:
        refused = _refused(path)
        if refused:
            return Located(problem=refused)
        for parent in _parents(path):
            if parent in entries and entries[parent].mode == _LINK:
                return Located(problem=_link(parent))
        entry = entries.get(path)
        if entry is None:
            # A directory is no entry of its own.
            if any(other.startswith(f"{path}/") for other in entries):
                return Located(problem=f"{path!r} is no file")
            return locate_nothing(path)
        if entry.mode == _SUBMODULE:
            return Located(problem=f"{path!r} is no file")
        return Located(problem=_large(path)) if entry.size > MAX_INCLUDED_BYTES else Located(entry.blob)

    return locate


def _refused(path: str) -> str:
    if path.startswith(("/", "../")) or path == "..":
        return f"{path!r} leads out of the configuration"
    if any(part.startswith(".") for part in path.split("/")):
        return f"{path!r} is hidden: what begins with a dot is left out"
    return "" if path.isprintable() else "the path has unprintable characters"


def _parents(path: str) -> list[str]:
    """Every directory on the way, and the path itself."""
    parts = path.split("/")
    return ["/".join(parts[: end + 1]) for end in range(len(parts))]


def _link(path: str) -> str:
    return f"{path!r} is a symbolic link, which !file does not follow"


def _large(path: str) -> str:
    return f"{path!r} has more than {MAX_INCLUDED_BYTES} bytes"
