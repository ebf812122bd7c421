"""One line of nix-eval-jobs, or of the project's own evaluator, which prints the same."""

from typing import Any

import msgspec

from fc.nix.build_result import strip_ansi
from fc.nix.errors import FormatError
from fc.nix.storepath import is_store_path, parse_store_path

_KIND = "line of an evaluation"


class EvalJob(msgspec.Struct, frozen=True, kw_only=True):
    """A job that evaluated to a derivation."""

    attr: str
    """The attribute path as printed, with dots; parts with dots of their own are quoted."""
    attr_path: tuple[str, ...]
    """The attribute path, part by part."""
    name: str
    """Name of the derivation, such as ``hello-1.0``."""
    system: str
    drv_path: str
    outputs: dict[str, str | None]
    """Store path by output name; none while it is unknown (content-addressed derivations)."""
    meta: dict[str, Any] = {}
    input_drvs: dict[str, tuple[str, ...]] = {}
    """Wanted outputs by the path of the input derivation; empty when the evaluator does not say."""
    required_system_features: tuple[str, ...] = ()
    constituents: tuple[str, ...] = ()
    """Derivation paths an aggregate consists of."""
    named_constituents: tuple[str, ...] = ()
    """Job names an aggregate consists of."""
    glob_constituents: bool = False
    """Whether the named constituents are patterns."""
    cache_status: str | None = None
    """``local``, ``cached`` or ``notBuilt``, if it was asked for."""

    @property
    def is_aggregate(self) -> bool:
        """Whether the job only collects other jobs."""
        return bool(self.constituents or self.named_constituents)

    @property
    def timeout(self) -> int | None:
        """``meta.timeout``, seconds."""
        return self._positive("timeout")

    @property
    def max_silent(self) -> int | None:
        """``meta.maxSilent``, seconds."""
        return self._positive("maxSilent")

    @property
    def scheduling_priority(self) -> int:
        """``meta.schedulingPriority``; 100 when it is not set, as in Hydra."""
        value = self._positive("schedulingPriority")
        return 100 if value is None else value

    def _positive(self, name: str) -> int | None:
        """A positive number out of ``meta`` that fits the database; anything else counts as not set."""
        value = self.meta.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 31:
            return value
        return None


class EvalError(msgspec.Struct, frozen=True, kw_only=True):
    """A job, or the whole expression, that could not be evaluated."""

    attr: str
    attr_path: tuple[str, ...]
    """Empty when the whole expression is meant."""
    error: str
    """What Nix said, without colours."""
    fatal: bool = False
    """Whether nothing more could be evaluated."""


class _InputDrv(msgspec.Struct):
    """How newer programs write the wanted outputs of an input derivation."""

    outputs: tuple[str, ...] = ()


class _Line(msgspec.Struct, rename="camel"):
    """Everything a line may say; what it does not is absent or null."""

    attr: str
    attr_path: tuple[str, ...] | None = None
    error: str | None = None
    fatal: bool = False
    name: str = ""
    system: str = ""
    drv_path: str = ""
    outputs: dict[str, str | None] | None = None
    meta: dict[str, Any] | None = None
    input_drvs: dict[str, tuple[str, ...] | _InputDrv] | None = None
    required_system_features: tuple[str, ...] | None = None
    constituents: tuple[str, ...] | None = None
    named_constituents: tuple[str, ...] | None = None
    glob_constituents: bool | None = None
    cache_status: str | None = None


_DECODER = msgspec.json.Decoder(_Line)


def parse_line(line: bytes | str) -> EvalJob | EvalError:
    """The job or error that one line describes. Unknown fields are ignored.

    Raises:
        FormatError: it is not JSON of the right shape, or holds paths that are not store paths.
    """
    text = line.encode("utf-8", "replace") if isinstance(line, str) else line
    if b"\\u0000" in text:
        raise FormatError(_KIND, f"it holds a NUL: {text[:200]!r}")
    try:
        said = _DECODER.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise FormatError(_KIND, f"{error}: {text[:200]!r}") from None
    attr_path = (said.attr,) if said.attr_path is None and said.attr else said.attr_path or ()
    if said.error is not None:
        return EvalError(
            attr=said.attr, attr_path=attr_path, error=strip_ansi(said.error).strip(), fatal=said.fatal
        )
    return _job(said, attr_path)


def _job(said: _Line, attr_path: tuple[str, ...]) -> EvalJob:
    if not parse_store_path(said.drv_path).is_derivation:
        raise FormatError(_KIND, f"drvPath {said.drv_path!r} of {said.attr!r} names no derivation")
    for path in (said.outputs or {}).values():
        if path is not None and not is_store_path(path):
            raise FormatError(_KIND, f"the output {path[:200]!r} of {said.attr!r} is not a store path")
    inputs = {
        path: wanted.outputs if isinstance(wanted, _InputDrv) else wanted
        for path, wanted in (said.input_drvs or {}).items()
    }
    for path in (*inputs, *(said.constituents or ())):
        if not is_store_path(path):
            raise FormatError(_KIND, f"the input {path[:200]!r} of {said.attr!r} is not a store path")
    return EvalJob(
        attr=said.attr,
        attr_path=attr_path,
        name=said.name,
        system=said.system,
        drv_path=said.drv_path,
        outputs=said.outputs or {},
        meta=said.meta or {},
        input_drvs=inputs,
        required_system_features=said.required_system_features or (),
        constituents=said.constituents or (),
        named_constituents=said.named_constituents or (),
        glob_constituents=bool(said.glob_constituents),
        cache_status=said.cache_status,
    )
