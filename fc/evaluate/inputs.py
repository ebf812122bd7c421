"""The fingerprint of everything an evaluation depends on besides its commit. Pure."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import msgspec

from fc.evaluate.request import Input

_VERSION = 1
"""Raised when the fingerprint covers something new: then every jobset is evaluated once more."""


class JobsetFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What of a jobset decides how it is evaluated."""

    nix_expression: str
    branch: str | None
    flake_mode: bool
    restrict_eval: bool
    allow_import_from_derivation: bool


def inputs_hash(facts: JobsetFacts, inputs: Mapping[str, Input]) -> str:
    """SHA-256 over a jobset's settings and inputs, in base 16.

    The fields are written as JSON, so that no value can be taken for another, whatever characters it holds. Where
    an input lies on this machine is no part of it.
    """
    fields = [
        _VERSION,
        facts.nix_expression,
        facts.branch,
        facts.flake_mode,
        facts.restrict_eval,
        facts.allow_import_from_derivation,
        [[name, given.type, given.value, given.revision] for name, given in sorted(inputs.items())],
    ]
    return hashlib.sha256(json.dumps(fields, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()


def recorded_inputs(inputs: Mapping[str, Input]) -> dict[str, Any]:
    """The inputs as an evaluation's row keeps them."""
    return {
        name: {"type": given.type, "value": given.value, "revision": given.revision}
        for name, given in sorted(inputs.items())
    }
