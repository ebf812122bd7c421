"""YAML text to trees of nodes that know their places: libyaml's events, with limits on everything hostile."""

import re
from typing import Any, Literal, NamedTuple

from ruamel.yaml.cyaml import CParser  # type: ignore[attr-defined]  # a compiled class, re-exported without a type
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from fc.base.problems import Problem
from fc.config.masking import masked, unmasked
from fc.config.wording import did_you_mean

MAX_BYTES = 4 * 1024 * 1024
"""Largest file, in bytes."""
MAX_DEPTH = 32
"""Deepest nesting; the language itself needs seven levels."""
MAX_ALIASED = 100_000
"""Nodes that aliases and merge keys may add to one file; an exploding alias passes it at once."""
MAX_PROBLEMS = 500
"""Problems shown of one file."""

SECRET_TAG = "!secret"  # noqa: S105 - a tag, not a secret
ENV_TAG = "!env"
FILE_TAG = "!file"
AGE_TAG = "!age"
TAGS = {
    SECRET_TAG: "the name of a secret",
    ENV_TAG: "the name of a variable",
    FILE_TAG: "the path of a file",
    AGE_TAG: "an armored age file",
}
"""Tags of single values, and what follows them."""
_STANDARD = "tag:yaml.org,2002:"
_MERGE = "<<"
UNPRINTABLE = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ue5cd\ue5d0-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(
    r"[-+]?(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|0o[0-7]+|0x[0-9a-fA-F]+|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)
_NOTHING = frozenset(("", "~", "null", "Null", "NULL"))
_TRUE = frozenset(("true", "True", "TRUE"))
_FALSE = frozenset(("false", "False", "FALSE"))


State = Literal["known", "unknown", "broken"]
"""Of a value from elsewhere: unknown where only the form is checked; broken if it cannot be had, which is said already."""


class Scalar:
    """A single value."""

    __slots__ = ("column", "line", "plain", "state", "tag", "text")
    size = 1

    def __init__(self, text: str, line: int, column: int, *, plain: bool, tag: str = "") -> None:
        self.text = text
        """What is written; of a value from elsewhere, once it is fetched, that value."""
        self.line = line
        self.column = column
        self.plain = plain
        """Written without quotes and without a tag: may mean something other than text."""
        self.tag = tag
        """One of FC's own tags; empty: none."""
        self.state: State = "known"

    @property
    def secret(self) -> bool:
        """Whether it names a secret, or is one that is encrypted."""
        return self.tag in {SECRET_TAG, AGE_TAG}

    @property
    def fetched(self) -> bool:
        """Whether its value comes from elsewhere, and may therefore mean whatever is wanted."""
        return self.tag in {ENV_TAG, FILE_TAG}


class Sequence:
    """A list."""

    __slots__ = ("column", "items", "line", "size")

    def __init__(self, line: int, column: int) -> None:
        self.items: list[Node] = []
        self.line = line
        self.column = column
        self.size = 1
        """Nodes in it, itself and what aliases bring included."""


class Mapping:
    """A mapping; its keys are texts, each once."""

    __slots__ = ("column", "items", "line", "size")

    def __init__(self, line: int, column: int) -> None:
        self.items: list[tuple[Scalar, Node]] = []
        self.line = line
        self.column = column
        self.size = 1


Node = Scalar | Sequence | Mapping


class _Open(NamedTuple):
    """A collection whose end has not come yet."""

    node: Sequence | Mapping
    children: "list[Node]"


class _StopError(Exception):
    """Nothing after this place can be read."""

    def __init__(self, line: int, column: int, message: str) -> None:
        self.line = line
        self.column = column
        self.message = message
        super().__init__(message)


class Composed(NamedTuple):
    """A file as nodes."""

    documents: list[Node]
    problems: list[Problem]
    """What is wrong with it as YAML."""
    whole: bool
    """Whether it could be read to its end."""
    tagged: list[Scalar]
    """Values that come from elsewhere: variables, files, what is encrypted."""


def compose(file: str, data: bytes) -> Composed:
    """The documents of ``file``.

    Never raises for any ``data``. Problems of single keys and tags do not end the reading; a text that is no YAML,
    or passes a limit, does.
    """
    composer = _Composer(file)
    try:
        text = _decode(data)
        composer.run(text)
    except _StopError as stop:
        composer.note(stop.line, stop.column, stop.message)
        return Composed(composer.documents, composer.problems, whole=False, tagged=composer.tagged)
    return Composed(composer.documents, composer.problems, whole=True, tagged=composer.tagged)


def meaning(node: Scalar) -> str:
    """What a scalar is without knowing what is wanted: ``text``, ``nothing``, ``boolean``, ``integer`` or ``number``."""
    return meaning_of(node.text) if node.plain else "text"


def meaning_of(text: str) -> str:
    """What plain text means, likewise."""
    if text in _NOTHING:
        return "nothing"
    if text in _TRUE or text in _FALSE:
        return "boolean"
    if _INTEGER.fullmatch(text):
        return "integer"
    if text[0] in "-+.0123456789" and _NUMBER.fullmatch(text):
        return "number"
    return "text"


def is_true(node: Scalar) -> bool:
    """Which of the two a ``boolean`` is."""
    return node.text in _TRUE


def _decode(data: bytes) -> str:
    """``data`` as text; line and column of the first byte or character that cannot stand in a file."""
    if len(data) > MAX_BYTES:
        raise _StopError(1, 1, f"the file has {len(data)} bytes; at most {MAX_BYTES} are read, so split it")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        raise _StopError(
            *_place(before), f"byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None
    text = text.removeprefix("\ufeff")
    found = UNPRINTABLE.search(text)
    if found is not None:
        raise _StopError(
            *_place(text[: found.start()]), f"the character U+{ord(found[0]):04X} cannot stand in YAML"
        )
    return text


def _place(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


class _Composer:
    """Builds nodes from events. Holds no recursion, so no text is too deep for the stack."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.documents: list[Node] = []
        self.problems: list[Problem] = []
        self.tagged: list[Scalar] = []
        self._anchors: dict[str, Node] = {}
        self._open: list[_Open] = []
        self._root: Node | None = None
        self._aliased = 0

    def note(self, line: int, column: int, message: str) -> None:
        """Record a problem that does not end the reading."""
        self.problems.append(Problem(self.file, line, column, message))

    def run(self, text: str) -> None:
        """Compose every document of ``text``."""
        parser = CParser(masked(text))
        try:
            while True:
                event = parser.get_event()
                if type(event) is StreamEndEvent or event is None:
                    return
                self._take(event)
        except MarkedYAMLError as error:
            raise _syntax_error(text, error) from None
        except YAMLError as error:
            raise _StopError(1, 1, f"not valid YAML: {error}") from None

    def _take(self, event: Any) -> None:
        kind = type(event)
        if kind is ScalarEvent:
            self._scalar(event)
        elif kind is MappingStartEvent:
            self._start(event, Mapping(event.start_mark.line + 1, event.start_mark.column + 1), "map")
        elif kind is SequenceStartEvent:
            self._start(event, Sequence(event.start_mark.line + 1, event.start_mark.column + 1), "seq")
        elif kind is MappingEndEvent:
            self._end_mapping()
        elif kind is SequenceEndEvent:
            self._end_sequence()
        elif kind is AliasEvent:
            self._alias(event)
        elif kind is DocumentStartEvent:
            self._anchors.clear()
        elif kind is DocumentEndEvent and self._root is not None:
            self.documents.append(self._root)
            self._root = None

    def _scalar(self, event: Any) -> None:
        mark = event.start_mark
        tag = event.tag
        own = tag if tag in TAGS else ""
        if tag is not None and not own and tag not in {"!", f"{_STANDARD}str"}:
            self._unknown_tag(event, "str")
        node = Scalar(
            unmasked(event.value),
            mark.line + 1,
            mark.column + 1,
            plain=tag is None and not event.style,
            tag=own,
        )
        if own and own != SECRET_TAG:
            self.tagged.append(node)
        if "\0" in node.text:
            self.note(node.line, node.column, "the character U+0000 cannot be stored")
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        self._add(node)

    def _start(self, event: Any, node: Sequence | Mapping, standard: str) -> None:
        if event.tag is not None and event.tag not in {"!", _STANDARD + standard}:
            self._unknown_tag(event, standard)
        if len(self._open) >= MAX_DEPTH:
            raise _StopError(node.line, node.column, f"nested deeper than {MAX_DEPTH} levels")
        if event.anchor is not None:
            self._anchors[event.anchor] = node
        self._open.append(_Open(node, []))

    def _alias(self, event: Any) -> None:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        node = self._anchors.get(event.anchor)
        if node is None:
            hint = did_you_mean(event.anchor, self._anchors)
            raise _StopError(line, column, f"there is no anchor &{event.anchor} before this alias{hint}")
        if any(opened.node is node for opened in self._open):
            raise _StopError(
                line, column, f"the alias *{event.anchor} stands inside what it stands for: a cycle"
            )
        self._charge(node.size, line, column)
        self._add(node)

    def _charge(self, nodes: int, line: int, column: int) -> None:
        self._aliased += nodes
        if self._aliased > MAX_ALIASED:
            raise _StopError(line, column, f"aliases add more than {MAX_ALIASED} nodes to this file")

    def _unknown_tag(self, event: Any, standard: str) -> None:
        tag = event.tag.removeprefix(_STANDARD)
        written = tag if tag.startswith("!") else f"!!{tag}"
        message = (
            f"{written} is followed by {TAGS[written]}"
            if written in TAGS
            else f"unknown tag {written[:80]}; known are {', '.join(TAGS)} and !!{standard}{did_you_mean(written, TAGS)}"
        )
        self.note(event.start_mark.line + 1, event.start_mark.column + 1, message)

    def _add(self, node: Node) -> None:
        if self._open:
            self._open[-1].children.append(node)
        else:
            self._root = node

    def _end_sequence(self) -> None:
        node, children = self._open.pop()
        assert isinstance(node, Sequence)
        node.items = children
        node.size += sum(child.size for child in children)
        self._add(node)

    def _end_mapping(self) -> None:
        node, children = self._open.pop()
        assert isinstance(node, Mapping)
        known: dict[str, Scalar] = {}
        merges: list[tuple[Scalar, Node]] = []
        size = 1
        for index in range(0, len(children), 2):
            key, value = children[index], children[index + 1]
            size += 1 + value.size
            if type(key) is not Scalar:
                self.note(key.line, key.column, "a key is a single text")
            elif key.plain and key.text == _MERGE:
                merges.append((key, value))
            elif key.tag:
                self.note(key.line, key.column, f"a key is written as it is; {key.tag} stands for a value")
                key.state = "broken"
            elif key.text in known:
                first = known[key.text]
                self.note(
                    key.line,
                    key.column,
                    f"duplicate key {key.text[:80]!r}; it stands already at line {first.line}, column {first.column}",
                )
            else:
                known[key.text] = key
                node.items.append((key, value))
        node.size = size
        for key, value in merges:
            self._merge(node, known, key, value)
        self._add(node)

    def _merge(self, node: Mapping, known: dict[str, Scalar], key: Scalar, value: Node) -> None:
        """Take over what ``<<: value`` brings and ``node`` does not say itself; earlier mappings win."""
        for source in value.items if isinstance(value, Sequence) else [value]:
            if not isinstance(source, Mapping):
                self.note(key.line, key.column, "<< merges a mapping, or a list of mappings")
                continue
            self._charge(source.size, key.line, key.column)
            node.size += source.size
            for inner, content in source.items:
                if inner.text not in known:
                    known[inner.text] = inner
                    node.items.append((inner, content))


def _syntax_error(text: str, error: MarkedYAMLError) -> _StopError:
    mark = error.problem_mark or error.context_mark
    line, column = _inside(text, mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
    message = str(error.problem or "it cannot be read")
    if error.context is not None:
        begun = error.context_mark
        first = _inside(text, begun.line + 1, begun.column + 1)[0] if begun is not None else line
        where = f" that begins at line {first}" if first != line else ""
        message = f"{error.context}{where}: {message}"
    return _StopError(line, column, f"not valid YAML: {message}")


def _inside(text: str, line: int, column: int) -> tuple[int, int]:
    """A place, or the end of what is written if it lies behind that, where an editor would not find it."""
    written = text.rstrip()
    return (line, column) if line <= written.count("\n") + 1 else _place(written)
