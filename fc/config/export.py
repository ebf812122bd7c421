"""From resources back to the YAML that declares them: loading what is written here gives the same resources."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from msgspec import NODEFAULT, inspect

from fc.base.errors import ConflictError
from fc.config.language import KINDS, SECTIONS, Configuration, Fields, Kind

_PLAIN = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@+()-]*(?:(?: |:(?=[A-Za-z0-9_./-]))[A-Za-z0-9_./@+()-]+)*")
"""Text that no reader of YAML, old or new, takes for anything else; without the words below."""
_WORDS = frozenset(("null", "true", "false", "yes", "no", "on", "off", "y", "n"))
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9._/-]*")
"""A key that needs no quotes."""
_ESCAPED = re.compile(
    "[^ -\ue5cd\ue5d0-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]|[\x7f-\xa0\u2028\u2029\ud800-\udfff]"
)


class Stored(NamedTuple):
    """A resource as it is remembered: what it says, and where that stood."""

    kind: str
    key: str
    fields: Fields
    """As compiled: with defaults; a secret is ``{"secret": name}``."""
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class _Form:
    """How declarations of a kind are written."""

    order: dict[str, int]
    """Fields by their place in the language."""
    defaults: dict[str, Any]
    """What need not be written."""
    secrets: frozenset[str]


@dataclass(slots=True)
class _Branch:
    """A resource with those that stand inside it."""

    stored: Stored
    inside: dict[str, list["_Branch"]] = field(default_factory=dict)
    """By section."""


class EncryptedError(ConflictError):
    """A secret stands encrypted in git; the database holds it for this service alone, so it cannot be written down."""

    code = "encrypted"

    def __init__(self, stored: Stored, name: str) -> None:
        super().__init__(
            f"{stored.kind.replace('_', ' ')} {stored.key!r} ({stored.file}:{stored.line}) has a {name} that stands "
            "encrypted in git; only git has it, so go back there (git revert)"
        )


def export_text(stored: Iterable[Stored]) -> str:
    """One document that declares all of ``stored``. Pure.

    Raises:
        EncryptedError: a secret stands encrypted in git, not by its name.
    """
    lines = list(_sections(_tree(stored), 0))
    return "\n".join(lines) + "\n" if lines else "{}\n"


def export_files(stored: Iterable[Stored]) -> dict[str, str]:
    """Documents that declare ``stored``, each resource in the file it came from. Pure.

    Raises:
        EncryptedError: as of ``export_text``.
    """
    by_file: dict[str, list[Stored]] = defaultdict(list)
    for one in stored:
        by_file[one.file].append(one)
    return {file: export_text(ones) for file, ones in sorted(by_file.items())}


def secret_fields(kind: str) -> frozenset[str]:
    """Names of the fields of ``kind`` that are secrets, whatever its type."""
    return frozenset(name for (one, _), form in _FORMS.items() if one == kind for name in form.secrets)


def _tree(stored: Iterable[Stored]) -> dict[str, list[_Branch]]:
    """Resources inside one another, in the order of the language and of their lines."""
    top: dict[str, list[_Branch]] = {}
    known: dict[tuple[str, str], _Branch] = {}
    order = {kind.name: number for number, kind in enumerate(KINDS)}
    depth = {kind.name: _depth(kind) for kind in KINDS}
    for one in sorted(stored, key=lambda one: (depth[one.kind], order[one.kind], one.line, one.key)):
        kind = _KINDS[one.kind]
        branch = known[one.kind, one.key] = _Branch(one)
        # A project's own file declares what stands inside the project, which it does not declare.
        parent = None if kind.parent is None else known.get((kind.parent, _parent_key(one)))
        sections = top if parent is None else parent.inside
        sections.setdefault(kind.section, []).append(branch)
    return top


def _depth(kind: Kind) -> int:
    return 0 if kind.parent is None else 1 + _depth(_KINDS[kind.parent])


def _parent_key(stored: Stored) -> str:
    return "/".join(stored.key.split("/", _depth(_KINDS[stored.kind]))[:-1])


def _own_name(stored: Stored) -> str:
    """The last part of the key, which may itself hold slashes."""
    return stored.key.split("/", _depth(_KINDS[stored.kind]))[-1]


def _sections(sections: dict[str, list[_Branch]], indent: int) -> Iterator[str]:
    for section, branches in sections.items():
        yield f"{' ' * indent}{section}:"
        kind = _KINDS[branches[0].stored.kind]
        if kind.name in _LISTED:
            yield from _items(branches, indent + 2)
            continue
        for branch in branches:
            name = _key(_own_name(branch.stored))
            if kind.scalar is not None:
                yield f"{' ' * (indent + 2)}{name}: {_value(branch.stored.fields[kind.scalar])}"
                continue
            lines = [*_fields(branch.stored, indent + 4), *_sections(branch.inside, indent + 4)]
            yield f"{' ' * (indent + 2)}{name}:{'' if lines else ' {}'}"
            yield from lines


def _items(branches: list[_Branch], indent: int) -> Iterator[str]:
    """Declarations in a list; a name that is derived from the others is not written."""
    types = Counter(branch.stored.fields["type"] for branch in branches)
    for branch in branches:
        name, kind = _own_name(branch.stored), branch.stored.fields["type"]
        lines = list(_fields(branch.stored, indent + 2))
        derived = name == kind and (types[kind] == 1 or "repository" not in branch.stored.fields)
        if not derived and ":" not in name:
            lines.insert(1, f"{' ' * (indent + 2)}name: {_value(name)}")
        yield f"{' ' * indent}- {lines[0].lstrip()}"
        yield from lines[1:]


def _fields(stored: Stored, indent: int) -> Iterator[str]:
    """What differs from the defaults."""
    form = _FORMS[stored.kind, stored.fields.get("type") if (stored.kind, None) not in _FORMS else None]
    # PostgreSQL keeps the fields of a JSON object in an order of its own.
    for name, value in sorted(stored.fields.items(), key=lambda one: form.order.get(one[0], -1)):
        if name in form.secrets and isinstance(value, dict) and "secret" not in value:
            raise EncryptedError(stored, name)
        if name not in form.defaults or form.defaults[name] != value:
            yield f"{' ' * indent}{name}: {_value(value, secret=name in form.secrets)}"


def _value(value: Any, *, secret: bool = False) -> str:
    """A value on one line."""
    if secret and isinstance(value, dict):
        return f"!secret {_text(value['secret'])}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{_key(name)}: {_inner(one)}' for name, one in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_inner, value))}]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _inner(value: Any) -> str:
    """A value inside brackets, where more characters have a meaning."""
    plain = isinstance(value, str) and _NAME.fullmatch(value) and value.lower() not in _WORDS
    return _quoted(value) if isinstance(value, str) and not plain else _value(value)


def _key(name: str) -> str:
    return name if _NAME.fullmatch(name) and name.lower() not in _WORDS else _quoted(name)


def _text(value: str) -> str:
    return value if _PLAIN.fullmatch(value) and value.lower() not in _WORDS else _quoted(value)


def _quoted(value: str) -> str:
    """Double-quoted; JSON's escapes are YAML's, and what YAML cannot hold as it is becomes one too."""
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))


def _bare(shape: inspect.Type) -> tuple[inspect.Type, dict[str, Any]]:
    """A type without its annotations and without ``None``, and what they say beside it."""
    extra: dict[str, Any] = {}
    while True:
        if isinstance(shape, inspect.Metadata):
            extra = {**(shape.extra or {}), **extra}
            shape = shape.type
            continue
        if isinstance(shape, inspect.UnionType):
            rest = [one for one in shape.types if not isinstance(one, inspect.NoneType)]
            if len(rest) == 1:
                shape = rest[0]
                continue
        return shape, extra


def _forms(
    shape: inspect.StructType, kinds: dict[str, Kind]
) -> Iterator[tuple[tuple[str, str | None], _Form, bool]]:
    """The form of every kind below ``shape``, by kind and type, and whether declarations of it are a list."""
    for one in shape.fields:
        kind = kinds.get(one.name)
        if kind is None:
            continue
        section, _ = _bare(one.type)
        listed = isinstance(section, inspect.ListType)
        inner, _ = _bare(section.item_type if isinstance(section, inspect.ListType) else section.value_type)  # type: ignore[attr-defined]  # a section is a mapping or a list
        for struct in inner.types if isinstance(inner, inspect.UnionType) else [inner]:
            if isinstance(struct, inspect.StructType):
                tag = None if struct.tag is None else str(struct.tag)
                yield (kind.name, tag), _form(struct), listed
                yield from _forms(struct, SECTIONS.get(kind.name, {}))


def _form(struct: inspect.StructType) -> _Form:
    defaults = {one.name: _default(one) for one in struct.fields if not one.required}
    secrets = frozenset(one.name for one in struct.fields if _bare(one.type)[1].get("secret"))
    order = {one.name: number for number, one in enumerate(struct.fields)}
    return _Form(order, defaults, secrets)


def _default(one: inspect.Field) -> Any:
    """What a field has that is not written, as it is compiled."""
    if one.default is not NODEFAULT:
        return one.default
    inner, _ = _bare(one.type)
    if isinstance(inner, inspect.StructType):
        return dict(_form(inner).defaults)
    return []


_KINDS = {kind.name: kind for kind in KINDS}
_ALL = list(_forms(inspect.type_info(Configuration), SECTIONS[None]))  # type: ignore[arg-type]  # the language is a struct
_FORMS = {key: form for key, form, _ in _ALL}
_LISTED = frozenset(key[0] for key, _, listed in _ALL if listed)
