"""Where the files that stand at the top level of the repository are found at run time."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent.parent


def shipped(name: str) -> Path:
    """The directory ``name`` (``migrations``, ``config-schema``), from a checkout or from a wheel.

    Raises:
        FileNotFoundError: the installation is broken.
    """
    for candidate in (_PACKAGE / "_data" / name, _PACKAGE.parent / name):
        if candidate.is_dir():
            return candidate
    message = f"the directory {name!r} is missing from this installation of FC; install it again"
    raise FileNotFoundError(message)
