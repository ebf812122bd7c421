"""One declaration in a YAML text: its fields set, itself removed, another one added inside it. Pure."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from fc.config.declaration_place import (
    MERGE,
    NotWrittenHereError,
    PathPart,
    Place,
    all_below,
    index_of,
)
from fc.config.edit_text import (
    add_item,
    add_pair,
    is_commented,
    is_open,
    line_break,
    line_end,
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
    section_in_brackets,
    section_lines,
    written_key,
    written_name,
    written_value,
)
from fc.config.language import KIND_BY_NAME
from fc.config.list_edit import edit_list
from fc.config.spots import Spot, cached_spots

Subtree = Callable[[list[PathPart]], list[Stored]]
"""Everything that is wanted at and below a declaration."""
_TYPE = "type"
"""The field that tells shapes of one kind apart."""
_TOP = 2
"""Length of the path of a resource that stands on its own."""
_SHARED = "comes from an anchor or a merge"


class Declaration(Place):
    """A declaration that is edited."""

    def __init__(self, text: str, path: Sequence[PathPart], subtree: Subtree) -> None:
        super().__init__(text, path)
        self._subtree = subtree
        self.settled: list[PathPart] | None = None
        """The declaration of which a whole section was written as it is wanted; nothing below it is to be edited again."""

    def set_field(self, wanted: Stored, name: str) -> None:
        """Write a field so that it is as ``wanted`` says; over a merge or an alias, beside it.

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
        own = self.own()
        if own is None:
            self._override(self._path)
            return
        _, key, spot = own
        known = name in form.order or name == _TYPE
        found = spot.pair(name)
        if found is None and not known:
            # Nothing that is written here undoes what a merge gives.
            self._write_out(self._path)
        elif spot.form == "alias":
            self._put(
                spot,
                f"{{{MERGE}: *{spot.text}, {written_key(name)}: {self._bracketed(value, secret=secret)}}}",
            )
        elif spot.form == "scalar":
            # Nothing is written but the name: all of it comes from defaults.
            pair = f"{{{written_key(name)}: {self._bracketed(value, secret=secret)}}}"
            self.text = replace(self.text, key, spot, pair)
        elif found is None:
            before = [
                number
                for number, (one, _) in enumerate(spot.pairs)
                if form.order.get(one.text, -1) < form.order.get(name, 0) and one.text in form.order
            ]
            written = self._inline(value, spot, secret=secret)
            after = before[-1] if before else 0
            self.text = add_pair(self.text, spot, after, written_key(name), [written])
        elif not known or (
            name in form.defaults and value == form.defaults[name] and self._may_vanish(spot, found)
        ):
            self.guard_anchors(found[1])
            self.text = remove_pair(self.text, spot, spot.pairs.index(found))
        else:
            self._set(found, value, spot, secret=secret)

    def _may_vanish(self, holder: Spot, pair: tuple[Spot, Spot]) -> bool:
        """Whether a field that has its default need not be written: nothing is said about it, and nothing else gives it."""
        return len(holder.pairs) > 1 and holder.pair(MERGE) is None and not is_commented(self.text, *pair)

    def _set_scalar(self, value: Any) -> None:
        """Of a declaration that is a single value."""
        own = self.own()
        if own is None:
            self._override(self._path)
        else:
            self._set(own[1:], value, own[0], secret=False)

    def remove(self) -> None:
        """Take it out with the comment right above it, and the section with it if that would be empty.

        Raises:
            NotWrittenHereError: it comes from an anchor.
        """
        path = self._path
        section = self.reach(path[:-1], path[-1])
        index = None if section is None else index_of(section, path[-1])
        if section is None or index is None:
            self._override(path, gone=True)
            return
        count = len(section.pairs) if section.form == "mapping" else len(section.items)
        self.guard_anchors(section.pairs[index][1] if section.form == "mapping" else section.items[index])
        if count == 1 and self._remove_section(path, section):
            return
        if section.form == "mapping":
            self.text = remove_pair(self.text, section, index)
        else:
            self.text = remove_item(self.text, section, index)

    def _remove_section(self, path: list[PathPart], section: Spot) -> bool:
        """Whether a section with a single declaration could be taken out whole; what is said about it stays."""
        for above in all_below(cached_spots(self.text)):
            pair = above.pair(str(path[-2])) if above.form == "mapping" else None
            if pair is None or pair[1].start != section.start:
                continue
            if len(path) > _TOP and len(above.pairs) == 1:
                return False
            key = pair[0]
            if section.flow or above.flow:
                self.text = remove_pair(self.text, above, above.pairs.index(pair), comment=False)
                return True
            without = (remove_pair if section.form == "mapping" else remove_item)(self.text, section, 0)
            below = line_end(self.text, key.start)
            kept = without[below : len(without) - (len(self.text) - line_end(self.text, section.end))]
            if "#" in self.text[key.end : below] or section.anchor is not None:
                colon = self.text.index(":", key.end) + 1
                nothing = " []" if section.form == "sequence" else " {}"
                self.text = (
                    self.text[:colon] + nothing + self.text[colon:below] + kept + without[below + len(kept) :]
                )
                return True
            begin = self.text.rfind("\n", 0, key.start) + 1
            if self.text[begin : key.start].strip():
                return False
            self.text = self.text[:begin] + kept + without[below + len(kept) :]
            return True
        return False

    def add(self, new: Stored, beside: Sequence[Stored], inside: Sequence[Stored] = ()) -> None:
        """Declare ``new`` inside it, with what stands ``inside`` that; ``beside``: all of a list, ``new`` included.

        Raises:
            EncryptedError: it has a secret that stands encrypted in git.
            NotWrittenHereError: the section comes from an anchor.
        """
        kind = KIND_BY_NAME[new.kind]
        holder = self.reach(self._path) if self._path else self.document(kind.section)
        if holder is None:
            if self._path:
                self._override(self._path)
            else:
                self._append_document([new, *inside])
            return
        if not self._path and not holder.items and holder.flow:
            made = export_text([new, *inside]).rstrip("\n").replace("\n", line_break(self.text))
            self.text = self.text[: holder.start] + made + self.text[holder.end :]
            return
        if holder.form == "scalar":
            raise NotWrittenHereError(_SHARED)
        listed = is_listed(new.kind)
        name = written_name(new, beside) if listed else None
        found = holder.pair(kind.section)
        if found is not None and found[1].form != "alias":
            self._add_to(found, new, inside, name)
        elif found is None and holder.form == "mapping" and holder.pair(MERGE) is None:
            lines = self._section_lines(new, inside, name, flow=holder.flow)
            self.text = add_pair(self.text, holder, None, kind.section, lines)
        else:
            self._override([*self._path, kind.section, own_name(new)])

    def _add_to(
        self, pair: tuple[Spot, Spot], new: Stored, inside: Sequence[Stored], name: str | None
    ) -> None:
        """Add a declaration to a section that is there."""
        (key, section), kind, listed = pair, KIND_BY_NAME[new.kind], is_listed(new.kind)
        if is_open(self.text, key, section):
            _, *block = self._section_lines(new, inside, name, flow=False)
            self.text = replace_with_block(self.text, key, section, [line[2:] for line in block])
        elif section.form == "scalar" or not section.items:
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
        if isinstance(value, list) and spot.form == "sequence":
            edited = edit_list(self.text, _finder(self.text, spot), value)
            if edited is not None:
                self.text = edited
                return
        if isinstance(value, dict) and not secret and spot.form == "mapping" and len(value) == 1:
            [(name, inner)] = value.items()
            found = spot.pair(name)
            if found is not None and len(spot.pairs) == 1:
                self._set(found, inner, spot, secret=False)
                return
        self.guard_anchors(spot, itself=False)
        written = self._inline(value, holder, secret=secret)
        if isinstance(value, str) and spot.form == "scalar":
            written = quoted_as(value, self.text[spot.start : spot.end]) or written
        self.text = replace(self.text, key, spot, written)

    def _put(self, spot: Spot, new: str) -> None:
        self.text = self.text[: spot.start] + new + self.text[spot.end :]

    def _override(self, path: list[PathPart], *, gone: bool = False) -> None:
        """Write what a merge or an alias gives into the nearest mapping that is written here itself.

        Args:
            path: of a declaration that differs, or is new.
            gone: it is not wanted any more.

        Raises:
            NotWrittenHereError: there is no such mapping.
        """
        above, section = path[:-2], str(path[-2])
        holder = self.reach(above) if above else self.document(section)
        if holder is None and above:
            self._override(above)
            return
        found = None if holder is None or holder.form != "mapping" else holder.pair(section)
        if holder is None or (found is None and not above) or holder.form not in {"mapping", "alias"}:
            raise NotWrittenHereError(_SHARED)
        self.settled = above
        if found is None:
            self._override_section(holder, above, section)
            return
        key, spot = found
        wanted = [] if gone or isinstance(path[-1], int) else self._subtree(path)
        if spot.form == "mapping" and spot.pair(MERGE) is not None:
            if wanted:
                self._add_to(found, wanted[0], wanted[1:], None)
                return
            # What it gave and is still wanted is declared anew in the next round.
            pairs = spot.pairs
            if len(pairs) > 1:
                self.text = remove_pair(self.text, spot, [one[0].text for one in pairs].index(MERGE))
                return
        if spot.form == "alias" and wanted:
            inner = declaration_in_brackets(wanted[0], wanted[1:])
            self._put(spot, f"{{{MERGE}: *{spot.text}, {written_key(own_name(wanted[0]))}: {inner}}}")
            return
        if not above:
            raise NotWrittenHereError(_SHARED)
        self.guard_anchors(spot)
        root, *inside = self._subtree(above)
        self.text = replace(self.text, key, spot, section_in_brackets(root, inside, section))

    def _override_section(self, holder: Spot, path: list[PathPart], section: str) -> None:
        """Write a whole section beside the merge, or the alias, that gave it."""
        root, *inside = self._subtree(path)
        on_one_line = section_in_brackets(root, inside, section)
        if holder.form == "alias":
            self._put(holder, f"{{{MERGE}: *{holder.text}, {section}: {on_one_line}}}")
        else:
            lines = [on_one_line] if holder.flow else section_lines(root, inside, section)
            self.text = add_pair(self.text, holder, None, section, lines)

    def _write_out(self, path: list[PathPart]) -> None:
        """Write a whole declaration, with all inside it, in the place of what an anchor or a merge gave."""
        wanted = self._subtree(path) if len(path) > 1 else []
        section = self.reach(path[:-1], path[-1]) if path else None
        index = None if section is None else index_of(section, path[-1])
        if not wanted or section is None or section.form != "mapping" or index is None:
            if len(path) > _TOP:
                self._write_out(path[:-2])
                return
            raise NotWrittenHereError(_SHARED)
        self.guard_anchors(section.pairs[index][1])
        key, value = section.pairs[index]
        root, *inside = wanted
        if section.flow:
            self.text = replace(self.text, key, value, declaration_in_brackets(root, inside))
        else:
            self.text = replace_with_block(self.text, key, value, declaration_lines(root, inside))


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _finder(text: str, spot: Spot) -> Callable[[str], Spot]:
    """Finds a list again after its items were edited: it is still as many mappings and lists behind the beginning."""
    number = [one.start for one in all_below(cached_spots(text)) if one.form == "sequence"].index(spot.start)

    def find(edited: str) -> Spot:
        return [one for one in all_below(cached_spots(edited)) if one.form == "sequence"][number]

    return find
