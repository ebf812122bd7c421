"""What a project may declare in a file of its own: the field ``delegate``, and its limits."""

from typing import Annotated

import msgspec
from msgspec import Meta

from fc.config.field_types import INT4, Seconds


class DelegateLimits(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """How far a project's own file may go."""

    max_jobsets: Annotated[Annotated[int, Meta(ge=1, le=1000)], Meta(description="Most jobsets.")] = 10
    max_scheduling_shares: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)],
        Meta(description="Most shares of the build farm, of all its enabled jobsets together."),
    ] = 1000
    min_check_interval: Annotated[
        Seconds, Meta(description="A branch is not looked at more often than this.")
    ] = 60
    max_evaluation_timeout: Annotated[Seconds, Meta(description="No evaluation may take longer.")] = 1800
    max_keep_nr: Annotated[
        Annotated[int, Meta(ge=0, le=INT4)],
        Meta(description="Most evaluations that a jobset keeps from garbage collection."),
    ] = 10
    allow_import_from_derivation: Annotated[
        bool, Meta(description="Jobsets may have allow_import_from_derivation: true.")
    ] = False
    unrestricted_eval: Annotated[bool, Meta(description="Jobsets may have restrict_eval: false.")] = False
    path_inputs: Annotated[
        bool,
        Meta(description="Inputs may be paths, or repositories on the disk, of the machine that evaluates."),
    ] = False
    ssh_inputs: Annotated[
        bool,
        Meta(
            description="Inputs may be other repositories fetched over SSH: the service's key may read more than the project."
        ),
    ] = False
    on_remove_delete: Annotated[bool, Meta(description="Jobsets may have on_remove: delete.")] = False


class Delegate(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What the project's repository may declare itself, in .fc.yaml on its default branch."""

    jobsets: Annotated[bool, Meta(description="Jobsets with their inputs.")] = False
    channels: Annotated[bool, Meta(description="Channels.")] = False
    limits: Annotated[DelegateLimits, Meta(description="How far its file may go.")] = msgspec.field(
        default_factory=DelegateLimits
    )
