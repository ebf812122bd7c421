"""Tables of notifications: where a project's results go, and the queue of what is to be sent."""

from piccolo.columns import JSONB, UUID, BigSerial, Boolean, ForeignKey, Integer, Text, Timestamptz, Varchar
from piccolo.columns.base import OnDelete, OnUpdate
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from fc.tables.builds import Build
from fc.tables.evaluations import Evaluation
from fc.tables.projects import Project


class NotificationConfig(Table, tablename="notification_configs"):
    """A place that a project's results are reported to. Written by config."""

    id = UUID(primary_key=True)
    project_id = ForeignKey(Project, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action)
    """The project."""
    notification_type = Varchar(length=50, default=None)
    """How it is spoken to."""
    config = JSONB(default="{}")
    """What its type needs: repository, address, reference to a token. Never a secret's value."""
    enabled = Boolean(default=True)
    """False: nothing is sent."""
    name = Varchar(length=255, default=None)
    """Its key within the project: several targets may be of one type."""
    created_at = Timestamptz()
    """When configuration first named it."""

    notification_configs_project_id_name_key = Unique([project_id, name])
    notification_configs_notification_type_check = Check(
        "notification_type IN"
        " ('github_status', 'gitea_status', 'forgejo_status', 'gitlab_status', 'webhook', 'email')"
    )


class NotificationTask(Table, tablename="notification_tasks"):
    """One message to one target: history and queue at once. Written by report."""

    id = UUID(primary_key=True)
    notification_type = Varchar(length=50, default=None)
    """How the target is spoken to."""
    payload = JSONB(default=None)
    """What is said: enough to send it without looking anything else up but secrets."""
    status = Varchar(length=20, default="pending")
    """How far it is; a task that is to be tried again is pending."""
    attempts = Integer(default=0)
    """How often it was tried."""
    max_attempts = Integer(default=5)
    """How often it may be, before it ends as failed."""
    next_retry_at = Timestamptz()
    """Not tried before then."""
    last_error = Text(default=None, null=True)
    """Why the last try failed."""
    notification_config_id = ForeignKey(
        NotificationConfig, null=True, on_delete=OnDelete.set_null, on_update=OnUpdate.no_action
    )
    """The target; none: it is gone from configuration."""
    build_id = ForeignKey(Build, null=True, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action)
    """The build it speaks of."""
    evaluation_id = ForeignKey(
        Evaluation, null=True, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action
    )
    """The evaluation it speaks of."""
    claim_token = UUID(default=None, null=True)
    """Names the process that sends it now; results without it change nothing."""
    lease_until = Timestamptz(default=None, null=True)
    """Until then the claim stands; afterwards anyone may take it over."""
    created_at = Timestamptz()
    """When it was planned."""
    completed_at = Timestamptz(default=None, null=True)
    """When it was delivered or given up."""
    subject = Text(default=None, null=True)
    """What it is about, such as a commit and a context: to each target, one message about it waits and one is sent."""
    destination = Text(default="")
    """The host it goes to; empty: none can be told from its configuration."""
    sequence = BigSerial()
    """Order in which messages were planned."""
    config_source = Varchar(length=255, default=None, null=True)
    """Name of the configuration repository it is about, whose target stands in the settings; none: a project's."""

    notification_tasks_notification_type_check = Check(
        "notification_type IN"
        " ('webhook', 'github_status', 'github_check', 'gitea_status', 'forgejo_status', 'gitlab_status', 'email')"
    )
    notification_tasks_status_check = Check("status IN ('pending', 'running', 'completed', 'failed')")
