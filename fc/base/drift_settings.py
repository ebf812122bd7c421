"""Settings of drift: what is done where a row does not say what git does."""

from typing import Literal

import msgspec

DriftPolicy = Literal["heal", "report"]


class DriftSettings(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What is done where a row does not say what git does, by kind of resource."""

    default: DriftPolicy = "report"
    """Of kinds that are not named: heal writes back what git says."""
    user: DriftPolicy | None = None
    role: DriftPolicy | None = None
    remote_builder: DriftPolicy | None = None
    worker_pool: DriftPolicy | None = None
    api_key: DriftPolicy | None = None
    project: DriftPolicy | None = None
    jobset: DriftPolicy | None = None
    input: DriftPolicy | None = None
    channel: DriftPolicy | None = None
    webhook: DriftPolicy | None = None
    notification: DriftPolicy | None = None
    member: DriftPolicy | None = None

    def heals(self, kind: str) -> bool:
        """Whether what drifts of ``kind`` is put right."""
        return (getattr(self, kind) or self.default) == "heal"
