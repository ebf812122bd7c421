"""Resources that people declare outside git: JSON or YAML, checked by the same language. Pure."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from fc.base.errors import InvalidInputError
from fc.config.compile import Resource, ResourceId, Use, flatten
from fc.config.declared import Declared, Entry, Fragment
from fc.config.language import KIND_BY_NAME, LIFE, SECTIONS, Kind
from fc.config.nodes import MAX_DEPTH, SECRET_TAG, UNPRINTABLE, Mapping, Node, Scalar, Sequence, compose
from fc.config.rows import RULES
from fc.config.shapes import check_declaration
from fc.config.values import Reading
from fc.config.wording import did_you_mean

_LARGEST = 10**18


class InvalidResourceError(InvalidInputError):
    """What was sent is no such resource; says everything that is wrong with it."""

    code = "invalid_resource"

    def __init__(self, kind: str, key: str, reasons: Iterable[str]) -> None:
        self.reasons = list(dict.fromkeys(reasons))
        """One sentence each."""
        super().__init__(f"{kind.replace('_', ' ')} {key[:200]!r}: {'; '.join(self.reasons)}")


def key_parts(kind: Kind, key: str) -> tuple[str, ...]:
    """The names that make up a key; the last one may hold slashes.

    Raises:
        InvalidResourceError: there are too few, or characters that no name has.
    """
    names = RULES[kind.name].key
    parts = tuple(key.split("/", len(names) - 1))
    if len(parts) < len(names) or not all(parts):
        message = f"its name is written {'/'.join(name.removesuffix('_id') for name in names)}"
        raise InvalidResourceError(kind.name, key, [message])
    if UNPRINTABLE.search(key):
        raise InvalidResourceError(kind.name, key, ["its name has characters that cannot be printed"])
    return parts


def declare(kind: Kind, key: str, node: Node) -> tuple[Resource, list[ResourceId]]:
    """What ``node`` says about the resource, and everything that has to be there for it.

    Raises:
        InvalidResourceError: something is wrong with it; unknown fields come with the nearest name.
    """
    parts = key_parts(kind, key)
    if not isinstance(node, Mapping):
        raise InvalidResourceError(kind.name, key, ["expected a mapping of fields"])
    body = Mapping(1, 1)
    body.items = [(name, _with_secrets(value)) for name, value in node.items]
    reasons = [reason for name, _ in body.items if (reason := _out_of_place(kind, name.text))]
    if reasons:
        raise InvalidResourceError(kind.name, key, reasons)
    kinds = _lineage(kind)
    reading = Reading(key)
    entry = check_declaration(
        [(one.section, part) for one, part in zip(kinds, parts, strict=True)],
        _value(kind, key, parts[-1], body),
        reading,
    )
    for one, part in zip(reversed(kinds), reversed(parts), strict=True):
        inner = Declared(1, 1, sections={one.section: [entry]})
        above = kinds.index(one)
        entry = Entry(parts[above - 1] if above else part, 1, 1, inner)
    flat = flatten(Fragment(key, "", (entry.declared,), (), whole=True))
    problems = [problem.message for problem in (*reading.problems, *flat.missing)]
    if problems:
        raise InvalidResourceError(kind.name, key, problems)
    resource = next(one for one, _ in flat.resources if one.kind == kind.name)
    return replace(resource, key=key), [*_outside(kinds, parts), *_used(flat.uses)]


def node_of(value: Any, depth: int = 0) -> Node:
    """A value of JSON as YAML would have it.

    Raises:
        InvalidInputError: it is nested too deep, or holds what no configuration can.
    """
    if depth > MAX_DEPTH:
        message = f"nested deeper than {MAX_DEPTH}"
        raise InvalidInputError(message)
    if isinstance(value, dict):
        mapping = Mapping(1, 1)
        mapping.items = [(_text(str(name)), node_of(one, depth + 1)) for name, one in value.items()]
        return mapping
    if isinstance(value, list):
        sequence = Sequence(1, 1)
        sequence.items = [node_of(one, depth + 1) for one in value]
        return sequence
    if isinstance(value, str):
        return _text(value)
    if value is None:
        return Scalar("null", 1, 1, plain=True)
    if isinstance(value, bool):
        return Scalar("true" if value else "false", 1, 1, plain=True)
    small = isinstance(value, int) and abs(value) < _LARGEST
    return Scalar(str(value) if small or isinstance(value, float) else "1e99", 1, 1, plain=True)


def yaml_node(text: str) -> Node:
    """One value of YAML, as on a command line or in a file.

    Raises:
        InvalidInputError: it is no YAML, more than one document, or takes in what only git may.
    """
    composed = compose("input", text.encode("utf-8", "surrogateescape"))
    if composed.problems:
        raise InvalidInputError("\n".join(map(str, composed.problems)))
    if composed.tagged:
        message = "!env, !file and !age stand in git alone; name a secret with !secret"
        raise InvalidInputError(message)
    if len(composed.documents) > 1:
        message = "expected one document"
        raise InvalidInputError(message)
    return composed.documents[0] if composed.documents else Scalar("", 1, 1, plain=True)


def _text(value: str) -> Scalar:
    if UNPRINTABLE.search(value):
        message = "a text has characters that cannot be printed"
        raise InvalidInputError(message)
    return Scalar(value, 1, 1, plain=False)


def _with_secrets(node: Node) -> Node:
    """``node`` with ``{"secret": name}`` as a reference, as JSON must write it."""
    if isinstance(node, Sequence):
        sequence = Sequence(node.line, node.column)
        sequence.items = [_with_secrets(one) for one in node.items]
        return sequence
    if not isinstance(node, Mapping):
        return node
    if len(node.items) == 1:
        name, value = node.items[0]
        if name.text == "secret" and isinstance(value, Scalar):
            return Scalar(value.text, node.line, node.column, plain=False, tag=SECRET_TAG)
    mapping = Mapping(node.line, node.column)
    mapping.items = [(name, _with_secrets(value)) for name, value in node.items]
    return mapping


def _out_of_place(kind: Kind, field: str) -> str:
    """Why a field cannot be written here; empty: it may be right."""
    inside = SECTIONS.get(kind.name, {})
    if field in inside:
        return f"{field!r} are resources of their own, of the kind {inside[field].name}"
    if field in LIFE:
        return f"{field!r} is of declarations in git alone"
    return ""


def _lineage(kind: Kind) -> list[Kind]:
    """The kinds of all that it stands in, and itself."""
    return [*(_lineage(KIND_BY_NAME[kind.parent]) if kind.parent is not None else []), kind]


def _value(kind: Kind, key: str, name: str, body: Mapping) -> Node:
    """What stands under the name in YAML."""
    if kind.scalar is not None:
        wrong = [
            f"unknown key {field.text[:60]!r}{did_you_mean(field.text, [kind.scalar])}"
            for field, _ in body.items
            if field.text != kind.scalar
        ]
        if wrong or not body.items:
            raise InvalidResourceError(kind.name, key, wrong or [f"missing {kind.scalar!r}"])
        return body.items[0][1]
    if kind.name == "notification":
        return _named(kind, key, name, body)
    return body


def _named(kind: Kind, key: str, name: str, body: Mapping) -> Mapping:
    """A declaration of a list, whose name stands inside or follows from its type."""
    fields = {field.text: value for field, value in body.items}
    written, type_, repository = (
        value.text if isinstance(value := fields.get(field), Scalar) else None
        for field in ("name", "type", "repository")
    )
    if written is not None and written != name:
        raise InvalidResourceError(kind.name, key, [f"its name is {name!r}, not {written[:60]!r}"])
    if written is None and name not in {type_, f"{type_}:{repository}"}:
        body.items.append((_text("name"), _text(name)))
    return body


def _outside(kinds: list[Kind], parts: tuple[str, ...]) -> list[ResourceId]:
    """What the resource stands in."""
    return [(one.name, "/".join(parts[: number + 1])) for number, one in enumerate(kinds[:-1])]


def _used(uses: Iterable[Use]) -> list[ResourceId]:
    return [(use.kind, use.key) for use in uses]
