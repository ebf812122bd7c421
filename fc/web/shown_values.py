"""Configuration values as people read them."""

from typing import Any


def show_value(value: Any) -> str:
    """A configuration value on one line, as YAML would have it."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case dict():
            if set(value) in ({"secret"}, {"encrypted"}):
                return f"«secret» {value.get('secret') or ''}".rstrip()
            return "{" + ", ".join(f"{key}: {show_value(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(show_value(item) for item in value) + "]"
        case _:
            return str(value)
