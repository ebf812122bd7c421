"""Values that stand elsewhere: variables of the service (``!env``) and files of the tree (``!file``)."""

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fc.base.secrets import key_file
from fc.base.settings import Settings
from fc.config.encrypted import DecryptionError, Decryptor, as_secret, malformed
from fc.config.hidden import hidden_variable
from fc.config.included import Located, inside
from fc.config.nodes import AGE_TAG, ENV_TAG, FILE_TAG, Scalar
from fc.config.values import Reading
from fc.config.wording import did_you_mean

_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a configuration may take from the machine that reads it; by default nothing."""

    allowed: frozenset[str] = frozenset()
    """Names of variables: whoever writes configuration must not read the service's whole environment."""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    decryptor: Decryptor | None = None
    """Opens what is encrypted; none: nothing can be."""
    form_only: bool = False
    """Values are not known here, as on the machine of somebody who only checks; only their form is."""
    names_known: bool = False
    """Though values are not, which variables may be named is."""

    @classmethod
    def of(cls, settings: Settings) -> "Surroundings":
        """What the settings allow."""
        return cls(
            frozenset(settings.configuration.environment),
            decryptor=Decryptor(settings.secrets.age_identities, key_file(settings)),
        )

    @classmethod
    def hidden(cls, settings: Settings) -> "Surroundings":
        """For whoever must not learn a value: no variable is read and nothing decrypted, only names are checked."""
        return cls(frozenset(settings.configuration.environment), form_only=True, names_known=True)


FORM_ONLY = Surroundings(form_only=True)


def wanted_files(file: str, tagged: Iterable[Scalar]) -> list[str]:
    """Paths that ``file`` takes in, each once."""
    return list(dict.fromkeys(inside(file, node.text) for node in tagged if node.tag == FILE_TAG))


def fill(
    tagged: Iterable[Scalar],
    reading: Reading,
    surroundings: Surroundings,
    included: Mapping[str, Located],
    contents: Mapping[str, bytes],
) -> None:
    """Put variables and files in the place of their names; what cannot be had is a problem there."""
    texts: dict[str, tuple[str, str]] = {}
    for node in tagged:
        if node.tag == ENV_TAG:
            _settle(node, reading, *_variable(node, surroundings))
        elif node.tag == FILE_TAG:
            path = inside(reading.file, node.text)
            if path not in texts:
                texts[path] = _file(path, included[path], contents)
            value, wrong = texts[path]
            _settle(node, reading, value, f"!file: {wrong}" if wrong else "")
        elif node.tag == AGE_TAG:
            _settle(node, reading, *_decrypted(node, reading, surroundings))


def _settle(node: Scalar, reading: Reading, value: str, wrong: str) -> None:
    if wrong:
        reading.note(node, wrong)
        node.state = "broken"
    elif node.state == "known":
        node.text = value


def _variable(node: Scalar, surroundings: Surroundings) -> tuple[str, str]:
    """The value of a variable, or what is wrong."""
    name = node.text
    if not _VARIABLE.fullmatch(name):
        return "", "!env is followed by the name of a variable: letters, digits and underscores"
    if surroundings.form_only and (name in surroundings.allowed or not surroundings.names_known):
        node.state = "unknown"
        node.text = hidden_variable(name)
        return "", ""
    if name not in surroundings.allowed:
        hint = did_you_mean(name, surroundings.allowed)
        return (
            "",
            f"!env: the variable {name[:80]!r} is not among those that configuration.environment in the settings allows{hint}",
        )
    value = surroundings.environment.get(name)
    if value is None:
        return "", f"!env: the variable {name!r} is not set where FC runs"
    if _CONTROL.search(value):
        return "", f"!env: the variable {name!r} holds control characters"
    return value, ""


def _decrypted(node: Scalar, reading: Reading, surroundings: Surroundings) -> tuple[str, str]:
    """A secret encrypted for the database, or what is wrong."""
    wrong = malformed(node.text)
    if wrong:
        return "", wrong
    if surroundings.form_only:
        return node.text, ""
    try:
        if surroundings.decryptor is None:
            return "", "!age: nothing can be decrypted here"
        secret = as_secret(surroundings.decryptor.decrypt(node.text))
        return surroundings.decryptor.seal(secret), ""
    except DecryptionError as error:
        reading.settled = False
        return "", f"!age: {error}"


def _file(path: str, located: Located, contents: Mapping[str, bytes]) -> tuple[str, str]:
    """What a file holds without the line end after it, or what is wrong."""
    if located.problem:
        return "", located.problem
    try:
        text = contents[located.blob].decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError:
        return "", f"{path!r} is not UTF-8"
    if _CONTROL.search(text.replace("\r\n", "\n")):
        return "", f"{path!r} holds control characters"
    return text.replace("\r\n", "\n").rstrip("\n"), ""
