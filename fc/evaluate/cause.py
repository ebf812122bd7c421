"""Why a jobset is evaluated. Pure."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from fc.tables.evaluation_queries import Cause

Requester = Literal["push", "manual", "configuration"]


class Previous(msgspec.Struct, frozen=True):
    """The newest evaluation of a jobset."""

    commit_hash: str
    inputs: dict[str, Any]


def cause_of(
    requester: Requester | None, previous: Previous | None, commit: str, inputs: Mapping[str, Any]
) -> Cause:
    """What led to a new evaluation.

    Args:
        requester: who asked for the check; none: it was due.
        previous: none: the jobset is new.
        commit: to be evaluated.
        inputs: as ``recorded_inputs`` gives them.
    """
    if requester is not None:
        return requester
    if previous is None:
        return "configuration"
    if previous.commit_hash != commit:
        return "poll"
    return "input" if previous.inputs != inputs else "configuration"
