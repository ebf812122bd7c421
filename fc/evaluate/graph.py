"""Reading the build graph: the .drv files below some derivations, except for what the tables know."""

import asyncio
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

from fc.base.database import Database
from fc.base.errors import NixError
from fc.base.nix_cli import Nix
from fc.evaluate.chains import inputs_first, with_dependents
from fc.nix.derivation import Derivation, parse_derivation
from fc.nix.errors import FormatError
from fc.nix.storepath import parse_store_path

_LONGEST_SYSTEM = 50
"""Characters of its column. No builder has a system this long: one that is cut is as unsupported as before."""
_LARGEST_FILE = 64 << 20
_FILES_AT_ONCE = 500


class DerivationFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What the tables keep of a .drv file."""

    drv_path: str
    name: str
    system: str
    required_features: tuple[str, ...]
    prefer_local: bool
    fixed_output: bool
    outputs: dict[str, str | None]
    """Store path by name; none while it is unknown."""
    inputs: tuple[str, ...]
    """Paths of the derivations it needs."""


class Graph(msgspec.Struct, frozen=True, kw_only=True):
    """Derivations that the tables do not know, and where the known ones begin."""

    new: dict[str, DerivationFacts]
    """By path, each after its inputs."""
    known: frozenset[str]
    """Derivations in the tables that were asked for, or that a new one needs. All they need is in the tables too."""
    broken: dict[str, str]
    """What is wrong with derivations that cannot be recorded, and with all that need them."""


async def read_graph(nix: Nix, database: Database, roots: Iterable[str]) -> Graph:
    """The graph below ``roots``.

    No process is started, and nothing that an earlier evaluation has recorded is read again.

    Raises:
        NixError: a .drv file is not in the store.
    """
    found: dict[str, DerivationFacts] = {}
    faults: dict[str, str] = {}
    known: set[str] = set()
    seen: set[str] = set()
    level = set(roots)
    while level:
        seen |= level
        here = await _known(database, level)
        known |= here
        unknown = sorted(level - here)
        for start in range(0, len(unknown), _FILES_AT_ONCE):
            facts, wrong = await asyncio.to_thread(_read, nix, unknown[start : start + _FILES_AT_ONCE])
            found |= facts
            faults |= wrong
        level = {one for path in unknown if path in found for one in found[path].inputs} - seen
    inputs = {path: facts.inputs for path, facts in found.items()}
    broken = with_dependents(inputs, faults) if faults else {}
    order = [path for path in inputs_first(inputs) if path not in broken]
    return Graph(new={path: found[path] for path in order}, known=frozenset(known), broken=broken)


async def _known(database: Database, paths: Collection[str]) -> set[str]:
    rows = await database.fetch("SELECT drv_path FROM derivations WHERE drv_path = ANY ($1)", list(paths))
    return {row["drv_path"] for row in rows}


def _read(nix: Nix, paths: Iterable[str]) -> tuple[dict[str, DerivationFacts], dict[str, str]]:
    """What some .drv files say, and what is wrong with the others."""
    facts: dict[str, DerivationFacts] = {}
    faults: dict[str, str] = {}
    for path in paths:
        try:
            facts[path] = _facts(path, parse_derivation(_contents(nix.physical(path))))
        except FormatError as error:
            faults[path] = f"{path}: {error}"
    return facts, faults


def _contents(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            contents = opened.read(_LARGEST_FILE + 1)
    except OSError as error:
        message = f"the derivation {file.name} is not in the store: {error.strerror or error}"
        raise NixError(message) from error
    if len(contents) > _LARGEST_FILE:
        kind = "derivation"
        raise FormatError(kind, f"it has more than {_LARGEST_FILE} bytes")
    return contents


def _facts(path: str, derivation: Derivation) -> DerivationFacts:
    return DerivationFacts(
        drv_path=path,
        name=parse_store_path(path).name.removesuffix(".drv"),
        system=derivation.system[:_LONGEST_SYSTEM],
        required_features=tuple(_storable(feature) for feature in derivation.required_system_features),
        prefer_local=derivation.prefer_local_build,
        fixed_output=derivation.is_fixed_output,
        outputs={output.name: output.path or None for output in derivation.outputs},
        inputs=tuple(derivation.input_drvs),
    )


def _storable(text: str) -> str:
    """``text`` as the database can hold it: bytes that are no UTF-8 cannot name a feature that any builder has."""
    return text.encode("utf-8", "replace").decode().replace("\0", "?")
