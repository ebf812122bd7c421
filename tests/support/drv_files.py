"""Build graphs of any shape as .drv files in a store, without evaluating anything."""

import hashlib
from collections.abc import Iterable, Mapping

from fc.base.nix_cli import Nix
from fc.nix.derivation import BasicOutput, Derivation, format_derivation
from fc.nix.eval_job import EvalJob
from fc.nix.hashes import BASE32_ALPHABET


def store_path(name: str) -> str:
    """A store path of this name; the same for the same name."""
    digest = hashlib.sha256(name.encode()).digest()
    return f"/nix/store/{''.join(BASE32_ALPHABET[byte % 32] for byte in digest)}-{name}"


def drv_path(name: str) -> str:
    """Where the derivation ``name`` stands."""
    return store_path(f"{name}.drv")


def write_derivations(
    nix: Nix, graph: Mapping[str, Iterable[str]], system: str = "x86_64-linux", **env: str
) -> None:
    """Write a derivation for each key of ``graph``, which needs those it leads to."""
    nix.physical("/nix/store").mkdir(parents=True, exist_ok=True)
    for name, inputs in graph.items():
        derivation = Derivation(
            outputs=(BasicOutput("out", store_path(name)),),
            input_drvs={drv_path(one): ("out",) for one in inputs},
            input_srcs=(),
            system=system,
            builder="/bin/sh",
            args=(),
            env=env,
        )
        nix.physical(drv_path(name)).write_bytes(format_derivation(derivation))


def job(name: str, attr: str | None = None, **facts: object) -> EvalJob:
    """The job ``attr`` (else ``name``) of the derivation ``name``."""
    called = attr if attr is not None else name
    known: dict[str, object] = {"meta": {}} | facts
    return EvalJob(
        attr=called,
        attr_path=(called,),
        name=name,
        system="x86_64-linux",
        drv_path=drv_path(name),
        outputs={"out": store_path(name)},
        **known,  # type: ignore[arg-type]  # named by each test
    )
