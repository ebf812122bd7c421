"""Edits of one place of a YAML text that leave everything else as it is, byte for byte. Pure."""

import re
from collections.abc import Sequence

from fc.config.spots import Spot

_OPEN = re.compile(r"[ \t]*:[ \t]*(?:\{[ \t]*\}|\[[ \t]*\])?[ \t]*\r?\n?")
_COMMA = re.compile(r"(?:\s|(?<=\s)#[^\n]*)*,")


def replace(text: str, key: Spot, value: Spot, new: str) -> str:
    """``text`` with ``new``, a value on one line, in the place of ``value``; its anchor stays."""
    named = f"&{value.anchor} {new}" if value.anchor is not None else new
    between = text[key.end : value.start]
    if "\n" not in between:
        gap = "" if between[-1:].isspace() else " "
        return text[: value.start] + gap + named + text[value.end :]
    colon = key.end + between.index(":") + 1
    if "#" not in between:
        return f"{text[:colon]} {named}{text[value.end :]}"
    # The comment beside the key stays; in brackets, and further right than the key, a value may follow it.
    return f"{text[: value.start]}{' ' * max(0, key.column + 2 - value.column)}{named}{text[value.end :]}"


def replace_with_block(text: str, key: Spot, value: Spot, lines: Sequence[str]) -> str:
    """As ``replace``, with the lines of a block below a key that is not in brackets."""
    ending = line_break(text)
    colon = key.end + text[key.end : value.start].index(":") + 1
    named = f" &{value.anchor}" if value.anchor is not None else ""
    block = "".join(f"{ending}{' ' * (key.column + 2)}{line}" for line in lines)
    return text[:colon] + named + block + text[value.end :]


def is_open(text: str, key: Spot, value: Spot) -> bool:
    """Whether a block may take the place of ``value``: nothing but the key, and an empty value, stands on the line."""
    begin = text.rfind("\n", 0, key.start) + 1
    end = line_end(text, key.end)
    return (
        (text[begin : key.start].isspace() or begin == key.start)
        and value.end <= end
        and _OPEN.fullmatch(text, key.end, end) is not None
    )


def add_pair(text: str, mapping: Spot, after: int | None, key: str, lines: Sequence[str]) -> str:
    """``text`` with one more pair.

    Args:
        text: the whole.
        mapping: in it.
        after: index of the pair that it follows; none: the last.
        key: as it is written.
        lines: the value on one line; or nothing, and the lines of a block, which a mapping in brackets cannot hold.
    """
    if mapping.flow:
        written = f"{key}: {lines[0]}"
        if not mapping.items:
            return text[: mapping.end - 1] + written + text[mapping.end - 1 :]
        place = mapping.pairs[-1 if after is None else after][1].end
        return f"{text[:place]}, {written}{text[place:]}"
    previous = mapping.pairs[-1 if after is None else after][1]
    indent = " " * mapping.items[0].column
    first = f"{indent}{key}: {lines[0]}" if lines[0] else f"{indent}{key}:"
    return _insert_lines(text, previous.end, [first, *(indent + line for line in lines[1:])])


def add_item(text: str, sequence: Spot, lines: Sequence[str], index: int | None = None) -> str:
    """``text`` with one more item before that at ``index``, else at the end, of a list that has some.

    Args:
        text: the whole.
        sequence: in it.
        lines: one line, or those of a block.
        index: of the item that follows; none: it is the last.
    """
    if sequence.flow:
        if index is not None:
            place = sequence.items[index].start
            return f"{text[:place]}{lines[0]}, {text[place:]}"
        last = sequence.items[-1]
        return f"{text[: last.end]}, {lines[0]}{text[last.end :]}"
    column = _dash(text, sequence.items[-1])
    written = [f"{' ' * column}- {lines[0]}", *(f"{' ' * column}  {line}" for line in lines[1:])]
    if not index:
        if index is None:
            return _insert_lines(text, sequence.items[-1].end, written)
        begin = text.rfind("\n", 0, sequence.items[0].start) + 1
        begin = own_comment(text, begin + _dash(text, sequence.items[0]))
        return text[:begin] + "".join(line + line_break(text) for line in written) + text[begin:]
    return _insert_lines(text, sequence.items[index - 1].end, written)


def remove_pair(text: str, mapping: Spot, index: int, *, comment: bool = True) -> str:
    """``text`` without a pair; of a mapping in blocks with its whole lines, and with the ``comment`` right above it."""
    pairs = mapping.pairs
    key, value = pairs[index]
    if mapping.flow:
        return _remove_bracketed(text, [(one.start, two.end) for one, two in pairs], index)
    begin = text.rfind("\n", 0, key.start) + 1
    if text[begin : key.start].strip():
        # The first of an item, whose dash stays.
        if index + 1 < len(pairs):
            return text[: key.start] + text[pairs[index + 1][0].start :]
        return f"{text[: key.start]}{{}}{text[value.end :]}"
    if comment:
        begin = own_comment(text, key.start)
    return text[:begin] + text[line_end(text, value.end) :]


def remove_item(text: str, sequence: Spot, index: int) -> str:
    """``text`` without an item of a list; of a list in blocks with its whole lines, and with the comment right above it."""
    item = sequence.items[index]
    if sequence.flow:
        return _remove_bracketed(text, [(one.start, one.end) for one in sequence.items], index)
    begin = text.rfind("\n", 0, item.start) + 1
    begin = own_comment(text, begin + _dash(text, item))
    return text[:begin] + text[line_end(text, item.end) :]


def own_comment(text: str, place: int) -> int:
    """Where the comment right above ``place``, and as far to the right, begins; without one, where its line does."""
    begin = text.rfind("\n", 0, place) + 1
    lead = text[begin:place] + "#"
    while begin:
        above = text.rfind("\n", 0, begin - 1) + 1
        if not text.startswith(lead, above):
            break
        begin = above
    return begin


def is_commented(text: str, key: Spot, value: Spot) -> bool:
    """Whether something is said about a pair: above it, beside it, or inside it."""
    begin = own_comment(text, key.start)
    return "#" in text[begin : key.start] or "#" in text[key.end : line_end(text, value.end)]


def line_end(text: str, place: int) -> int:
    """Where the line after the one with ``place`` begins."""
    found = text.find("\n", place)
    return len(text) if found < 0 else found + 1


def line_break(text: str) -> str:
    """How lines end in ``text``."""
    return "\r\n" if "\r\n" in text else "\n"


def _dash(text: str, item: Spot) -> int:
    """The column of the dash before an item."""
    begin = text.rfind("\n", 0, item.start) + 1
    return text.index("-", begin) - begin


def _insert_lines(text: str, place: int, lines: Sequence[str]) -> str:
    """``text`` with whole lines after the line with ``place``."""
    end = line_end(text, place)
    ending = line_break(text)
    lead = "" if text[:end].endswith("\n") else ending
    return text[:end] + lead + "".join(line + ending for line in lines) + text[end:]


def _remove_bracketed(text: str, ranges: Sequence[tuple[int, int]], index: int) -> str:
    """Without one of several things in brackets; what is said about the others stays."""
    begin, end = ranges[index]
    stop = _behind_comma(text, end)
    line = text.rfind("\n", 0, begin) + 1
    rest = text[stop : line_end(text, stop)]
    if not text[line:begin].strip() and rest.endswith("\n") and rest.lstrip()[:1] in {"", "#"}:
        return text[: own_comment(text, begin)] + text[line_end(text, stop) :]
    following = ranges[index + 1][0] if index + 1 < len(ranges) else None
    if following is not None:
        if "\n" in text[stop:following]:
            return text[:begin].rstrip(" ") + text[stop:]
        return text[:begin] + text[following:]
    before = ranges[index - 1][1] if index else None
    if before is not None and "\n" not in text[before:begin]:
        return text[:before] + text[end:]
    return text[:begin] + text[stop:]


def _behind_comma(text: str, place: int) -> int:
    """Where the comma that follows ends, if nothing but blanks and comments comes before it; else ``place``."""
    found = _COMMA.match(text, place)
    return place if found is None else found.end()
