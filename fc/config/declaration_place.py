"""Where in a YAML text a declaration is written, if it is written itself and not given by an anchor. Pure."""

from collections.abc import Iterable, Iterator, Sequence

from fc.config.spots import Spot, cached_spots

PathPart = str | int
MERGE = "<<"


class NotWrittenHereError(Exception):
    """What must be edited comes from an anchor, and writing it here instead is not safe."""


class Place:
    """The declaration at a path: sections, names and numbers from the document on. The empty path is the document."""

    def __init__(self, text: str, path: Sequence[PathPart]) -> None:
        self.text = text
        """With every edit that was made."""
        self._path = list(path)

    def own(self) -> tuple[Spot, Spot, Spot] | None:
        """What holds the declaration, its name, and itself, which is the name of an item; none: an anchor gives it."""
        section = self.reach(self._path[:-1], self._path[-1])
        index = None if section is None else index_of(section, self._path[-1])
        if section is None or index is None:
            return None
        if section.form == "mapping":
            return (section, *section.pairs[index])
        return section, section.items[index], section.items[index]

    def document(self, section: str) -> Spot | None:
        """The document with this section, else the last that is a mapping."""
        documents = [one for one in cached_spots(self.text) if one.form == "mapping"]
        holding = [one for one in documents if one.pair(section) is not None]
        return holding[0] if holding else documents[-1] if documents else None

    def reach(self, path: Sequence[PathPart], inside: PathPart | None = None) -> Spot | None:
        """What is written at ``path`` itself; none: it comes from an anchor, or is not there.

        Of several documents with such a place, that where ``inside`` stands in it.
        """
        found: list[Spot] = []
        for document in cached_spots(self.text):
            spot: Spot | None = document
            for part in path:
                index = None if spot is None else index_of(spot, part)
                if spot is None or index is None:
                    spot = None
                    break
                spot = spot.pairs[index][1] if spot.form == "mapping" else spot.items[index]
            if spot is not None:
                found.append(spot)
        holding = [one for one in found if inside is not None and index_of(one, inside) is not None]
        return next(iter(holding or found), None)

    def guard_anchors(self, spot: Spot, *, itself: bool = True) -> None:
        """Refuse to take out an anchor that something else still needs.

        Raises:
            NotWrittenHereError: there is one.
        """
        within = list(all_below([spot]))
        names = {one.anchor for one in within if one.anchor is not None and (itself or one is not spot)}
        if not names:
            return
        for other in all_below(cached_spots(self.text)):
            if other.form == "alias" and other.text in names and not spot.start <= other.start < spot.end:
                message = f"holds the anchor &{other.text}, which line {other.line} still needs"
                raise NotWrittenHereError(message)


def index_of(section: Spot, part: PathPart) -> int | None:
    """The number of an item or of a pair with this name, as it is written."""
    if isinstance(part, int):
        return part if section.form == "sequence" and part < len(section.items) else None
    if section.form != "mapping":
        return None
    return next((number for number, key in enumerate(section.items[::2]) if key.text == part), None)


def all_below(roots: Iterable[Spot]) -> Iterator[Spot]:
    """Every spot at and below ``roots``."""
    for root in roots:
        yield root
        if root.items:
            yield from all_below(root.items)
