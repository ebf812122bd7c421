"""One declaration in a YAML text: its fields set, itself removed, another one added inside it. Pure."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from fc.config.edit_text import (
    add_item,
    add_pair,
    line_break,
    remove_item,
    remove_pair,
    replace,
    replace_with_block,
)
from fc.config.export import (
    EncryptedError,
    Stored,
    bracketed,
    declaration_in_brackets,
    declaration_lines,
    export_text,
    form_of,
    is_listed,
    own_name,
    quoted_as,
    written_key,
    written_name,
    written_value,
)
from fc.config.language import KIND_BY_NAME
from fc.config.spots import Spot, spots

PathPart = str | int
Subtree = Callable[[list[PathPart]], list[Stored]]
"""Everything that is wanted at and below a declaration."""


class NotWrittenHereError(Exception):
    """What must be edited comes from an anchor, and writing it here instead is not safe."""


_TYPE = "type"
"""The field that tells shapes of one kind apart."""
_TOP = 2
"""Length of the path of a resource that stands on its own."""
_SHARED = "comes from an anchor or a merge"


class Declaration:
    """The declaration at a path: sections, names and numbers from the document on. The empty path is the document."""

    def __init__(self, text: str, path: Sequence[PathPart], subtree: Subtree) -> None:
        self.text = text
        """With every edit that was made."""
        self._path = list(path)
        self._subtree = subtree

    def set_field(self, wanted: Stored, name: str) -> None:
        """Write a field so that it is as ``wanted`` says.

        Raises:
            EncryptedError: it is a secret that stands encrypted in git.
            NotWrittenHereError: it cannot be written here.
        """
        if KIND_BY_NAME[wanted.kind].scalar == name:
            self._set_scalar(wanted.fields[name])
            return
        form = form_of(wanted)
        value = wanted.fields.get(name, form.defaults.get(name))
        secret = name in form.secrets
        if secret and isinstance(value, dict) and "secret" not in value:
            raise EncryptedError(wanted, name)
        own = self._own()
        if own is None or own[2].form == "alias":
            self._write_out(self._path)
            return
        _, key, spot = own
        if spot.form == "scalar":
            # Nothing is written but the name: all of it comes from defaults.
            pair = f"{{{written_key(name)}: {self._bracketed(value, secret=secret)}}}"
            self.text = replace(self.text, key, spot, pair)
            return
        found = spot.pair(name)
        if found is None:
            before = [
                number
                for number, (one, _) in enumerate(spot.pairs)
                if form.order.get(one.text, -1) < form.order[name] and one.text in form.order
            ]
            written = self._inline(value, spot, secret=secret)
            self.text = add_pair(self.text, spot, before[-1] if before else 0, written_key(name), [written])
        elif (name not in form.order and name != _TYPE) or (
            name in form.defaults and value == form.defaults[name] and len(spot.pairs) > 1
        ):
            self._guard_anchors(found[1])
            self.text = remove_pair(self.text, spot, spot.pairs.index(found))
        else:
            self._set(found, value, spot, secret=secret)

    def _set_scalar(self, value: Any) -> None:
        """Of a declaration that is a single value."""
        own = self._own()
        if own is None:
            self._write_out(self._path)
        else:
            self._set(own[1:], value, own[0], secret=False)

    def remove(self) -> None:
        """Take it out, and the section with it if that would be empty.

        Raises:
            NotWrittenHereError: it comes from an anchor.
        """
        path = self._path
        section = self._reach(path[:-1], path[-1])
        if section is None or section.form not in {"mapping", "sequence"}:
            # It comes with the whole section, which is therefore written out above, or with what it stands in.
            self._write_out(path[:-2])
            return
        count = len(section.pairs) if section.form == "mapping" else len(section.items)
        index = self._index(section, path[-1])
        if index is None:
            self._write_out(path[:-2])
            return
        self._guard_anchors(section.pairs[index][1] if section.form == "mapping" else section.items[index])
        if count == 1 and self._remove_section(path, section):
            return
        if section.form == "mapping":
            self.text = remove_pair(self.text, section, index)
        else:
            self.text = remove_item(self.text, section, index)

    def _remove_section(self, path: list[PathPart], section: Spot) -> bool:
        """Whether a section with a single declaration could be taken out whole."""
        for above in _all(spots(self.text)):
            if (
                above.form == "mapping"
                and (pair := above.pair(str(path[-2])))
                and pair[1].start == section.start
            ):
                if len(path) > _TOP and len(above.pairs) == 1:
                    return False
                self.text = remove_pair(self.text, above, above.pairs.index(pair))
                return True
        return False

    def add(self, new: Stored, beside: Sequence[Stored], inside: Sequence[Stored] = ()) -> None:
        """Declare ``new`` inside it, with what stands ``inside`` that; ``beside``: all of a list, ``new`` included.

        Raises:
            EncryptedError: it has a secret that stands encrypted in git.
            NotWrittenHereError: the section comes from an anchor.
        """
        kind = KIND_BY_NAME[new.kind]
        holder = self._reach(self._path) if self._path else self._document(kind.section)
        if holder is None:
            if self._path:
                self._write_out(self._path)
            else:
                self._append_document([new, *inside])
            return
        if holder.form == "alias":
            self._write_out(self._path)
            return
        if not self._path and not holder.items and holder.flow:
            made = export_text([new, *inside]).rstrip("\n").replace("\n", line_break(self.text))
            self.text = self.text[: holder.start] + made + self.text[holder.end :]
            return
        listed = is_listed(new.kind)
        name = written_name(new, beside) if listed else None
        if holder.form == "scalar":
            raise NotWrittenHereError(_SHARED)
        found = holder.pair(kind.section)
        if found is None:
            lines = self._section_lines(new, inside, name, flow=holder.flow)
            self.text = add_pair(self.text, holder, None, kind.section, lines)
            return
        self._add_to(found, new, inside, name)

    def _add_to(
        self, pair: tuple[Spot, Spot], new: Stored, inside: Sequence[Stored], name: str | None
    ) -> None:
        """Add a declaration to a section that is there."""
        (key, section), kind, listed = pair, KIND_BY_NAME[new.kind], is_listed(new.kind)
        if section.form == "alias":
            if self._path:
                self._write_out(self._path)
                return
            raise NotWrittenHereError(_SHARED)
        if section.form == "scalar" or not section.items:
            text = declaration_in_brackets(new, inside, name)
            inner = f"[{text}]" if listed else f"{{{written_key(own_name(new))}: {text}}}"
            self.text = replace(self.text, key, section, inner)
        elif listed:
            lines = (
                [declaration_in_brackets(new, inside, name)]
                if section.flow
                else declaration_lines(new, inside, name)
            )
            self.text = add_item(self.text, section, lines)
        else:
            lines = (
                [declaration_in_brackets(new, inside, name)]
                if section.flow or kind.scalar
                else ["", *_indented(declaration_lines(new, inside, name))]
            )
            self.text = add_pair(self.text, section, None, written_key(own_name(new)), lines)

    def _section_lines(
        self, new: Stored, inside: Sequence[Stored], name: str | None, *, flow: bool
    ) -> list[str]:
        listed = is_listed(new.kind)
        key = written_key(own_name(new))
        if flow:
            text = declaration_in_brackets(new, inside, name)
            return [f"[{text}]" if listed else f"{{{key}: {text}}}"]
        if listed:
            first, *rest = declaration_lines(new, inside, name)
            return ["", f"  - {first}", *(f"    {line}" for line in rest)]
        if KIND_BY_NAME[new.kind].scalar:
            return ["", f"  {key}: {declaration_in_brackets(new, inside, name)}"]
        return ["", f"  {key}:", *_indented(_indented(declaration_lines(new, inside, name)))]

    def _append_document(self, new: Sequence[Stored]) -> None:
        """There is no document that could hold it: a file that is new, empty, or full of comments."""
        made = export_text(new).replace("\n", line_break(self.text))
        lead = "" if not self.text or self.text.endswith("\n") else line_break(self.text)
        self.text += lead + made

    def _bracketed(self, value: Any, *, secret: bool) -> str:
        return written_value(value, secret=True) if secret and isinstance(value, dict) else bracketed(value)

    def _inline(self, value: Any, holder: Spot, *, secret: bool) -> str:
        return self._bracketed(value, secret=secret) if holder.flow else written_value(value, secret=secret)

    def _set(self, pair: tuple[Spot, Spot], value: Any, holder: Spot, *, secret: bool) -> None:
        """Put a value in the place of a written one; lists item by item, so that what is said beside them stays."""
        key, spot = pair
        if isinstance(value, list) and spot.form == "sequence" and self._set_items(spot, value):
            return
        if isinstance(value, dict) and not secret and spot.form == "mapping" and len(value) == 1:
            [(name, inner)] = value.items()
            found = spot.pair(name)
            if found is not None and len(spot.pairs) == 1:
                self._set(found, inner, spot, secret=False)
                return
        self._guard_anchors(spot, itself=False)
        written = self._inline(value, holder, secret=secret)
        if isinstance(value, str) and spot.form == "scalar":
            written = quoted_as(value, self.text[spot.start : spot.end]) or written
        self.text = replace(self.text, key, spot, written)

    def _set_items(self, spot: Spot, value: list[Any]) -> bool:
        """Whether a list could be changed by taking items out and adding others at its end."""
        simple = all(one.form == "scalar" and one.tag is None and one.anchor is None for one in spot.items)
        written = [one.text for one in spot.items]
        kept = [one for one in written if one in value]
        new = [one for one in value if one not in kept]
        if not simple or not kept or kept + new != value or len(set(written)) < len(written):
            return False
        self._guard_anchors(spot, itself=False)
        for index in reversed(range(len(written))):
            if written[index] not in kept:
                self.text = remove_item(self.text, spot, index)
        for one in new:
            # Each edit moves what follows it, so the list is looked for anew.
            moved = next(
                found
                for found in _all(spots(self.text))
                if found.start == spot.start and found.form == "sequence"
            )
            self.text = add_item(self.text, moved, [bracketed(one) if spot.flow else written_value(one)])
        return True

    def _own(self) -> tuple[Spot, Spot, Spot] | None:
        """What holds the declaration, its name, and itself, which is the name of an item; none: an anchor gives it."""
        section = self._reach(self._path[:-1], self._path[-1])
        index = None if section is None else self._index(section, self._path[-1])
        if section is None or index is None:
            return None
        if section.form == "mapping":
            return (section, *section.pairs[index])
        return section, section.items[index], section.items[index]

    def _index(self, section: Spot, part: PathPart) -> int | None:
        if isinstance(part, int):
            return part if section.form == "sequence" and part < len(section.items) else None
        if section.form != "mapping":
            return None
        return next((number for number, (key, _) in enumerate(section.pairs) if key.text == part), None)

    def _document(self, section: str) -> Spot | None:
        """The document with this section, else the last that is a mapping."""
        documents = [one for one in spots(self.text) if one.form == "mapping"]
        holding = [one for one in documents if one.pair(section) is not None]
        return holding[0] if holding else documents[-1] if documents else None

    def _reach(self, path: Sequence[PathPart], inside: PathPart | None = None) -> Spot | None:
        """What is written at ``path`` itself; none: it comes from an anchor, or is not there.

        Of several documents with such a place, that where ``inside`` stands in it.
        """
        found: list[Spot] = []
        for document in spots(self.text):
            spot: Spot | None = document
            for part in path:
                index = None if spot is None else self._index(spot, part)
                if spot is None or index is None:
                    spot = None
                    break
                spot = spot.pairs[index][1] if spot.form == "mapping" else spot.items[index]
            if spot is not None:
                found.append(spot)
        holding = [one for one in found if inside is not None and self._index(one, inside) is not None]
        return next(iter(holding or found), None)

    def _write_out(self, path: list[PathPart]) -> None:
        """Write a whole declaration, with all inside it, in the place of what an anchor or a merge gave."""
        wanted = self._subtree(path) if len(path) > 1 else []
        section = self._reach(path[:-1], path[-1]) if path else None
        index = None if section is None else self._index(section, path[-1])
        if not wanted or section is None or section.form != "mapping" or index is None:
            if len(path) > _TOP:
                self._write_out(path[:-2])
                return
            raise NotWrittenHereError(_SHARED)
        self._guard_anchors(section.pairs[index][1])
        key, value = section.pairs[index]
        root, *inside = wanted
        if section.flow:
            self.text = replace(self.text, key, value, declaration_in_brackets(root, inside))
        else:
            self.text = replace_with_block(self.text, key, value, declaration_lines(root, inside))

    def _guard_anchors(self, spot: Spot, *, itself: bool = True) -> None:
        """Refuse to take out an anchor that something else still needs."""
        inside = [one for one in _all([spot]) if itself or one is not spot]
        names = {one.anchor for one in inside if one.anchor is not None}
        within = {id(one) for one in _all([spot])}
        for other in _all(spots(self.text)):
            if other.form == "alias" and other.text in names and id(other) not in within:
                if spot.start <= other.start < spot.end:
                    continue
                message = f"holds the anchor &{other.text}, which line {other.line} still needs"
                raise NotWrittenHereError(message)


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _all(roots: Iterable[Spot]) -> Iterator[Spot]:
    """Every spot at and below ``roots``."""
    for root in roots:
        yield root
        yield from _all(root.items)
