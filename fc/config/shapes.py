"""Checks derived from the shapes of the language: nodes in, declarations out, every problem noted at its place."""

import re
from collections.abc import Iterable
from typing import Any

from msgspec import NODEFAULT, inspect

from fc.config import values
from fc.config.declared import Declared, Entry
from fc.config.default_fields import DEFAULTABLE, Document, Partial, ProjectFile
from fc.config.nodes import Mapping, Node, Scalar, Sequence
from fc.config.values import INVALID, Check, Reading, found, is_nothing
from fc.config.wording import did_you_mean, known_names

_SHOWN = 60


def check_document(node: Node, reading: Reading) -> Declared:
    """One document of a configuration repository: a declaration whose sections are the kinds."""
    declared = _DOCUMENT(node, reading)
    return declared if isinstance(declared, Declared) else Declared(node.line, node.column)


def check_project_file(node: Node, reading: Reading) -> Declared:
    """One document of a project's own file: a declaration whose sections are those of a project."""
    declared = _PROJECT_FILE(node, reading)
    return declared if isinstance(declared, Declared) else Declared(node.line, node.column)


def check_declaration(path: Iterable[tuple[str, str]], node: Node, reading: Reading) -> Entry:
    """One declaration on its own.

    Args:
        path: the section and the name of all that it stands in, and of itself last.
        node: what is written under the name.
        reading: where problems and references are noted.
    """
    check: Any = _DOCUMENT
    *outside, (section, name) = path
    for above, called in outside:
        names = check.section(above)
        names.check_name(called, reading)
        check = names.value
    entry: Entry = check.section(section).entry(Scalar(name, 1, 1, plain=False), node, reading)
    return entry


def _bare(shape: inspect.Type) -> tuple[inspect.Type, dict[str, Any]]:
    """A type without its annotations, and what they say beside it."""
    extra: dict[str, Any] = {}
    while isinstance(shape, inspect.Metadata):
        extra = {**(shape.extra or {}), **extra}
        shape = shape.type
    return shape, extra


def _build(shape: inspect.Type, label: str) -> Check:
    """The check of a type. ``label`` is what messages call the value."""
    bare, extra = _bare(shape)
    if isinstance(bare, inspect.UnionType):
        return _union(bare, label)
    if isinstance(bare, inspect.StructType):
        return _Struct(bare, label)
    if isinstance(bare, inspect.DictType):
        return _Names(bare, label)
    if isinstance(bare, inspect.ListType):
        inner = _build(bare.item_type, label)
        return _Listed(inner, label) if _is_section(bare) else values.items(inner, bare, label)
    return _single(bare, extra, label)


def _single(bare: inspect.Type, extra: dict[str, Any], label: str) -> Check:
    if isinstance(bare, inspect.LiteralType):
        return values.choice(tuple(str(value) for value in bare.values), label)
    if isinstance(bare, inspect.BoolType):
        return values.boolean(label)
    if isinstance(bare, inspect.IntType):
        return (values.duration if extra.get("duration") else values.integer)(bare, label)
    if isinstance(bare, inspect.StrType):
        return values.secret(label) if extra.get("secret") else values.text(bare, label, extra)
    message = f"the language uses {bare!r}, which has no check"
    raise TypeError(message)


def _union(shape: inspect.UnionType, label: str) -> Check:
    """Either an optional value, or shapes told apart by a tag."""
    options = [option for option in shape.types if not isinstance(option, inspect.NoneType)]
    if len(options) == 1:
        return values.optional(_build(options[0], label))
    return _Tagged([option for option in options if isinstance(option, inspect.StructType)], label)


def _is_section(shape: inspect.Type) -> bool:
    """Whether a field holds declarations of their own: a mapping of names, or a list of mappings."""
    bare, _extra = _bare(shape)
    if isinstance(bare, inspect.ListType):
        return isinstance(_bare(bare.item_type)[0], inspect.UnionType | inspect.StructType)
    return isinstance(bare, inspect.DictType)


def _words(name: str) -> str:
    """``RemoteBuilder`` as ``remote builder``."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", name).lower()


class _Struct:
    """The check of a mapping with known keys."""

    def __init__(self, shape: inspect.StructType, label: str) -> None:
        self._label = label
        self._tag = {str(shape.tag_field): str(shape.tag)} if shape.tag_field is not None else {}
        self._fields = {one.name: one for one in shape.fields}
        self._checks = {one.name: _build(one.type, one.name) for one in shape.fields}
        self._sections = {one.name for one in shape.fields if _is_section(one.type)}
        self._known = [*self._tag, *self._fields]
        self.partial = issubclass(shape.cls, Partial)
        self._defaultable = {
            one.name for one in shape.fields if (shape.cls.__name__, one.name) in DEFAULTABLE
        }

    def __call__(self, node: Node, reading: Reading) -> Any:
        if not isinstance(node, Mapping):
            if not is_nothing(node):
                reading.note(node, f"{self._label}: expected a mapping, found {found(node)}")
                return INVALID
            node = Mapping(node.line, node.column)
        declared = Declared(node.line, node.column)
        outer, reading.references = reading.references, declared.references
        for key, value in node.items:
            self._take(declared, key, value, reading)
        reading.references = outer
        for name, one in self._fields.items():
            if one.required and name not in declared.places:
                if name in self._defaultable:
                    declared.missing[name] = self._label
                else:
                    reading.note(node, f"{self._label}: missing {name!r}")
        if not self.partial:
            self._complete(declared)
        return declared

    def section(self, name: str) -> Check:
        """The check of a field."""
        return self._checks[name]

    def _take(self, declared: Declared, key: Scalar, value: Node, reading: Reading) -> None:
        name = key.text
        if name in self._tag:
            return
        check = self._checks.get(name)
        if check is None:
            hint = did_you_mean(name, self._known) or f"; known are {known_names(self._known)}"
            reading.note(key, f"{self._label}: unknown key {name[:_SHOWN]!r}{hint}")
            return
        declared.places[name] = (value.line, value.column)
        result = check(value, reading)
        if result is INVALID:
            return
        if name in self._sections:
            declared.sections[name] = result
        elif isinstance(check, _Struct) and check.partial:
            declared.partial[name] = result
        elif isinstance(result, Declared):
            declared.fields[name] = result.fields
            declared.references += result.references
        else:
            declared.fields[name] = result
            if isinstance(result, dict):
                declared.secrets[name] = result.get("secret") or f"encrypted:{result['encrypted']}"

    def _complete(self, declared: Declared) -> None:
        """Put in the defaults of what is not written, all in the order of the language."""
        given = declared.fields
        declared.fields = dict(self._tag)
        for name, one in self._fields.items():
            if name in given:
                declared.fields[name] = given[name]
            elif name not in self._sections and name not in declared.places and not one.required:
                declared.fields[name] = self._default(name)

    def _default(self, name: str) -> Any:
        one = self._fields[name]
        if one.default is not NODEFAULT:
            return one.default
        inner = self._checks[name]
        if not isinstance(inner, _Struct):
            return []
        nothing = Declared(0, 0)
        inner._complete(nothing)  # noqa: SLF001 - of the same class
        return nothing.fields


class _Tagged:
    """The check of a mapping whose shape depends on one of its keys."""

    def __init__(self, shapes: list[inspect.StructType], label: str) -> None:
        self._label = label
        self._key = str(shapes[0].tag_field)
        self._checks = {str(shape.tag): _Struct(shape, str(shape.tag)) for shape in shapes}
        self._choice = values.choice(tuple(self._checks), self._key)

    def __call__(self, node: Node, reading: Reading) -> Any:
        if not isinstance(node, Mapping):
            reading.note(node, f"{self._label}: expected a mapping with {self._key!r}, found {found(node)}")
            return INVALID
        tag = next((value for name, value in node.items if name.text == self._key), None)
        if tag is None:
            reading.note(node, f"{self._label}: missing {self._key!r}, one of {known_names(self._checks)}")
            return INVALID
        chosen = self._choice(tag, reading)
        # What kind of thing it is must be known here; where only the form is, it is left out.
        return self._checks[chosen](node, reading) if chosen in self._checks else INVALID


class _Names:
    """The check of a mapping of names to declarations."""

    def __init__(self, shape: inspect.DictType, label: str) -> None:
        self._label = label
        value, _extra = _bare(shape.value_type)
        single = (
            _words(value.cls.__name__) if isinstance(value, inspect.StructType) else label.removesuffix("s")
        )
        self._key = _build(shape.key_type, f"name of {single}")
        self.value = _build(shape.value_type, single)

    def __call__(self, node: Node, reading: Reading) -> Any:
        if is_nothing(node):
            return []
        if not isinstance(node, Mapping):
            reading.note(node, f"{self._label}: expected a mapping of names, found {found(node)}")
            return INVALID
        entries = []
        outer = reading.references
        for key, value in node.items:
            entries.append(self.entry(key, value, reading))
        reading.references = outer
        return entries

    def check_name(self, name: str, reading: Reading) -> None:
        """Note what is wrong with a name."""
        self._key(Scalar(name, 1, 1, plain=False), reading)

    def entry(self, key: Scalar, value: Node, reading: Reading) -> Entry:
        """One of the declarations."""
        reading.references = []
        # A key is always text, however it is written: 2024 is a name like any other.
        name = self._key(_as_text(key), reading)
        result = self.value(value, reading)
        declared = result if isinstance(result, Declared) else Declared(value.line, value.column)
        if result is not INVALID and declared is not result:
            declared.fields = {"value": result}
        declared.references += reading.references
        return Entry(key.text if name is INVALID else name, key.line, key.column, declared)


class _Listed:
    """The check of a list of declarations."""

    def __init__(self, inner: Check, label: str) -> None:
        self._inner = inner
        self._label = label

    def __call__(self, node: Node, reading: Reading) -> Any:
        if is_nothing(node):
            return []
        if not isinstance(node, Sequence):
            reading.note(node, f"{self._label}: expected a list, found {found(node)}")
            return INVALID
        results = [(item, self._inner(item, reading)) for item in node.items]
        return [
            Entry(None, item.line, item.column, result)
            for item, result in results
            if isinstance(result, Declared)
        ]

    def entry(self, _key: Scalar, value: Node, reading: Reading) -> Entry:
        """One of the declarations, whose name stands inside."""
        result = self._inner(value, reading)
        declared = result if isinstance(result, Declared) else Declared(value.line, value.column)
        return Entry(None, value.line, value.column, declared)


def _as_text(key: Scalar) -> Scalar:
    return Scalar(key.text, key.line, key.column, plain=False)


_DOCUMENT = _build(inspect.type_info(Document), "document")
_PROJECT_FILE = _build(inspect.type_info(ProjectFile), "project file")
