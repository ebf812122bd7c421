"""Tables of builds: the jobs of an evaluation, their steps, products and measurements."""

from piccolo.columns import (
    JSONB,
    UUID,
    BigInt,
    Boolean,
    DoublePrecision,
    ForeignKey,
    Integer,
    Text,
    Timestamptz,
    Varchar,
)
from piccolo.columns.base import OnDelete, OnUpdate
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from fc.tables.builders import RemoteBuilder
from fc.tables.derivations import Derivation
from fc.tables.evaluations import Evaluation


class Build(Table, tablename="builds"):
    """A job of an evaluation. Inserted by evaluate, settled by build; report clears its notification mark."""

    id = UUID(primary_key=True)
    evaluation_id = ForeignKey(
        Evaluation, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action
    )
    """The evaluation it is a job of."""
    job_name = Varchar(length=255, default=None)
    """Attribute path of the job."""
    drv_path = Text(default=None)
    """Store path of the .drv that makes it."""
    status = Text(default=None)
    """How far it is. Everything after ``running`` is final."""
    started_at = Timestamptz(default=None, null=True)
    """When building began; none: it has not, or a short cut settled it."""
    completed_at = Timestamptz(default=None, null=True)
    """When it reached its final status."""
    log_path = Text(default=None, null=True)
    """File of its log, below the data directory."""
    build_output_path = Text(default=None, null=True)
    """Store path of its first output."""
    error_message = Text(default=None, null=True)
    """Why it failed."""
    priority = Integer(default=0)
    """Its own weight (``meta.schedulingPriority``) among the builds of its jobset."""
    retry_count = Integer(default=0)
    """How often its derivation was tried again."""
    max_retries = Integer(default=3)
    """How often it may be."""
    notification_pending_since = Timestamptz(default=None, null=True)
    """Set with every status worth reporting; cleared when report has planned its notifications."""
    log_url = Text(default=None, null=True)
    """Where the log is when it is not a file here."""
    outputs = JSONB(default=None, null=True)
    """Store paths of its outputs, by name."""
    is_aggregate = Boolean(default=False)
    """It stands for its constituents (``_hydraAggregate``)."""
    constituents = JSONB(default=None, null=True)
    """Jobs an aggregate stands for."""
    builder_id = ForeignKey(
        RemoteBuilder, null=True, on_delete=OnDelete.set_null, on_update=OnUpdate.no_action
    )
    """The builder that built it; none: the head's own store, or a builder that is gone."""
    signed = Boolean(default=False)
    """Whether its outputs carry the cache's signature."""
    system = Varchar(length=50, default=None, null=True)
    """The system it is built for."""
    keep = Boolean(default=False)
    """Pinned by a person: never collected."""
    derivation_id = ForeignKey(
        Derivation, null=True, on_delete=OnDelete.set_null, on_update=OnUpdate.no_action
    )
    """The derivation whose end settles it."""
    meta = JSONB(default="{}")
    """The job's ``meta`` attributes."""
    queued_at = Timestamptz(default=None, null=True)
    """When the build stage took it in; none: it has not yet."""
    global_priority = Integer(default=0)
    """Its weight among all builds, before every jobset's share."""
    created_at = Timestamptz()
    """When it was recorded."""

    builds_evaluation_id_job_name_key = Unique([evaluation_id, job_name])
    builds_status_check = Check(
        "status IN ('pending', 'running', 'succeeded', 'failed', 'dependency_failed', 'aborted', 'cancelled',"
        " 'failed_with_output', 'timeout', 'cached_failure', 'unsupported_system', 'log_limit_exceeded',"
        " 'nar_size_limit_exceeded', 'non_deterministic')"
    )


class BuildProduct(Table, tablename="build_products"):
    """A file or directory a build offers (``nix-support/hydra-build-products``). Written by build."""

    id = UUID(primary_key=True)
    build_id = ForeignKey(Build, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action)
    """The build."""
    name = Varchar(length=255, default=None)
    """What it is called for people."""
    path = Text(default=None)
    """Where it is in the store."""
    sha256_hash = Varchar(length=64, default=None, null=True)
    """SHA-256 of a file, in hexadecimal; none: a directory."""
    file_size = BigInt(default=None, null=True)
    """Bytes of a file; none: a directory."""
    content_type = Varchar(length=100, default=None, null=True)
    """Type and subtype as the build gave them."""
    is_directory = Boolean(default=False)
    """Whether it is a directory."""
    gc_root_path = Text(default=None, null=True)
    """The root that keeps it from garbage collection."""
    created_at = Timestamptz()
    """When it was recorded."""


class BuildStep(Table, tablename="build_steps"):
    """One attempt at one derivation that a build needed. Written by build."""

    id = UUID(primary_key=True)
    build_id = ForeignKey(Build, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action)
    """The build."""
    step_number = Integer(default=None)
    """Order within the build, from 1."""
    command = Text(default=None)
    """What was done, for people."""
    output = Text(default=None, null=True)
    """End of what it printed; the whole is in the log."""
    error_output = Text(default=None, null=True)
    """What the carrier or Nix complained of."""
    started_at = Timestamptz()
    """When it began."""
    completed_at = Timestamptz(default=None, null=True)
    """When it ended; none: it runs."""
    exit_code = Integer(default=None, null=True)
    """0: it worked."""
    derivation_id = ForeignKey(
        Derivation, null=True, on_delete=OnDelete.set_null, on_update=OnUpdate.no_action
    )
    """The derivation."""
    builder_id = ForeignKey(
        RemoteBuilder, null=True, on_delete=OnDelete.set_null, on_update=OnUpdate.no_action
    )
    """The builder; none: the head's own store, or a builder that is gone."""
    builder_name = Text(default=None, null=True)
    """That builder's name, which stays when the builder is gone."""
    status = Text(default=None, null=True)
    """How it ended, as for derivations."""
    log_path = Text(default=None, null=True)
    """File of its log, below the data directory."""

    build_steps_build_id_step_number_key = Unique([build_id, step_number])


class BuildDependency(Table, tablename="build_dependencies"):
    """A build that needs another build of the same evaluation. Written by evaluate."""

    id = UUID(primary_key=True)
    build_id = ForeignKey(Build, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action)
    """The build that waits."""
    dependency_build_id = ForeignKey(
        Build, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action
    )
    """The build it waits for."""

    build_dependencies_build_id_dependency_build_id_key = Unique([build_id, dependency_build_id])


class BuildMetric(Table, tablename="build_metrics"):
    """A number a build has measured (``nix-support/hydra-metrics``) or that was measured of it. Written by build."""

    id = UUID(primary_key=True)
    build_id = ForeignKey(Build, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action)
    """The build."""
    metric_name = Varchar(length=100, default=None)
    """What was measured."""
    metric_value = DoublePrecision(default=None)
    """The number."""
    unit = Varchar(length=50, default=None)
    """Its unit."""
    collected_at = Timestamptz()
    """When it was recorded."""

    build_metrics_build_id_metric_name_key = Unique([build_id, metric_name])
