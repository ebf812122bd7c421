"""What an evaluation is asked, and what it answers."""

from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from fc.base.errors import InvalidInputError
from fc.nix.eval_job import EvalError, EvalJob

InputType = Literal["git", "string", "boolean", "path", "build"]

STANDARD_OUTPUT = "hydraJobs"
"""The flake output that holds jobs. A flake without it is evaluated at ``checks`` and ``packages``."""


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """One input of a jobset, resolved."""

    type: InputType
    value: str
    """As declared."""
    path: str = ""
    """Where a git or path input stands on this machine; of a build input its store path."""
    revision: str | None = None
    """Commit of a git input, store path of a build input."""


class EvaluationRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Everything one evaluation depends on."""

    source: Path
    """Tree of the project's repository, without ``.git``."""
    revision: str
    """Its commit."""
    expression: str
    """A file below ``source``; with ``flake_mode`` an attribute of the flake, ``directory#attribute``, or nothing."""
    flake_mode: bool = False
    inputs: dict[str, Input] = {}
    restrict: bool = True
    """Only ``source`` and the inputs can be read; flakes are evaluated purely."""
    allow_import_from_derivation: bool = False
    timeout: float = 600
    """Seconds for all of it."""
    workers: int = 1
    """Processes at once."""
    memory_mb: int = 4096
    """Most memory of one process, in MiB."""


class EvaluationResult(msgspec.Struct, frozen=True, kw_only=True):
    """What an evaluation found."""

    jobs: list[EvalJob] = []
    errors: list[EvalError] = []
    """One for each job that could not be evaluated."""
    failure: str | None = None
    """Why there are no jobs at all; none: there may be."""
    timed_out: bool = False


class FlakeTarget(msgspec.Struct, frozen=True):
    """Which part of which flake in a repository."""

    directory: str
    """Below the top of the repository; empty: the top itself."""
    attributes: tuple[str, ...]


def flake_target(expression: str) -> FlakeTarget:
    """What the expression of a jobset in flake mode names.

    ``hydraJobs``, ``packages.x86_64-linux``: an output of the flake at the top. ``sub#hydraJobs``: of the flake in
    ``sub``. Nothing, ``.``, ``flake.nix`` or ``sub/flake.nix``: the standard output.

    Raises:
        InvalidInputError: the directory is outside of the repository.
    """
    directory, separator, attribute = expression.strip().rpartition("#")
    if not separator and (attribute in {"", "."} or attribute.split("/")[-1] == "flake.nix"):
        directory, attribute = attribute.removesuffix("flake.nix"), ""
    inside = "" if directory.strip("/") in {"", "."} else relative_path(directory)
    parts = tuple(part for part in attribute.split(".") if part)
    return FlakeTarget(inside, parts or (STANDARD_OUTPUT,))


def relative_path(path: str) -> str:
    """``path`` in its plain form.

    Raises:
        InvalidInputError: it is not below the top of the repository.
    """
    plain = PurePosixPath(path.strip())
    if plain.is_absolute() or ".." in plain.parts or not plain.parts:
        message = f"{path!r} is not a path inside the repository"
        raise InvalidInputError(message)
    return str(plain)
