"""Statuses as people see them: a word, a tone and a symbol, so that colour alone never tells anything."""

from dataclasses import dataclass
from typing import Literal

from fc.tables.evaluation_queries import EvaluationRow
from fc.tables.project_queries import JobsetSummary

Tone = Literal["good", "bad", "warn", "busy", "wait", "off"]


@dataclass(frozen=True, slots=True)
class Look:
    """How one status is shown."""

    word: str
    tone: Tone
    symbol: str
    """Name of a symbol in ``templates/symbols.svg``."""


_LOOKS: dict[str, Look] = {
    # builds and derivations
    "pending": Look("queued", "wait", "wait"),
    "ready": Look("ready", "wait", "wait"),
    "running": Look("running", "busy", "busy"),
    "succeeded": Look("succeeded", "good", "good"),
    "built": Look("built", "good", "good"),
    "failed": Look("failed", "bad", "bad"),
    "failed_with_output": Look("failed with output", "bad", "bad"),
    "dependency_failed": Look("dependency failed", "bad", "dependency"),
    "cached_failure": Look("failed before", "bad", "bad"),
    "timeout": Look("timed out", "bad", "clock"),
    "log_limit_exceeded": Look("log too long", "bad", "bad"),
    "nar_size_limit_exceeded": Look("output too large", "bad", "bad"),
    "non_deterministic": Look("not deterministic", "bad", "bad"),
    "unsupported_system": Look("no builder fits", "warn", "warn"),
    "aborted": Look("aborted", "warn", "warn"),
    "cancelled": Look("cancelled", "off", "off"),
    # attempts that a builder lost
    "lost": Look("lost", "warn", "warn"),
    # configuration
    "synced": Look("synced", "good", "good"),
    "held": Look("held until confirmed", "warn", "clock"),
    "waiting": Look("waits for its sync window", "warn", "clock"),
    "unread": Look("not read yet", "wait", "wait"),
    "paused": Look("paused", "warn", "clock"),
    "pinned": Look("pinned by a rollback", "warn", "clock"),
    "in_force": Look("in force", "good", "good"),
    "drifted": Look("drifted", "warn", "warn"),
    "gone": Look("not in force any more", "off", "off"),
    "retired": Look("not followed any more", "off", "off"),
    "applied": Look("applied", "good", "good"),
    # deliveries
    "completed": Look("delivered", "good", "good"),
    # jobsets
    "enabled": Look("enabled", "good", "good"),
    "one_shot": Look("one shot", "good", "good"),
    "one_at_a_time": Look("one at a time", "good", "good"),
    "disabled": Look("disabled", "off", "off"),
    # builders
    "ok": Look("in service", "good", "good"),
    "failing": Look("on trial after a failure", "warn", "warn"),
    "backing_off": Look("backing off", "bad", "clock"),
    "unknown": Look("not used yet", "wait", "wait"),
}

_EVALUATIONS: dict[str, Look] = {
    "pending": Look("waits", "wait", "wait"),
    "running": Look("evaluating", "busy", "busy"),
    "failed": Look("evaluation failed", "bad", "bad"),
    "timed_out": Look("evaluation timed out", "bad", "clock"),
    "cancelled": Look("cancelled", "off", "off"),
}


def look(status: str) -> Look:
    """How ``status`` is shown; one that this version does not know is shown by its name."""
    return _LOOKS.get(status) or Look(status.replace("_", " "), "off", "off")


def evaluation_look(row: EvaluationRow) -> Look:
    """How an evaluation stands with all its builds."""
    builds = row.builds
    if row.status != "completed":
        return _EVALUATIONS[row.status]
    if builds.unfinished:
        return Look("building", "busy", "busy")
    if builds.failed:
        return Look(f"{builds.failed} failed", "bad", "bad")
    if row.errors:
        return Look("not all evaluated", "warn", "warn")
    return Look("succeeded", "good", "good") if builds.total else Look("no jobs", "off", "off")


def jobset_look(jobset: JobsetSummary) -> Look:
    """How a jobset stands: by its newest evaluation, unless it is not even checked."""
    if not jobset.enabled:
        return look("disabled")
    if jobset.last_error is not None:
        return Look("check failed", "bad", "bad")
    return evaluation_look(jobset.latest) if jobset.latest else Look("new", "wait", "wait")
