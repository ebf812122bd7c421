"""Plain text in brackets as libyaml must see it: YAML 1.2 allows colons and question marks in it."""

import re

# libyaml 0.1, which ruamel.yaml carries, ends plain text inside [] and {} at every colon and question mark, so it
# refuses {ssh_uri: ssh://host}, which YAML 1.2 allows. Where one of them cannot be an indicator it is therefore
# masked by a character for private use, of the same width so that columns stay right.
_COLON, _QUESTION = "\ue5ce", "\ue5cf"
_PLAIN_COLON = re.compile(r"""(?<=[^\s"'\]}]):(?=[^\s,\[\]{}])""")
_PLAIN_QUESTION = re.compile(r"(?<=\S)\?(?=[^\s,\[\]{}])")


def masked(text: str) -> str:
    """``text`` as libyaml must see it, every place the same; see ``_COLON``."""
    return _PLAIN_QUESTION.sub(_QUESTION, _PLAIN_COLON.sub(_COLON, text))


def unmasked(text: str) -> str:
    """What was written where libyaml saw ``text``."""
    return text.replace(_COLON, ":").replace(_QUESTION, "?")
