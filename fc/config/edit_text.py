"""Edits of one place of a YAML text that leave everything else as it is, byte for byte. Pure."""

from collections.abc import Sequence

from fc.config.spots import Spot


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


def add_item(text: str, sequence: Spot, lines: Sequence[str]) -> str:
    """``text`` with one more item at the end of a list that has some: one line, or those of a block."""
    last = sequence.items[-1]
    if sequence.flow:
        return f"{text[: last.end]}, {lines[0]}{text[last.end :]}"
    indent = " " * _dash(text, last)
    return _insert_lines(
        text, last.end, [f"{indent}- {lines[0]}", *(f"{indent}  {line}" for line in lines[1:])]
    )


def remove_pair(text: str, mapping: Spot, index: int) -> str:
    """``text`` without a pair; of a mapping in blocks with its whole lines."""
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
    return text[:begin] + text[line_end(text, value.end) :]


def remove_item(text: str, sequence: Spot, index: int) -> str:
    """``text`` without an item of a list; of a list in blocks with its whole lines."""
    item = sequence.items[index]
    if sequence.flow:
        return _remove_bracketed(text, [(one.start, one.end) for one in sequence.items], index)
    return text[: text.rfind("\n", 0, item.start) + 1] + text[line_end(text, item.end) :]


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
    begin, end = ranges[index]
    if index + 1 < len(ranges):
        return text[:begin] + text[ranges[index + 1][0] :]
    return text[: ranges[index - 1][1]] + text[end:] if index else text[:begin] + text[end:]
