"""Where in a YAML text everything begins and ends: as ``nodes``, but with aliases and merges left as they are written."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from ruamel.yaml.cyaml import CParser  # type: ignore[attr-defined]  # a compiled class, re-exported without a type
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from fc.config.masking import masked, unmasked


@dataclass(slots=True)
class Spot:
    """A node of a text that ``nodes.compose`` accepts. Places are counted in characters of it."""

    form: Literal["scalar", "sequence", "mapping", "alias"]
    start: int
    end: int
    """Behind its last character; comments and empty lines that follow are no part of it."""
    line: int
    """From 1."""
    column: int
    """From 0."""
    text: str = ""
    """Of a scalar; of an alias the name of its anchor."""
    anchor: str | None = None
    flow: bool = False
    """Written in brackets."""
    tag: str | None = None
    items: list["Spot"] = field(default_factory=list)
    """Of a mapping: keys and values in turn."""

    @property
    def pairs(self) -> list[tuple["Spot", "Spot"]]:
        """Keys and values of a mapping."""
        return list(zip(self.items[::2], self.items[1::2], strict=True))

    def pair(self, name: str) -> tuple["Spot", "Spot"] | None:
        """The pair whose key is written here as ``name``, not merged from elsewhere."""
        return next((one for one in self.pairs if one[0].form == "scalar" and one[0].text == name), None)


def spots(text: str) -> list[Spot]:
    """The documents of ``text``, which ``nodes.compose`` has read without problems."""
    parser = CParser(masked(text))
    documents: list[Spot] = []
    opened: list[Spot] = []
    while True:
        event = parser.get_event()
        kind = type(event)
        if event is None or kind is StreamEndEvent:
            return documents
        if kind in {MappingEndEvent, SequenceEndEvent}:
            spot = opened.pop()
            # A collection in brackets ends with its bracket, another one with the last thing in it.
            spot.end = event.end_mark.index if spot.flow else spot.items[-1].end
        elif kind in {MappingStartEvent, SequenceStartEvent, ScalarEvent, AliasEvent}:
            spot = _spot(event, text)
            (opened[-1].items if opened else documents).append(spot)
            if kind in {MappingStartEvent, SequenceStartEvent}:
                opened.append(spot)
        elif kind is DocumentEndEvent:
            opened.clear()


@lru_cache(maxsize=2)
def cached_spots(text: str) -> list[Spot]:
    """As ``spots``, and not read again while the same text is edited; nobody changes what is given."""
    return spots(text)


def _spot(event: Any, text: str) -> Spot:
    start, end = event.start_mark, event.end_mark
    spot = Spot("scalar", start.index, end.index, start.line + 1, start.column, anchor=event.anchor)
    if isinstance(event, AliasEvent):
        spot.form, spot.text, spot.anchor = "alias", event.anchor, None
    elif isinstance(event, ScalarEvent):
        spot.text, spot.tag = unmasked(event.value), event.tag
        written = text[start.index : end.index]
        if event.style in {"|", ">"}:
            spot.end = start.index + len(written.rstrip())
    else:
        spot.form = "mapping" if isinstance(event, MappingStartEvent) else "sequence"
        spot.flow, spot.tag = bool(event.flow_style), event.tag
    return spot
