"""What a builder is sent to build a derivation: the .drv read, its inputs resolved to store paths."""

import asyncio

import msgspec

from fc.base.errors import FcError
from fc.base.nix_cli import Nix
from fc.nix.derivation import BasicDerivation, Derivation, basic_derivation, parse_derivation
from fc.nix.errors import FormatError


class UnbuildableError(FcError):
    """The derivation cannot be built by FC at all; the message says why."""

    code = "unbuildable"


class Prepared(msgspec.Struct, frozen=True):
    """A derivation, ready to be sent."""

    basic: BasicDerivation
    outputs: dict[str, str]
    """Store path by output name."""
    sources: tuple[str, ...]
    """Those of the inputs that no derivation makes."""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Store paths that must be valid where it is built."""
        return self.basic.input_srcs


async def prepare(nix: Nix, drv_path: str) -> Prepared:
    """Read ``drv_path`` and the .drv files it depends on from the head's store.

    Raises:
        UnbuildableError: one is missing or of a kind that is not supported.
    """
    return await asyncio.to_thread(_prepare, nix, drv_path)


def _prepare(nix: Nix, drv_path: str) -> Prepared:
    derivation = _read(nix, drv_path)
    if derivation.is_floating:
        message = (
            "it is content-addressed without a known hash (__contentAddressed), which FC does not build yet"
        )
        raise UnbuildableError(message)
    inputs: list[str] = []
    for input_path, names in derivation.input_drvs.items():
        outputs = {output.name: output.path for output in _read(nix, input_path).outputs}
        for name in names:
            path = outputs.get(name, "")
            if not path:
                message = f"the output {name} of its input {input_path} is not known before that is built, which FC does not support yet"
                raise UnbuildableError(message)
            inputs.append(path)
    return Prepared(
        basic_derivation(derivation, inputs),
        {output.name: output.path for output in derivation.outputs},
        derivation.input_srcs,
    )


def _read(nix: Nix, drv_path: str) -> Derivation:
    try:
        return parse_derivation(nix.physical(drv_path).read_bytes())
    except OSError as error:
        message = (
            f"{drv_path} is not in the head's store any more ({error.strerror}); evaluate the jobset again"
        )
        raise UnbuildableError(message) from None
    except FormatError as error:
        message = f"{drv_path}: {error}"
        raise UnbuildableError(message) from None
