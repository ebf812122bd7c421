"""Files of a working copy replaced together: each whole, and what was interrupted is finished by the next run."""

import errno
import fcntl
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import msgspec

from fc.base.errors import ConflictError, InvalidInputError
from fc.config.blobs import blob_id

JOURNAL = ".fcctl-export.json"
"""What is about to be replaced. It is there only while that happens, or after it was interrupted."""
_TEMPORARY = f"{JOURNAL}.new"
_GIT = ".git"


class Edit(NamedTuple):
    """A file that is to be replaced."""

    path: str
    """Below the working copy, with slashes, through no symbolic link."""
    before: bytes | None
    """What it has to hold until then; none: it is not there."""
    after: bytes | None
    """What it holds then; none: it is taken away."""


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the journal; contents by git's id of them."""

    path: str
    before: str | None
    after: str | None


class WorkingCopy:
    """The files below a directory. No symbolic link is followed on the way to any of them."""

    def __init__(self, directory: Path) -> None:
        """Name it; nothing happens yet.

        Raises:
            InvalidInputError: there is no such directory.
        """
        self.root = directory.resolve()
        if not self.root.is_dir():
            message = f"{directory}: there is no such directory"
            raise InvalidInputError(message)

    def place(self, name: str) -> str:
        """The path that ``name`` stands for once links inside the working copy are followed.

        Raises:
            InvalidInputError: it leads out, or into git's own directory.
        """
        file = (self.root / name).resolve()
        if not file.is_relative_to(self.root) or _GIT in file.relative_to(self.root).parts:
            message = f"{name!r} is no place below {self.root}"
            raise InvalidInputError(message)
        return file.relative_to(self.root).as_posix()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep everybody else from replacing files here meanwhile.

        Raises:
            ConflictError: somebody does at this moment.
        """
        with _opened(self.root) as root:
            try:
                fcntl.flock(root, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                message = f"another fcctl export edits {self.root} at this moment; try again"
                raise ConflictError(message) from None
            except OSError as error:
                # Some file systems over a network lock no directories.
                if error.errno not in {errno.EBADF, errno.ENOLCK, errno.ENOTSUP, errno.EINVAL}:
                    raise
            yield

    @property
    def interrupted(self) -> bool:
        """Whether replacing files was interrupted here."""
        return os.path.lexists(self.root / JOURNAL)

    def finish(self) -> list[str]:
        """Finish what was interrupted; the paths. If somebody changed one of the files since, it is given up instead.

        Raises:
            ConflictError: it cannot be finished.
        """
        if not self.interrupted:
            return []
        with _opened(self.root) as root:
            entries = _read_journal(root)
            finished = all(_is_ready(root, one) for one in entries)
            with _said(self.root, "what was interrupted here is not finished"):
                if finished:
                    _replace(root, entries)
                _forget(root, entries)
                os.fsync(root)
        return [one.path for one in entries] if finished else []

    def write(self, edits: Sequence[Edit]) -> None:
        """Replace files: either nothing happens, or all of it, if need be by the next ``finish``.

        Raises:
            ConflictError: one of them holds something else by now, or cannot be written.
        """
        entries = [_Entry(one.path, _blob(one.before), _blob(one.after)) for one in edits]
        with _opened(self.root) as root:
            try:
                with _said(self.root, "nothing was written"):
                    for edit in edits:
                        _prepare(root, edit)
                    _write_new(root, _TEMPORARY, msgspec.json.encode(entries), None)
                    os.fsync(root)
                _require_untouched(root, edits)
            except BaseException:
                _forget(root, entries)
                raise
            with _said(self.root, "export again to finish what was begun"):
                os.replace(_TEMPORARY, JOURNAL, src_dir_fd=root, dst_dir_fd=root)
                os.fsync(root)
                _replace(root, entries)
                _forget(root, entries)
                os.fsync(root)


@contextmanager
def _said(root: Path, state: str) -> Iterator[None]:
    """What the system refuses, as a message that says how things stand."""
    try:
        yield
    except OSError as error:
        named = f" ({error.filename})" if error.filename else ""
        message = f"{root}: {error.strerror}{named}; {state}"
        raise ConflictError(message) from error


@contextmanager
def _opened(directory: Path) -> Iterator[int]:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _parent(root: int, path: str, *, make: bool = False) -> Iterator[int]:
    """The directory of a file, reached through no symbolic link.

    Raises:
        OSError: it is not there, or a link is.
    """
    descriptor = os.dup(root)
    try:
        for part in PurePosixPath(path).parts[:-1]:
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=descriptor)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            inner = os.open(part, flags, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor
    finally:
        os.close(descriptor)


def _blob(data: bytes | None) -> str | None:
    return None if data is None else blob_id(data)


def _beside(path: str) -> str:
    """The name, in the same directory, of what a file is replaced with. Only one program at a time makes it."""
    return f".fcctl-export-{sha256(path.encode()).hexdigest()[:16]}"


def _read(root: int, path: str, name: str | None = None) -> bytes | None:
    """What a file holds, or ``name`` beside it; none: it is not there."""
    try:
        with _parent(root, path) as directory:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            file = os.open(name or PurePosixPath(path).name, flags, dir_fd=directory)
            with os.fdopen(file, "rb") as stream:
                return stream.read()
    except FileNotFoundError:
        return None


def _is_ready(root: int, entry: _Entry) -> bool:
    """Whether a file is replaced already, or is as it was and what replaces it is there."""
    try:
        now = _blob(_read(root, entry.path))
        if now == entry.after:
            return True
        new = _blob(_read(root, entry.path, _beside(entry.path)))
    except OSError:
        return False
    return now == entry.before and (entry.after is None or new == entry.after)


def _require_untouched(root: int, edits: Iterable[Edit]) -> None:
    for edit in edits:
        if _read(root, edit.path) != edit.before:
            message = f"{edit.path} was changed by somebody else meanwhile; nothing was written, so look and export again"
            raise ConflictError(message)


def _prepare(root: int, edit: Edit) -> None:
    """Write, beside a file, what it will hold."""
    if edit.after is None:
        return
    with _parent(root, edit.path, make=True) as directory:
        try:
            like = os.stat(PurePosixPath(edit.path).name, dir_fd=directory, follow_symlinks=False)
        except FileNotFoundError:
            like = None
        _write_new(directory, _beside(edit.path), edit.after, like)
        os.fsync(directory)


def _write_new(directory: int, name: str, data: bytes, like: os.stat_result | None) -> None:
    """A new file on the disk, with the mode and owner of ``like``."""
    _take_away(directory, name)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, 0o666, dir_fd=directory), "wb") as stream:
        stream.write(data)
        if like is not None:
            with suppress(PermissionError):
                os.fchown(stream.fileno(), like.st_uid, like.st_gid)
            os.fchmod(stream.fileno(), stat.S_IMODE(like.st_mode))
        stream.flush()
        os.fsync(stream.fileno())


def _replace(root: int, entries: Iterable[_Entry]) -> None:
    """Put everything that is prepared in its place; what is there already stays."""
    for entry in entries:
        name = PurePosixPath(entry.path).name
        with _parent(root, entry.path) as directory:
            if entry.after is None:
                _take_away(directory, name)
            else:
                try:
                    os.replace(_beside(entry.path), name, src_dir_fd=directory, dst_dir_fd=directory)
                except FileNotFoundError:
                    # The run that was interrupted came this far.
                    if _blob(_read(root, entry.path)) != entry.after:
                        raise
            os.fsync(directory)


def _forget(root: int, entries: Iterable[_Entry]) -> None:
    """Take away what was prepared and is not needed, and then the journal."""
    for entry in entries:
        with suppress(OSError), _parent(root, entry.path) as directory:
            _take_away(directory, _beside(entry.path))
    for name in (_TEMPORARY, JOURNAL):
        _take_away(root, name)


def _take_away(directory: int, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=directory)


def _read_journal(root: int) -> list[_Entry]:
    """What was begun.

    Raises:
        ConflictError: the journal is none, or names a place that it may not.
    """
    try:
        entries = msgspec.json.decode(_read(root, JOURNAL) or b"", type=list[_Entry])
    except (OSError, msgspec.MsgspecError):
        entries = [_Entry("/", None, None)]
    for one in entries:
        parts = PurePosixPath(one.path).parts
        if not parts or one.path.startswith("/") or {"..", _GIT} & set(parts) or not one.path.isprintable():
            message = f"{JOURNAL} was not written by fcctl as it stands; look at what changed, and remove it"
            raise ConflictError(message)
    return entries
