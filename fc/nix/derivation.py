"""Derivations: what a ``.drv`` file says, and what of it a builder is sent."""

import msgspec


class BasicOutput(msgspec.Struct, frozen=True):
    """One output of a derivation as ``BuildDerivation`` sends it. Hash fields are empty unless it is fixed."""

    name: str
    path: str
    hash_algo: str = ""
    hash: str = ""


class BasicDerivation(msgspec.Struct, frozen=True, kw_only=True):
    """A derivation with its inputs resolved to store paths. Arguments and variables may hold escaped bytes."""

    outputs: tuple[BasicOutput, ...]
    input_srcs: tuple[str, ...]
    """Input sources and the used outputs of the input derivations."""
    system: str
    builder: str
    args: tuple[str, ...]
    env: dict[str, str]
