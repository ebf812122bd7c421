"""Fields for people: secrets by their names, never a value and never a hash."""

from typing import Any

from fc.base.secrets import REDACTED
from fc.config.language import Fields


def redacted(fields: Fields | None) -> Fields | None:
    """``fields`` for plans, pages and the history."""
    return None if fields is None else {name: redacted_value(value) for name, value in fields.items()}


def redacted_value(value: Any) -> Any:
    """The value of one field, likewise."""
    if isinstance(value, dict) and value.keys() == {"secret"}:
        return f"{REDACTED} {value['secret']}"
    if isinstance(value, dict) and value.keys() == {"encrypted"}:
        return REDACTED
    return value
