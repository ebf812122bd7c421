"""Table of previews: what pull requests on configuration repositories would change."""

from piccolo.columns import JSONB, UUID, ForeignKey, Integer, Text, Timestamptz, Varchar
from piccolo.columns.base import OnDelete, OnUpdate
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from fc.tables.configuration import ConfigRevision


class ConfigPreview(Table, tablename="config_previews"):
    """A pull request on a configuration repository, and its plan. Nothing of it is ever applied. Written by config."""

    id = UUID(primary_key=True)
    source = Varchar(length=255, default=None)
    """Name of the configuration repository."""
    number = Integer(default=None)
    """Of the pull request (GitLab: of the merge request)."""
    title = Text(default=None, null=True)
    """Its title, as the forge says."""
    author = Text(default=None, null=True)
    """Who opened it, as the forge says."""
    url = Text(default=None, null=True)
    """Its page on the forge."""
    head_hash = Varchar(length=64, default=None)
    """The commit it offers."""
    base_hash = Varchar(length=64, default=None, null=True)
    """The commit of the followed branch it was planned on; none: not planned yet."""
    base_revision_id = ForeignKey(
        ConfigRevision, null=True, on_delete=OnDelete.set_null, on_update=OnUpdate.no_action
    )
    """The revision that was in force when it was planned."""
    status = Text(default="pending")
    """Whether it could be planned, and whether the plan would be held."""
    message = Text(default=None, null=True)
    """Why it failed, or why it would be held, in one message."""
    plan = JSONB(default="{}")
    """Digest, summary, reasons and changes; secrets are shown by name."""
    errors = JSONB(default="[]")
    """Every error of its documents, with file, line and column."""
    failures = Integer(default=0)
    """Tries in a row that failed for reasons outside of it, such as an unreachable forge."""
    requested_at = Timestamptz(null=True)
    """Set when it, its base or what is in force changed: plan it again."""
    next_plan_at = Timestamptz(default=None, null=True)
    """When a try that failed is repeated."""
    reruns = Integer(default=0)
    """How often somebody asked at the forge for its check to be made again."""
    planned_at = Timestamptz(default=None, null=True)
    """When its plan was made."""
    claim_token = UUID(default=None, null=True)
    """Names the process that plans it now; results without it change nothing."""
    lease_until = Timestamptz(default=None, null=True)
    """Until then the claim stands; afterwards anyone may take it over."""
    report_pending_since = Timestamptz(default=None, null=True)
    """Its commit status is to be planned; none: nothing to report."""
    created_at = Timestamptz()
    """When it was first heard of."""
    looked_at = Timestamptz()
    """When its forge last said how it stands: in a hook, or asked by report."""
    found_closed_at = Timestamptz(default=None, null=True)
    """When its forge, asked, said that it is closed or goes elsewhere; config closes it then."""
    closed_at = Timestamptz(default=None, null=True)
    """When it was merged or closed."""

    config_previews_source_number_key = Unique([source, number])
    config_previews_status_check = Check("status IN ('pending', 'planned', 'held', 'failed', 'closed')")
