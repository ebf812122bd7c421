"""Kinds as people write them."""

from fc.base.errors import InvalidInputError
from fc.config.language import KIND_BY_NAME, Kind
from fc.config.wording import did_you_mean, known_names


def kind_named(text: str) -> Kind:
    """The kind that is meant; ``remote-builder`` is ``remote_builder``.

    Raises:
        InvalidInputError: there is no such kind; names the nearest.
    """
    name = text.replace("-", "_")
    if name not in KIND_BY_NAME:
        hint = did_you_mean(name, KIND_BY_NAME)
        message = f"{text[:64]!r} is no kind of resource{hint}; kinds are {known_names(KIND_BY_NAME)}"
        raise InvalidInputError(message)
    return KIND_BY_NAME[name]
