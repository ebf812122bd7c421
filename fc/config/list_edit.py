"""A list of plain values in a YAML text made another one, item by item, so that what is said beside them stays. Pure."""

from collections.abc import Callable, Sequence
from difflib import SequenceMatcher

from fc.config.edit_text import add_item, remove_item
from fc.config.export import bracketed, quoted_as, written_value
from fc.config.spots import Spot

Find = Callable[[str], Spot]
"""The list in a text that was edited."""


def edit_list(text: str, find: Find, wanted: Sequence[object]) -> str | None:
    """``text`` with ``wanted`` in its list; none: that is not to be had item by item."""
    items = find(text).items
    written = [one.text for one in items]
    simple = all(one.form == "scalar" and one.tag is None and one.anchor is None for one in items)
    values = [one for one in wanted if isinstance(one, str)]
    if not simple or len(values) < len(wanted) or not set(written) & set(values):
        return None
    changes = SequenceMatcher(a=written, b=values, autojunk=False).get_opcodes()
    # From the end, so that what comes before keeps its numbers.
    for what, begin, end, new_begin, new_end in reversed(changes):
        if what == "equal":
            continue
        shared = min(end - begin, new_end - new_begin)
        for index in reversed(range(begin + shared, end)):
            text = remove_item(text, find(text), index)
        for value in reversed(values[new_begin + shared : new_end]):
            spot = find(text)
            index = begin + shared
            last = index >= len(spot.items)
            text = add_item(text, spot, [_written(value, spot)], None if last else index)
        for offset in reversed(range(shared)):
            spot = find(text)
            item = spot.items[begin + offset]
            value = values[new_begin + offset]
            new = quoted_as(value, text[item.start : item.end]) or _written(value, spot)
            text = text[: item.start] + new + text[item.end :]
    return text


def _written(value: str, spot: Spot) -> str:
    return bracketed(value) if spot.flow else written_value(value)
