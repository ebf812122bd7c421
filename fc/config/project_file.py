"""A project's own file: read at one commit of its repository, without secrets, variables or anything from elsewhere. Pure but for reading."""

import os
import stat
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path

from fc.base.errors import InvalidInputError
from fc.base.git import GitMirror, TreeEntry
from fc.base.problems import Problem
from fc.config.blobs import blob_id
from fc.config.compile import Compiled, Compiler, ResourceId
from fc.config.declared import Fragment
from fc.config.included import Located, locate_in_commit, locate_in_directory
from fc.config.load import most_problems
from fc.config.nodes import FILE_TAG, Composed, Node, Scalar, Sequence, compose
from fc.config.nodes import Mapping as MappingNode
from fc.config.outside import FORM_ONLY, fill, wanted_files
from fc.config.shapes import check_project_file
from fc.config.values import Reading

FILE = ".fc.yaml"
"""Where it stands: at the top of the repository."""
MAX_FILE_BYTES = 1024 * 1024
"""Largest one."""

_LINK = "120000"
_EMPTY = Fragment(FILE, "", (), (), whole=True)


async def read_file(mirror: GitMirror, commit: str) -> Fragment:
    """What the file declares in a commit that was fetched; without one nothing is declared.

    Raises:
        GitError: the commit is not there.
    """
    entries = {entry.path: entry for entry in await mirror.tree(commit)}
    entry = entries.get(FILE)
    if entry is None:
        inside = any(path.startswith(f"{FILE}/") for path in entries)
        return _unreadable("is a directory; it must be a file") if inside else _EMPTY
    wrong = _unfit(entry)
    if wrong:
        return _unreadable(wrong)
    contents = await mirror.blobs([entry.blob])
    composed = compose(FILE, contents[entry.blob])
    locate = locate_in_commit(entries)
    included = {path: locate(path) for path in wanted_files(FILE, composed.tagged)}
    contents |= await mirror.blobs({one.blob for one in included.values() if one.blob})
    return check_file(composed, entry.blob, included, contents)


def read_file_in(directory: Path) -> Fragment:
    """What the file in a checkout declares.

    Raises:
        InvalidInputError: there is none.
    """
    try:
        # Neither a link is followed nor a FIFO waited for.
        descriptor = os.open(directory / FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        message = f"{directory / FILE}: there is no such file"
        raise InvalidInputError(message) from None
    except OSError as error:
        link = (directory / FILE).is_symlink()
        return _unreadable(_IS_LINK if link else f"cannot be read: {error.strerror}")
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return _unreadable("is no file")
        data = stream.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        return _unreadable(_TOO_LARGE)
    contents: dict[str, bytes] = {}
    locate = locate_in_directory(directory.resolve(), contents)
    composed = compose(FILE, data)
    included = {path: locate(path) for path in wanted_files(FILE, composed.tagged)}
    return check_file(composed, blob_id(data), included, contents)


def check_file(
    composed: Composed, blob: str, included: Mapping[str, Located], contents: Mapping[str, bytes]
) -> Fragment:
    """What a file that was parsed declares.

    Args:
        composed: its nodes.
        blob: git's id of it.
        included: the files of the same tree that it takes in.
        contents: of these, by blob.
    """
    reading = Reading(FILE)
    for node in _foreign(composed.documents):
        reading.note(
            node, f"{node.tag}: a project's own file uses no secrets and no variables of the service"
        )
        node.state = "broken"
    files = [node for node in composed.tagged if node.tag == FILE_TAG]
    fill(files, reading, FORM_ONLY, included, contents)
    documents = tuple(check_project_file(node, reading) for node in composed.documents)
    problems = most_problems(FILE, [*composed.problems, *reading.problems])
    return Fragment(FILE, blob, documents, problems, composed.whole, included)


def compile_file(fragment: Fragment, project: str, elsewhere: Collection[ResourceId] = ()) -> Compiled:
    """What the file of ``project`` declares; ``elsewhere``: what it may need and the central configuration declares."""
    return Compiler().compile([fragment], (), elsewhere, project)


_IS_LINK = "is a symbolic link; it must be a file of its own"
_TOO_LARGE = f"has more than {MAX_FILE_BYTES} bytes"


def _unfit(entry: TreeEntry) -> str:
    """What is wrong with the file before it is read; empty: nothing."""
    if entry.mode == _LINK:
        return _IS_LINK
    return _TOO_LARGE if entry.size > MAX_FILE_BYTES else ""


def _unreadable(wrong: str) -> Fragment:
    return Fragment(FILE, "", (), (Problem(FILE, 1, 1, f"{FILE} {wrong}"),), whole=False)


def _foreign(documents: Iterable[Node]) -> list[Scalar]:
    """Values that would come from outside of the tree. What aliases repeat is seen once."""
    found: list[Scalar] = []
    seen: set[int] = set()
    pending: list[Node] = list(documents)
    while pending:
        node = pending.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, MappingNode):
            pending += [value for _, value in node.items]
        elif isinstance(node, Sequence):
            pending += node.items
        elif node.tag and node.tag != FILE_TAG:
            found.append(node)
    return found
