"""Tables of the build graph: one row for each .drv, however many builds want it."""

from piccolo.columns import UUID, Array, BigInt, Boolean, ForeignKey, Integer, Text, Timestamptz, Varchar
from piccolo.columns.base import OnDelete, OnUpdate
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from fc.tables.builders import RemoteBuilder


class Derivation(Table, tablename="derivations"):
    """A .drv that some build wants or needs. Inserted by evaluate, brought to its end by build."""

    id = UUID(primary_key=True)
    drv_path = Text(default=None, unique=True)
    """Store path of the .drv."""
    name = Text(default=None)
    """Its name, without hash and ``.drv``."""
    system = Varchar(length=50, default=None)
    """What a builder's systems must contain."""
    required_features = Array(Text(), default=list)
    """What a builder's features must contain."""
    prefer_local = Boolean(default=False)
    """Cheaper to build in the head's own store than to copy."""
    fixed_output = Boolean(default=False)
    """Its output's hash is known: it may use the network."""
    timeout = Integer(default=None, null=True)
    """Longest build in seconds (``meta.timeout``); none: the settings' limit."""
    max_silent = Integer(default=None, null=True)
    """Longest silence in seconds (``meta.maxSilent``); none: the settings' limit."""
    status = Text(default="pending")
    """How far it is: waits for inputs, may be built, is being built, or one of the ends."""
    missing_inputs = Integer(default=0)
    """Inputs that are not built yet; ready at 0."""
    path_length = Integer(default=0)
    """Estimated seconds of the longest chain of derivations that waits for it, itself included."""
    attempts = Integer(default=0)
    """Attempts that ended by a builder's fault; those handed back do not count."""
    next_attempt_at = Timestamptz()
    """Not begun before then."""
    claim_token = UUID(default=None, null=True)
    """Names the process that builds it now; results without it change nothing."""
    lease_until = Timestamptz(default=None, null=True)
    """Until then the claim stands; afterwards anyone may take it over."""
    worker = Text(default=None, null=True)
    """The process that has the claim: its name, machine, number and start."""
    builder_id = ForeignKey(
        RemoteBuilder, null=True, on_delete=OnDelete.set_null, on_update=OnUpdate.no_action
    )
    """The builder of the last attempt; none: the head's own store, or a builder that is gone."""
    builder_name = Text(default=None, null=True)
    """That builder's name, which stays when the builder is gone."""
    error_message = Text(default=None, null=True)
    """Why it failed."""
    log_path = Text(default=None, null=True)
    """File of the last attempt's log, below the data directory."""
    started_at = Timestamptz(default=None, null=True)
    """When the last attempt began."""
    completed_at = Timestamptz(default=None, null=True)
    """When it reached its final status."""
    cached_at = Timestamptz(default=None, null=True)
    """The ``completed_at`` of the result that the binary cache has recorded. Written by cache."""
    created_at = Timestamptz()
    """When an evaluation first wanted it."""

    derivations_status_check = Check(
        "status IN ('pending', 'ready', 'running', 'built', 'failed', 'dependency_failed', 'aborted', 'cancelled',"
        " 'failed_with_output', 'timeout', 'cached_failure', 'unsupported_system', 'log_limit_exceeded',"
        " 'nar_size_limit_exceeded', 'non_deterministic')"
    )
    derivations_missing_inputs_check = Check("missing_inputs >= 0")


class DerivationInput(Table, tablename="derivation_inputs"):
    """An edge of the build graph. Written by evaluate."""

    id = UUID(primary_key=True)
    derivation_id = ForeignKey(
        Derivation, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action
    )
    """The derivation that waits."""
    input_id = ForeignKey(Derivation, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action)
    """The derivation it waits for."""

    derivation_inputs_derivation_id_input_id_key = Unique([derivation_id, input_id])


class DerivationOutput(Table, tablename="derivation_outputs"):
    """A store path that a derivation makes. Inserted by evaluate; build adds what is known once it exists."""

    id = UUID(primary_key=True)
    derivation_id = ForeignKey(
        Derivation, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action
    )
    """The derivation."""
    name = Varchar(length=255, default=None)
    """Name of the output, such as ``out`` or ``dev``."""
    path = Text(default=None, null=True)
    """Its store path; none: content-addressed and not built yet."""
    nar_hash = Text(default=None, null=True)
    """Hash of its archive; none: not built yet."""
    nar_size = BigInt(default=None, null=True)
    """Bytes of its archive; none: not built yet."""

    derivation_outputs_derivation_id_name_key = Unique([derivation_id, name])


class FailedPath(Table, tablename="failed_paths_cache"):
    """A derivation that has failed by its own fault, and is not tried again. Written by build."""

    drv_path = Text(default=None, primary_key=True)
    """Store path of the .drv."""
    source_build_id = UUID(default=None, null=True)
    """The build it failed for. No reference: the failure is remembered longer than the build."""
    failure_status = Text(default=None, null=True)
    """The status it ended with."""
    failed_at = Timestamptz()
    """When it failed."""
