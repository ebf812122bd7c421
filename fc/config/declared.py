"""What a file declares, checked against the language, before names are compared over files."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from fc.base.problems import Problem
from fc.config.included import Located
from fc.config.language import Fields


@dataclass(frozen=True, slots=True)
class Reference:
    """A place that names another resource."""

    kind: str
    name: str
    line: int
    column: int


@dataclass(slots=True)
class Declared:
    """One declaration: its own fields, and those that stand inside it, by section."""

    line: int
    column: int
    fields: Fields = field(default_factory=dict)
    """Checked, with defaults. What could not be understood is missing: then there is a problem too."""
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Line and column of the value of each field that is written."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Name of the secret, or what is encrypted, for each field that is one."""
    references: list[Reference] = field(default_factory=list)
    sections: dict[str, "list[Entry]"] = field(default_factory=dict)
    partial: dict[str, "Declared"] = field(default_factory=dict)
    """Parts of which only what is written counts: ``defaults``, and in it each kind."""
    missing: dict[str, str] = field(default_factory=dict)
    """Required fields that are not written but may have a default, with what the declaration is called."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A declaration under its name."""

    name: str | None
    """None in lists, where the name is derived."""
    line: int
    column: int
    declared: Declared


@dataclass(frozen=True, slots=True)
class Fragment:
    """Everything one file declares."""

    file: str
    blob: str
    """git's id of the contents: equal blobs are equal fragments."""
    documents: tuple[Declared, ...]
    problems: tuple[Problem, ...]
    whole: bool
    """False: the file could not be read to its end, so it may declare more than stands here."""
    included: Mapping[str, Located] = field(default_factory=dict)
    """Files it takes in, by their paths: with other contents there it is another fragment."""
    settled: bool = True
    """False: something could not be decrypted; another time it may."""


def derived_names(entries: list[Entry]) -> list[str]:
    """Names of declarations: their own, or for those in lists the type, with the repository if one type comes twice."""
    types = Counter(entry.declared.fields["type"] for entry in entries if entry.name is None)
    names = []
    for entry in entries:
        fields = entry.declared.fields
        name = entry.name if entry.name is not None else fields.get("name")
        if name is None:
            name = fields["type"]
            if types[name] > 1 and "repository" in fields:
                name = f"{name}:{fields['repository']}"
        names.append(name)
    return names
