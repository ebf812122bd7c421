"""From resources back to the YAML that declares them: loading what is written here gives the same resources."""

import json
import re
from collections import defaultdict
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
_WORD = re.compile(r"[A-Za-z_/][A-Za-z0-9_./@+-]*")
"""Text that needs no quotes inside brackets either."""
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
class Form:
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


def form_of(stored: Stored) -> Form:
    """How declarations like ``stored`` are written."""
    return _FORMS[stored.kind, stored.fields.get("type") if (stored.kind, None) not in _FORMS else None]


def written_fields(stored: Stored) -> list[tuple[str, Any]]:
    """What has to be written of ``stored``, in the order of the language.

    Raises:
        EncryptedError: as of ``export_text``.
    """
    form = form_of(stored)
    written = []
    # PostgreSQL keeps the fields of a JSON object in an order of its own.
    for name, value in sorted(stored.fields.items(), key=lambda one: form.order.get(one[0], -1)):
        if name in form.secrets and isinstance(value, dict) and "secret" not in value:
            raise EncryptedError(stored, name)
        if name not in form.defaults or form.defaults[name] != value:
            written.append((name, value))
    return written


def is_listed(kind: str) -> bool:
    """Whether declarations of ``kind`` are a list, not a mapping of names."""
    return kind in _LISTED


def written_name(stored: Stored, beside: Iterable[Stored]) -> str | None:
    """The name that an item of a list has to write; none: it is derived, among those ``beside`` it and itself."""
    name, kind = own_name(stored), stored.fields["type"]
    alike = sum(one.fields["type"] == kind for one in beside)
    derived = name == kind and (alike == 1 or "repository" not in stored.fields)
    return None if derived or ":" in name else name


def declaration_lines(root: Stored, inside: Iterable[Stored] = (), name: str | None = None) -> list[str]:
    """What stands below the name of ``root``, not indented: its fields and what is ``inside`` it.

    ``name``: of an item of a list, which writes it. Raises ``EncryptedError`` as ``export_text`` does.
    """
    lines = [*_fields(root, 0), *_sections(_grown([root, *inside])[0].inside, 0)]
    if name is not None:
        lines.insert(1, f"name: {written_value(name)}")
    return lines or ["{}"]


def declaration_in_brackets(root: Stored, inside: Iterable[Stored] = (), name: str | None = None) -> str:
    """As ``declaration_lines``, on one line."""
    return _on_one_line(_grown([root, *inside])[0], name)


def section_lines(root: Stored, inside: Iterable[Stored], section: str) -> list[str]:
    """A whole section of ``root`` below its name, not indented; the first line is what stands beside the name."""
    branches = _grown([root, *inside])[0].inside.get(section, [])
    return ["", *list(_sections({section: branches}, 0))[1:]] if branches else [_nothing(section)]


def section_in_brackets(root: Stored, inside: Iterable[Stored], section: str) -> str:
    """As ``section_lines``, on one line."""
    branches = _grown([root, *inside])[0].inside.get(section, [])
    return _section_on_one_line(branches) if branches else _nothing(section)


def _nothing(section: str) -> str:
    return "[]" if any(kind.section == section and kind.name in _LISTED for kind in KINDS) else "{}"


def _on_one_line(branch: _Branch, name: str | None = None) -> str:
    scalar = _KINDS[branch.stored.kind].scalar
    if scalar is not None:
        return bracketed(branch.stored.fields[scalar])
    secrets = form_of(branch.stored).secrets
    parts = [
        f"{field}: {written_value(value, secret=True) if field in secrets and value else bracketed(value)}"
        for field, value in written_fields(branch.stored)
    ]
    if name is not None:
        parts.insert(1, f"name: {bracketed(name)}")
    parts += [f"{section}: {_section_on_one_line(branches)}" for section, branches in branch.inside.items()]
    return f"{{{', '.join(parts)}}}"


def _section_on_one_line(branches: list[_Branch]) -> str:
    stored = [one.stored for one in branches]
    if is_listed(stored[0].kind):
        return f"[{', '.join(_on_one_line(one, written_name(one.stored, stored)) for one in branches)}]"
    named = [f"{written_key(own_name(one.stored))}: {_on_one_line(one)}" for one in branches]
    return f"{{{', '.join(named)}}}"


def _tree(stored: Iterable[Stored]) -> dict[str, list[_Branch]]:
    """Resources by section, with those that stand inside them."""
    top: dict[str, list[_Branch]] = {}
    for branch in _grown(stored):
        top.setdefault(_KINDS[branch.stored.kind].section, []).append(branch)
    return top


def _grown(stored: Iterable[Stored]) -> list[_Branch]:
    """Those that stand inside none of the others, in the order of the language and of their lines."""
    top: list[_Branch] = []
    known: dict[tuple[str | None, str], _Branch] = {}
    order = {kind.name: number for number, kind in enumerate(KINDS)}
    depth = {kind.name: _depth(kind) for kind in KINDS}
    for one in sorted(stored, key=lambda one: (depth[one.kind], order[one.kind], one.line, one.key)):
        kind = _KINDS[one.kind]
        branch = known[one.kind, one.key] = _Branch(one)
        around = known.get((kind.parent, parent_key(one)))
        (top if around is None else around.inside.setdefault(kind.section, [])).append(branch)
    return top


def _depth(kind: Kind) -> int:
    return 0 if kind.parent is None else 1 + _depth(_KINDS[kind.parent])


def parent_key(stored: Stored) -> str:
    """The key of the resource that it stands inside; empty: of none."""
    return "/".join(stored.key.split("/", _depth(_KINDS[stored.kind]))[:-1])


def own_name(stored: Stored) -> str:
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
            name = written_key(own_name(branch.stored))
            if kind.scalar is not None:
                yield f"{' ' * (indent + 2)}{name}: {written_value(branch.stored.fields[kind.scalar])}"
                continue
            lines = [*_fields(branch.stored, indent + 4), *_sections(branch.inside, indent + 4)]
            yield f"{' ' * (indent + 2)}{name}:{'' if lines else ' {}'}"
            yield from lines


def _items(branches: list[_Branch], indent: int) -> Iterator[str]:
    """Declarations in a list; a name that is derived from the others is not written."""
    for branch in branches:
        name = written_name(branch.stored, (one.stored for one in branches))
        lines = list(_fields(branch.stored, indent + 2))
        if name is not None:
            lines.insert(1, f"{' ' * (indent + 2)}name: {written_value(name)}")
        yield f"{' ' * indent}- {lines[0].lstrip()}"
        yield from lines[1:]


def _fields(stored: Stored, indent: int) -> Iterator[str]:
    """What differs from the defaults."""
    form = form_of(stored)
    for name, value in written_fields(stored):
        yield f"{' ' * indent}{name}: {written_value(value, secret=name in form.secrets)}"


def written_value(value: Any, *, secret: bool = False) -> str:
    """A value on one line."""
    if secret and isinstance(value, dict):
        return f"!secret {_text(value['secret'])}"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{written_key(name)}: {bracketed(one)}' for name, one in value.items())}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(bracketed, value))}]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def bracketed(value: Any) -> str:
    """A value inside brackets, where more characters have a meaning."""
    plain = isinstance(value, str) and _WORD.fullmatch(value) and value.lower() not in _WORDS
    return _quoted(value) if isinstance(value, str) and not plain else written_value(value)


def written_key(name: str) -> str:
    """A key of a mapping."""
    return name if _NAME.fullmatch(name) and name.lower() not in _WORDS else _quoted(name)


def _text(value: str) -> str:
    return value if _PLAIN.fullmatch(value) and value.lower() not in _WORDS else _quoted(value)


def quoted_as(value: str, old: str) -> str | None:
    """``value`` in the quotes that ``old``, as it is written, has; none: it has none."""
    if old.startswith("'") and value.isprintable():
        return "'{}'".format(value.replace("'", "''"))
    return _quoted(value) if old.startswith(("'", '"')) else None


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
) -> Iterator[tuple[tuple[str, str | None], Form, bool]]:
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


def _form(struct: inspect.StructType) -> Form:
    defaults = {one.name: _default(one) for one in struct.fields if not one.required}
    secrets = frozenset(one.name for one in struct.fields if _bare(one.type)[1].get("secret"))
    order = {one.name: number for number, one in enumerate(struct.fields)}
    return Form(order, defaults, secrets)


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
