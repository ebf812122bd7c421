"""How a build ended, as Nix says it."""

import enum
import re

import msgspec

_ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])?")


class BuildStatus(enum.IntEnum):
    """How a build ended (BuildResult::Status in libstore/build-result.hh)."""

    BUILT = 0
    SUBSTITUTED = 1
    ALREADY_VALID = 2
    PERMANENT_FAILURE = 3
    INPUT_REJECTED = 4
    OUTPUT_REJECTED = 5
    TRANSIENT_FAILURE = 6
    CACHED_FAILURE = 7
    TIMED_OUT = 8
    MISC_FAILURE = 9
    DEPENDENCY_FAILED = 10
    LOG_LIMIT_EXCEEDED = 11
    NOT_DETERMINISTIC = 12
    RESOLVES_TO_ALREADY_VALID = 13
    NO_SUBSTITUTERS = 14

    @property
    def is_success(self) -> bool:
        """Whether the outputs are there."""
        return self in _SUCCESSES

    @property
    def is_permanent(self) -> bool:
        """Whether the derivation is at fault, so that another try would end the same way."""
        return self in _PERMANENT


_SUCCESSES = frozenset(
    {
        BuildStatus.BUILT,
        BuildStatus.SUBSTITUTED,
        BuildStatus.ALREADY_VALID,
        BuildStatus.RESOLVES_TO_ALREADY_VALID,
    },
)
_PERMANENT = frozenset(
    {BuildStatus.PERMANENT_FAILURE, BuildStatus.INPUT_REJECTED, BuildStatus.OUTPUT_REJECTED}
)


class BuildResult(msgspec.Struct, frozen=True, kw_only=True):
    """How one build ended."""

    status: BuildStatus
    message: str = ""
    """What Nix said, without colours. Empty on success."""
    times_built: int = 0
    is_non_deterministic: bool = False
    start_time: int = 0
    """Seconds since 1970 by the remote's clock. 0: unknown, or nothing was built."""
    stop_time: int = 0
    built_outputs: dict[str, str] = {}
    """Store path by output name. Empty from remotes before 2.6, which do not say, and after failures."""


def strip_ansi(text: str) -> str:
    """``text`` without terminal escape sequences."""
    return _ANSI.sub("", text)
