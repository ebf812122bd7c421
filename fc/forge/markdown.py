"""Text of strangers in GitHub's Markdown: shown as it is, never obeyed."""

import re

from fc.forge.status_messages import short

_LONGEST = 300
_FENCES = re.compile(r"`+")


def code_span(text: str, length: int = _LONGEST) -> str:
    """``text`` on one line of at most ``length`` characters, as code.

    Inside code nothing is a mention, a link, an image, emphasis or HTML. The fence is longer than every run of
    backticks in the text, so the text cannot end it (CommonMark 0.31 section 6.1).
    """
    line = short(text, length)
    if not line:
        return "(empty)"
    fence = "`" * (max(map(len, _FENCES.findall(line)), default=0) + 1)
    # One space at each end is taken away again; it keeps a backtick there from joining the fence.
    space = " " if line.startswith("`") or line.endswith("`") else ""
    return f"{fence}{space}{line}{space}{fence}"
