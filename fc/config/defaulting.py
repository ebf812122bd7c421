"""Which defaults hold where: those of a file's own directory before those of the directories above. Pure."""

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fc.base.problems import Problem
from fc.config.declared import Declared, Fragment
from fc.config.default_fields import KIND_OF


@dataclass(frozen=True, slots=True)
class Default:
    """What a field is where it is not written."""

    value: Any
    secret: str | None
    """Name of the secret, if it is one."""
    file: str
    line: int
    column: int

    @property
    def place(self) -> str:
        """Where it stands."""
        return f"{self.file}:{self.line}"


Scope = Mapping[tuple[str, str], Default]
"""Defaults by kind and field."""


class Defaulting:
    """The defaults of a whole configuration."""

    def __init__(self, fragments: Iterable[Fragment]) -> None:
        self.problems: list[Problem] = []
        """A field that two defaults of one directory give."""
        self._own: dict[str, dict[tuple[str, str], Default]] = {}
        self._scopes: dict[str, Scope] = {}
        for fragment in fragments:
            for document in fragment.documents:
                given = document.partial.get("defaults")
                if given is not None:
                    self._take(fragment.file, given)

    def scope(self, file: str) -> Scope:
        """What holds in ``file``."""
        return self._of(posixpath.dirname(file)) if self._own else {}

    def _of(self, directory: str) -> Scope:
        if directory not in self._scopes:
            above = self._of(posixpath.dirname(directory)) if directory else {}
            self._scopes[directory] = {**above, **self._own.get(directory, {})}
        return self._scopes[directory]

    def _take(self, file: str, given: Declared) -> None:
        own = self._own.setdefault(posixpath.dirname(file), {})
        for section, declared in given.partial.items():
            for name, value in declared.fields.items():
                line, column = declared.places[name]
                default = Default(value, declared.secrets.get(name), file, line, column)
                first = own.setdefault((KIND_OF[section], name), default)
                if first is not default:
                    message = (
                        f"the default of {section}.{name} is given twice for this directory; it stands already at "
                        f"{first.file}:{first.line}:{first.column}"
                    )
                    self.problems.append(Problem(file, line, column, message))
