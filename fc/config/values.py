"""Checks of single values: text, numbers, choices, durations, secrets. A wrong one is noted at its place."""

import re
from collections.abc import Callable
from typing import Any, Final, TypeGuard

from msgspec import inspect

from fc.base.durations import parse_duration
from fc.base.errors import InvalidInputError
from fc.base.problems import Problem
from fc.config.declared import Reference
from fc.config.nodes import (
    AGE_TAG,
    SECRET_TAG,
    Mapping,
    Node,
    Scalar,
    Sequence,
    is_true,
    meaning,
    meaning_of,
)
from fc.config.wording import did_you_mean, known_names

_SECRET_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SHOWN = 60


class Reading:
    """The reading of one file: where problems, and what the current declaration refers to, are gathered."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self.references: list[Reference] = []
        self.settled = True
        """False: what failed may succeed another time, though the file stays as it is."""

    def note(self, node: Node, message: str) -> None:
        """A problem at the place of ``node``; a value that cannot be had has been complained about already."""
        if isinstance(node, Scalar) and node.state != "known":
            return
        self.problems.append(Problem(self.file, node.line, node.column, message))


class Invalid:
    """What a check returns after it has noted a problem."""


INVALID: Final = Invalid()
Check = Callable[[Node, Reading], Any]
"""Gives the value of a node, or ``INVALID`` after noting why there is none."""


def found(node: Node) -> str:
    """What stands at ``node``, for messages. Texts are not repeated: they might be secret."""
    if isinstance(node, Mapping):
        return "a mapping"
    if isinstance(node, Sequence):
        return "a list"
    if node.secret:
        return "a secret"
    kind = meaning(node)
    if kind in {"nothing", "text"}:
        return kind
    return f"{'the value' if kind == 'boolean' else 'the number'} {node.text[:_SHOWN]}"


def is_nothing(node: Node) -> bool:
    """Whether nothing is written, or ``null``."""
    return isinstance(node, Scalar) and not node.secret and meaning(node) == "nothing"


def _is_unknown(node: Node) -> TypeGuard[Scalar]:
    """Whether its value is known elsewhere only; what stands for it passes every check."""
    return isinstance(node, Scalar) and node.state == "unknown"


def _plain(node: Node, kind: str) -> str | None:
    """The text of a scalar that means ``kind``; none for anything else."""
    if not isinstance(node, Scalar) or node.secret or node.state == "broken":
        return None
    if node.fetched:
        # Nobody can put it in quotes elsewhere, so it means what is wanted, if it can.
        return node.text if kind == "text" or meaning_of(node.text) == kind else None
    return node.text if meaning(node) == kind else None


def optional(inner: Check) -> Check:
    """``inner``, or nothing."""

    def check(node: Node, reading: Reading) -> Any:
        return None if is_nothing(node) else inner(node, reading)

    return check


def text(shape: inspect.StrType, label: str, extra: dict[str, Any]) -> Check:
    """Text of a certain length and form. ``extra`` may say what is expected, check more, and say what it refers to."""
    kind = extra.get("refers_to")

    def check(node: Node, reading: Reading) -> Any:
        if _is_unknown(node):
            return node.text
        value = _plain(node, "text")
        wrong = _not_text(node) if value is None else _misfit(value, shape, extra)
        if wrong or value is None:
            reading.note(node, f"{label}: {wrong}")
            return INVALID
        if kind is not None:
            reading.references.append(Reference(kind, value, node.line, node.column))
        return value

    return check


def _not_text(node: Node) -> str:
    hint = ""
    if isinstance(node, Scalar) and node.secret:
        hint = "; only passwords, tokens and keys can be secrets"
        if node.tag == AGE_TAG:
            hint += " (sops: --encrypted-regex '^(secret|token|key)$')"
    elif isinstance(node, Scalar) and node.text:
        hint = f'; put it in quotes: "{node.text[:_SHOWN]}"'
    return f"expected text, found {found(node)}{hint}"


def _misfit(value: str, shape: inspect.StrType, extra: dict[str, Any]) -> str:
    """What is wrong with a text; empty: nothing."""
    if shape.max_length is not None and len(value) > shape.max_length:
        return f"has {len(value)} characters, at most {shape.max_length} are possible"
    if len(value) < (shape.min_length or 0):
        return "must not be empty"
    # The compiled pattern comes out of the cache of the module re.
    if shape.pattern is not None and not re.fullmatch(shape.pattern, value):
        return f"expected {extra['expected']}"
    if "check" in extra:
        try:
            extra["check"](value)
        except InvalidInputError as error:
            return str(error)
    return ""


def integer(shape: inspect.IntType, label: str) -> Check:
    """A whole number between bounds."""

    def check(node: Node, reading: Reading) -> Any:
        if _is_unknown(node):
            return node.text
        value = _plain(node, "integer")
        if value is None:
            reading.note(node, f"{label}: expected a whole number, found {found(node)}")
            return INVALID
        return _bounded(int(value), shape, label, node, reading)

    return check


def duration(shape: inspect.IntType, label: str) -> Check:
    """A number of seconds, or a text such as ``5m``."""

    def check(node: Node, reading: Reading) -> Any:
        if _is_unknown(node):
            return node.text
        value = _plain(node, "integer") or _plain(node, "text")
        try:
            seconds = parse_duration(value or "")
        except ValueError:
            reading.note(
                node, f"{label}: expected a duration such as 90, 30s, 5m, 1h30m or 2d, found {found(node)}"
            )
            return INVALID
        return _bounded(seconds, shape, label, node, reading)

    return check


def _bounded(value: int, shape: inspect.IntType, label: str, node: Node, reading: Reading) -> Any:
    if shape.ge is not None and value < shape.ge:
        reading.note(node, f"{label}: {value} is too small, the least is {shape.ge}")
        return INVALID
    if shape.le is not None and value > shape.le:
        reading.note(node, f"{label}: {value} is too large, the most is {shape.le}")
        return INVALID
    return value


def boolean(label: str) -> Check:
    """The words true or false, and none of the other words YAML once had for them."""

    def check(node: Node, reading: Reading) -> Any:
        if _is_unknown(node):
            return node.text
        if _plain(node, "boolean") is None:
            reading.note(node, f"{label}: expected true or false, found {found(node)}")
            return INVALID
        assert isinstance(node, Scalar)
        return is_true(node)

    return check


def choice(values: tuple[str, ...], label: str) -> Check:
    """One of certain words."""

    def check(node: Node, reading: Reading) -> Any:
        if _is_unknown(node):
            return node.text
        value = _plain(node, "text")
        if value in values:
            return value
        hint = did_you_mean(value, values) if value is not None else ""
        fetched = isinstance(node, Scalar) and node.fetched
        seen = repr(value[:_SHOWN]) if value is not None and not fetched else found(node)
        reading.note(node, f"{label}: expected {known_names(values)}, found {seen}{hint}")
        return INVALID

    return check


def secret(label: str) -> Check:
    """A reference to a secret; a secret itself is refused, and never repeated."""

    def check(node: Node, reading: Reading) -> Any:
        if not isinstance(node, Scalar) or not node.secret:
            reading.note(
                node,
                f"{label}: a secret is never written here; keep it where FC runs, as the variable FC_SECRET_<NAME> "
                "or a file in secrets.directory, and write !secret NAME",
            )
            return INVALID
        if node.tag != SECRET_TAG:
            return INVALID if node.state == "broken" else {"encrypted": node.text}
        if not _SECRET_NAME.fullmatch(node.text) or len(node.text) > _SHOWN:
            reading.note(
                node,
                f"{label}: !secret is followed by a name of letters, digits, dots, dashes and underscores",
            )
            return INVALID
        return {"secret": node.text}

    return check


def items(inner: Check, shape: inspect.ListType, label: str) -> Check:
    """A list whose items pass ``inner``; nothing is an empty list."""
    shortest = shape.min_length or 0

    def check(node: Node, reading: Reading) -> Any:
        if is_nothing(node):
            node = Sequence(node.line, node.column)
        if not isinstance(node, Sequence):
            reading.note(node, f"{label}: expected a list, found {found(node)}")
            return INVALID
        if len(node.items) < shortest or (
            shape.max_length is not None and len(node.items) > shape.max_length
        ):
            bounds = f"at least {shortest}" if len(node.items) < shortest else f"at most {shape.max_length}"
            reading.note(node, f"{label}: has {len(node.items)} items, {bounds} are possible")
            return INVALID
        values = [inner(item, reading) for item in node.items]
        return INVALID if INVALID in values else values

    return check
