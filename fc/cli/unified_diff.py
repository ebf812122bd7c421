"""A file before and after, as a diff that ``git apply`` and ``patch`` take. Pure."""

import re
from difflib import unified_diff as compared

from fc.config.export import quoted_as

_LINE = re.compile("[^\n]*\n|[^\n]+")
_NO_END = "\\ No newline at end of file\n"


def unified_diff(path: str, before: bytes | None, after: bytes | None) -> str:
    """What changes in the text file ``path``; none: it is not there. Lines keep their ends, whatever these are."""
    old = "/dev/null" if before is None else _name(f"a/{path}")
    new = "/dev/null" if after is None else _name(f"b/{path}")
    lines = compared(_lines(before), _lines(after), old, new)
    return "".join(line if line.endswith("\n") else f"{line}\n{_NO_END}" for line in lines)


def _name(path: str) -> str:
    """As git writes it: with a tab behind it if it has blanks, and in quotes if it has others that part names."""
    if '"' in path or "\\" in path:
        return quoted_as(path, '"') or path
    return f"{path}\t" if " " in path else path


def _lines(data: bytes | None) -> list[str]:
    """Lines that end with a line feed alone; what else ends lines elsewhere is part of them."""
    return _LINE.findall((data or b"").decode("utf-8"))
