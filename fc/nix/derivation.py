"""Derivations: what a ``.drv`` file says, and what of it a builder is sent."""

import re
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, NoReturn, TypeVar

import msgspec

from fc.nix.errors import FormatError
from fc.nix.storepath import is_store_path

T = TypeVar("T")

_KIND = "derivation"
_STRING = re.compile(r'"([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}
_TO_ESCAPE = str.maketrans({'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_OUTPUT_NAME = re.compile(r"[0-9A-Za-z+\-._?=]{1,211}")


class BasicOutput(msgspec.Struct, frozen=True):
    """One output of a derivation, as the file and ``BuildDerivation`` have it."""

    name: str
    path: str
    """Store path; empty while it is unknown (floating content address)."""
    hash_algo: str = ""
    """Such as ``sha256`` or ``r:sha256``; empty for input-addressed outputs."""
    hash: str = ""
    """Base 16; only of fixed outputs."""


class BasicDerivation(msgspec.Struct, frozen=True, kw_only=True):
    """A derivation with its inputs resolved to store paths. Arguments and variables may hold escaped bytes."""

    outputs: tuple[BasicOutput, ...]
    input_srcs: tuple[str, ...]
    """Input sources and the used outputs of the input derivations."""
    system: str
    builder: str
    args: tuple[str, ...]
    env: dict[str, str]


class Derivation(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """A ``.drv`` file. Bytes of arguments and variables that are not UTF-8 are kept as lone surrogates (PEP 383)."""

    outputs: tuple[BasicOutput, ...]
    input_drvs: dict[str, tuple[str, ...]]
    """Wanted outputs by the path of the input derivation."""
    input_srcs: tuple[str, ...]
    system: str
    builder: str
    args: tuple[str, ...]
    env: dict[str, str]

    @cached_property
    def structured_attrs(self) -> dict[str, Any] | None:
        """The attributes of a derivation with ``__structuredAttrs``; none for the others, or when they cannot be read."""
        text = self.env.get("__json")
        if text is None:
            return None
        try:
            return msgspec.json.decode(text, type=dict[str, Any])
        except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError):
            return None

    @property
    def required_system_features(self) -> tuple[str, ...]:
        """Features a builder must have, sorted (ParsedDerivation::getRequiredSystemFeatures)."""
        features = set(self._strings("requiredSystemFeatures"))
        if self.is_floating:
            features.add("ca-derivations")
        return tuple(sorted(features))

    @property
    def prefer_local_build(self) -> bool:
        """Whether copying its inputs costs more than building it."""
        return self._flag("preferLocalBuild")

    @property
    def is_fixed_output(self) -> bool:
        """Whether the hash of its output is known before it is built; such a build may use the network."""
        return any(output.hash not in {"", "impure"} for output in self.outputs)

    @property
    def is_floating(self) -> bool:
        """Whether an output's path is only known after the build."""
        return any(not output.path for output in self.outputs)

    @property
    def is_builtin(self) -> bool:
        """Whether Nix itself is the builder, so that any system can build it."""
        return self.builder.startswith("builtin:")

    def _strings(self, name: str) -> list[str]:
        if self.structured_attrs is None:
            # What leaves here is stored and shown: no escaped bytes, no NUL.
            return self.env.get(name, "").encode("utf-8", "replace").replace(b"\0", b"?").decode().split()
        value = self.structured_attrs.get(name)
        return (
            [item.replace("\0", "?") for item in value if isinstance(item, str)]
            if isinstance(value, list)
            else []
        )

    def _flag(self, name: str) -> bool:
        if self.structured_attrs is None:
            return self.env.get(name) == "1"
        return self.structured_attrs.get(name) is True


def basic_derivation(derivation: Derivation, input_paths: Iterable[str]) -> BasicDerivation:
    """What ``BuildDerivation`` is sent.

    Args:
        derivation: to be built.
        input_paths: store paths of the wanted outputs of all its input derivations.
    """
    return BasicDerivation(
        outputs=derivation.outputs,
        input_srcs=tuple(sorted({*derivation.input_srcs, *input_paths})),
        system=derivation.system,
        builder=derivation.builder,
        args=derivation.args,
        env=derivation.env,
    )


def parse_derivation(data: bytes) -> Derivation:
    """The derivation in the contents of a ``.drv`` file.

    Raises:
        FormatError: it is not one, or of a kind this program does not know (dynamic derivations).
    """
    text = data.decode("utf-8", "surrogateescape")
    parser = _Parser(text)
    parser.expect("Derive(")
    outputs = parser.listed(parser.output)
    parser.expect(",")
    input_drvs = parser.listed(parser.input_drv)
    parser.expect(",")
    input_srcs = parser.listed(parser.store_path)
    parser.expect(",")
    system = parser.plain()
    parser.expect(",")
    builder = parser.plain()
    parser.expect(",")
    args = parser.listed(parser.string)
    parser.expect(",")
    env = parser.listed(parser.variable)
    parser.expect(")")
    parser.end()
    return Derivation(
        outputs=tuple(_unique([(output.name, output) for output in outputs]).values()),
        input_drvs=_unique(input_drvs),
        input_srcs=tuple(input_srcs),
        system=system,
        builder=builder,
        args=tuple(args),
        env=_unique(env),
    )


def format_derivation(derivation: Derivation) -> bytes:
    """The contents of the ``.drv`` file, byte for byte as Nix writes it for the same order of entries."""
    fields = (
        _list(
            f"({','.join(_quote(text) for text in (output.name, output.path, output.hash_algo, output.hash))})"
            for output in derivation.outputs
        ),
        _list(
            f"({_quote(path)},{_list(map(_quote, names))})" for path, names in derivation.input_drvs.items()
        ),
        _list(map(_quote, derivation.input_srcs)),
        _quote(derivation.system),
        _quote(derivation.builder),
        _list(map(_quote, derivation.args)),
        _list(f"({_quote(name)},{_quote(value)})" for name, value in derivation.env.items()),
    )
    return f"Derive({','.join(fields)})".encode("utf-8", "surrogateescape")


def _list(items: Iterable[str]) -> str:
    return f"[{','.join(items)}]"


def _quote(text: str) -> str:
    return f'"{text.translate(_TO_ESCAPE)}"'


def _unescape(match: re.Match[str]) -> str:
    return _ESCAPED.get(match[1], match[1])


def _unique(pairs: list[tuple[str, T]]) -> dict[str, T]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        raise FormatError(_KIND, "a name comes twice in one list")
    return entries


class _Parser:
    """Reads the ATerm of a ``.drv`` file (libstore/derivations.cc) from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._position = 0

    def expect(self, literal: str) -> None:
        if not self._text.startswith(literal, self._position):
            self._fail(f"{literal!r} is expected")
        self._position += len(literal)

    def end(self) -> None:
        if self._position != len(self._text):
            self._fail("nothing more is expected")

    def string(self) -> str:
        """A string of any bytes."""
        match = _STRING.match(self._text, self._position)
        if match is None:
            self._fail("a string is expected")
        self._position = match.end()
        return _ESCAPE.sub(_unescape, match[1]) if "\\" in match[1] else match[1]

    def plain(self) -> str:
        """A string that is UTF-8 and holds no NUL, so that it can be stored and shown."""
        text = self.string()
        if "\0" in text or any("\udc80" <= character <= "\udcff" for character in text):
            self._fail("a name or path that is text is expected before this")
        return text

    def store_path(self) -> str:
        text = self.string()
        if not is_store_path(text):
            self._fail(f"a store path is expected instead of {text[:200]!r}")
        return text

    def listed(self, item: Callable[[], T]) -> list[T]:
        """``[item,item,…]``."""
        self.expect("[")
        items: list[T] = []
        while not self._text.startswith("]", self._position):
            if items:
                self.expect(",")
            items.append(item())
        self.expect("]")
        return items

    def output(self) -> BasicOutput:
        self.expect("(")
        name = self._output_name()
        self.expect(",")
        path = self.string()
        if path and not is_store_path(path):
            self._fail(f"an output's path is expected instead of {path[:200]!r}")
        self.expect(",")
        hash_algo = self.plain()
        self.expect(",")
        hash_text = self.plain()
        self.expect(")")
        return BasicOutput(name, path, hash_algo, hash_text)

    def input_drv(self) -> tuple[str, tuple[str, ...]]:
        self.expect("(")
        path = self.store_path()
        self.expect(",")
        names = self.listed(self._output_name)
        self.expect(")")
        return path, tuple(names)

    def variable(self) -> tuple[str, str]:
        self.expect("(")
        name = self.string()
        self.expect(",")
        value = self.string()
        self.expect(")")
        return name, value

    def _output_name(self) -> str:
        name = self.string()
        if _OUTPUT_NAME.fullmatch(name) is None:
            self._fail(f"the name of an output is expected instead of {name[:200]!r}")
        return name

    def _fail(self, detail: str) -> NoReturn:
        raise FormatError(_KIND, f"{detail} at character {self._position}")
