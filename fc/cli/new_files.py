"""Files that are written below a directory, and never over others."""

from collections.abc import Mapping
from pathlib import Path

from fc.base.errors import ConflictError, InvalidInputError


def write_new_files(directory: Path, files: Mapping[str, str]) -> None:
    """Write texts by path below ``directory``.

    Raises:
        ConflictError: one of them is there already; then nothing is written.
        InvalidInputError: a path leads out of the directory.
    """
    taken = [name for name in files if (directory / name).exists()]
    if taken:
        message = f"{directory / taken[0]} is there already; nothing was written, so nothing was lost"
        raise ConflictError(message)
    root = directory.resolve()
    for name in files:
        if not (root / name).resolve().is_relative_to(root):
            message = f"{name!r} is no place below {directory}"
            raise InvalidInputError(message)
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
