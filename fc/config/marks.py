"""Marks: a short digest of what each file declares, by which what did not change is recognised without looking at it."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Generic, Protocol, TypeVar

from fc.config.language import KIND_BY_NAME


class Declaration(Protocol):
    """What a mark is made from."""

    @property
    def kind(self) -> str:
        """Such as ``jobset``."""

    @property
    def key(self) -> str:
        """Such as ``hello/main``."""

    @property
    def content_hash(self) -> str:
        """Of what it says."""

    @property
    def file(self) -> str:
        """Where it stands."""

    @property
    def line(self) -> int:
        """Where in it."""

    @property
    def renamed_from(self) -> object | None:
        """The name it had; no part of the mark."""


R = TypeVar("R", bound=Declaration)

ROW_SQL = "content_hash || ' ' || line || ' ' || kind || ' ' || length(key) || ' ' || key"
"""What ``mark_of`` writes of a resource, of a row of the inventory."""
MARK_SQL = """
(SELECT sha256(convert_to(string_agg(one, E'\\n' ORDER BY one COLLATE "C"), 'UTF8')) FROM unnest(rows) AS one)
"""
"""The mark of a file, out of the array ``rows`` of what is written of its rows."""
# To sort within a file is cheap: lines begin with hashes, which differ at once. To sort all rows by their files is not.


def mark_of(resources: Iterable[Declaration]) -> bytes:
    """SHA-256 of the resources of one file, in whatever order they come. Pure."""
    # The length before the key, and no space in what stands before it: no two files are written the same way.
    lines = sorted(f"{one.content_hash} {one.line} {one.kind} {len(one.key)} {one.key}" for one in resources)
    # What cannot be written in UTF-8 never comes to the database: it only must not end a comparison.
    return hashlib.sha256("\n".join(lines).encode(errors="surrogatepass")).digest()


class Part(Generic[R]):
    """The resources of one file. Its mark is made when it is first asked for, and kept."""

    __slots__ = ("_mark", "renamed", "resources", "sealing")

    def __init__(self, resources: Mapping[tuple[str, str], R]) -> None:
        self.resources = resources
        """By kind and key; never changed."""
        self.sealing = tuple(one for one in resources if KIND_BY_NAME[one[0]].sealed is not None)
        """Those whose rows hold the hash of a secret."""
        self.renamed = tuple(one for one in resources.values() if one.renamed_from is not None)
        """Those that say which name they had."""
        self._mark: bytes | None = None

    @property
    def mark(self) -> bytes:
        """Of all of them."""
        if self._mark is None:
            self._mark = mark_of(self.resources.values())
        return self._mark


Parts = Mapping[str, Part[R]]
"""A whole configuration, by file; files that declare nothing are left out."""


def parts_of(resources: Mapping[tuple[str, str], R]) -> dict[str, Part[R]]:
    """``resources`` by their files. Pure."""
    files: dict[str, dict[tuple[str, str], R]] = {}
    for identity, one in resources.items():
        files.setdefault(one.file, {})[identity] = one
    return {file: Part(declared) for file, declared in files.items()}
