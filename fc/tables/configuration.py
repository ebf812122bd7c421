"""Tables of the configuration: repositories, tried commits, what each changed, and who owns which row."""

from piccolo.columns import (
    JSONB,
    UUID,
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

from fc.tables.projects import Project


class ConfigSource(Table, tablename="config_sources"):
    """A configuration repository and how its last synchronisation went. Written by config."""

    id = UUID(primary_key=True)
    name = Varchar(length=255, default=None, unique=True)
    """Its key."""
    url = Text(default=None)
    """Where git fetches it from."""
    branch = Varchar(length=255, default=None)
    """The branch that is followed."""
    path = Text(default=".")
    """The directory in it that holds the documents."""
    status = Text(default="pending")
    """Whether the newest commit is in force."""
    error_message = Text(default=None, null=True)
    """Why the last synchronisation failed, in one message."""
    errors = JSONB(default="[]")
    """Every error of the documents, with file, line and column."""
    failures = Integer(default=0)
    """Synchronisations that failed in a row."""
    last_seen_commit = Varchar(length=64, default=None, null=True)
    """The newest commit that was looked at, good or bad."""
    last_synced_at = Timestamptz(default=None, null=True)
    """When the repository was last found to be in force."""
    sync_requested_at = Timestamptz(default=None, null=True)
    """Set by a push or a person: look now."""
    next_sync_at = Timestamptz()
    """When it is due without any push."""
    claim_token = UUID(default=None, null=True)
    """Names the process that synchronises it now; results without it change nothing."""
    lease_until = Timestamptz(default=None, null=True)
    """Until then the claim stands; afterwards anyone may take it over."""
    created_at = Timestamptz()
    """When it was first set."""
    held = JSONB(default=None, null=True)
    """The plan that waits to be confirmed, or for a sync window: digest, commit and reasons."""
    confirmed_digest = Varchar(length=64, default=None, null=True)
    """The plan that somebody confirmed; it is applied if it is still the same."""
    project_id = ForeignKey(Project, null=True, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action)
    """The project whose own file this is; none: the settings describe the source."""
    active = Boolean(default=True)
    """False: nothing names it any more; what it owns stays."""
    scope = JSONB(default="[]")
    """What it may declare, as in the settings; empty: everything."""
    synced_commit = Varchar(length=64, default=None, null=True)
    """The newest commit that was found to be in force; what comes after it is new."""
    forced_from = Varchar(length=64, default=None, null=True)
    """The commit in force when the branch was last moved to one that does not contain it."""
    forced_at = Timestamptz(default=None, null=True)
    """When that was noticed."""
    opens_at = Timestamptz(default=None, null=True)
    """When the plan that waits for a sync window may be applied."""

    config_sources_status_check = Check("status IN ('pending', 'synced', 'failed', 'held', 'waiting')")


class ConfigRevision(Table, tablename="config_revisions"):
    """A commit (or a directory) of configuration that was tried, and its result. Written by config."""

    id = UUID(primary_key=True)
    source = Varchar(length=255, default=None)
    """Name of the configuration repository, or of the one who applied a directory."""
    commit_hash = Varchar(length=64, default=None, null=True)
    """The commit; none: a directory."""
    author = Text(default=None, null=True)
    """Who wrote the commit."""
    subject = Text(default=None, null=True)
    """First line of the commit's message."""
    committed_at = Timestamptz(default=None, null=True)
    """When it was committed."""
    status = Text(default=None)
    """Whether it came into force."""
    plan = JSONB(default="{}")
    """What was to change: digest, how many, reasons; and each change, unless it was applied."""
    errors = JSONB(default="[]")
    """Why it failed, with file, line and column."""
    duration_seconds = DoublePrecision(default=0)
    """How long load, compile, diff and apply took."""
    created_at = Timestamptz()
    """When it was tried."""
    signer = Text(default=None, null=True)
    """Who signed the commit; none: no signature was asked for."""
    report_pending_since = Timestamptz(default=None, null=True)
    """Its commit status is to be planned; none: nothing to report."""

    config_revisions_status_check = Check("status IN ('applied', 'failed', 'held', 'waiting')")


class ConfigChange(Table, tablename="config_changes"):
    """One row made, changed or removed by a revision. Written by config, never changed."""

    id = UUID(primary_key=True)
    revision_id = ForeignKey(
        ConfigRevision, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action
    )
    """The revision."""
    kind = Varchar(length=50, default=None)
    """Kind of the resource, such as ``jobset``."""
    key = Text(default=None)
    """Key of the resource, such as ``hello/main``."""
    action = Text(default=None)
    """What happened to it."""
    before = JSONB(default=None, null=True)
    """The resource before; none: created. Secrets are references."""
    after = JSONB(default=None, null=True)
    """The resource afterwards; none: deleted. Secrets are references."""
    file = Text(default=None, null=True)
    """File that declares it."""
    line = Integer(default=None, null=True)
    """Line in that file, from 1."""
    created_at = Timestamptz()
    """When it was applied."""

    config_changes_action_check = Check("action IN ('create', 'update', 'delete', 'rename', 'adopt')")


class ConfigAdoption(Table, tablename="config_adoptions"):
    """A row made by hand that git may take over, because somebody said so. Written by config."""

    id = UUID(primary_key=True)
    kind = Varchar(length=50, default=None)
    """Kind of the resource, such as ``jobset``."""
    key = Text(default=None)
    """Key of the resource, such as ``hello/main``."""
    actor = Text(default=None)
    """Who said so, as in the audit trail."""
    created_at = Timestamptz()
    """When."""

    config_adoptions_kind_key_key = Unique([kind, key])


class ConfigResource(Table, tablename="config_resources"):
    """The inventory: a resource in force, and the file and line that owns it. Written by config."""

    id = UUID(primary_key=True)
    source = Varchar(length=255, default=None)
    """Name of the configuration repository that owns it."""
    kind = Varchar(length=50, default=None)
    """Kind of the resource, such as ``jobset``."""
    key = Text(default=None)
    """Key of the resource, such as ``hello/main``."""
    content = JSONB(default=None)
    """The resource as declared. Secrets are references."""
    content_hash = Varchar(length=128, default=None)
    """Hash of ``content``: equal means unchanged."""
    file = Text(default=None)
    """File that declares it."""
    line = Integer(default=None)
    """Line in that file, from 1."""
    revision_id = ForeignKey(
        ConfigRevision, null=True, on_delete=OnDelete.set_null, on_update=OnUpdate.no_action
    )
    """The revision that last changed it."""
    created_at = Timestamptz()
    """When it was first declared."""
    updated_at = Timestamptz()
    """When it last changed; config sets it."""

    config_resources_kind_key_key = Unique([kind, key])
