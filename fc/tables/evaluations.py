"""Tables of evaluations: what was evaluated when and why, what failed, and the hooks that came in."""

from piccolo.columns import JSONB, UUID, ForeignKey, Integer, Text, Timestamptz, Varchar
from piccolo.columns.base import OnDelete, OnUpdate
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from fc.tables.projects import Jobset


class Evaluation(Table, tablename="evaluations"):
    """A jobset at one commit with one set of inputs. Written by evaluate."""

    id = UUID(primary_key=True)
    jobset_id = ForeignKey(Jobset, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action)
    """The jobset."""
    commit_hash = Varchar(length=64, default=None)
    """The commit, in full; 64 characters in a SHA-256 repository."""
    evaluation_time = Timestamptz()
    """When it was asked for."""
    status = Text(default=None)
    """How far it is."""
    error_message = Text(default=None, null=True)
    """Why the whole of it failed; errors of single jobs are rows of evaluation_errors."""
    inputs_hash = Varchar(length=128, default="")
    """Hash over expression, branch, flake mode and every input: what besides the commit decides the result."""
    pr_number = Integer(default=None, null=True)
    """Number of the pull request; none: a push."""
    pr_head_branch = Text(default=None, null=True)
    """Branch the pull request comes from."""
    pr_base_branch = Text(default=None, null=True)
    """Branch the pull request goes to."""
    pr_action = Text(default=None, null=True)
    """What happened to the pull request, in its forge's word."""
    cause = Text(default="poll")
    """What made it be evaluated."""
    commit_subject = Text(default=None, null=True)
    """First line of the commit's message."""
    commit_author = Text(default=None, null=True)
    """Who wrote the commit."""
    committed_at = Timestamptz(default=None, null=True)
    """When it was committed."""
    inputs = JSONB(default="{}")
    """The inputs as resolved, by name: what to repeat for the same result."""
    attempts = Integer(default=0)
    """How often it was begun."""
    next_attempt_at = Timestamptz()
    """Not begun before then."""
    claim_token = UUID(default=None, null=True)
    """Names the process that evaluates it now; results without it change nothing."""
    lease_until = Timestamptz(default=None, null=True)
    """Until then the claim stands; afterwards anyone may take it over."""
    started_at = Timestamptz(default=None, null=True)
    """When the last attempt began."""
    completed_at = Timestamptz(default=None, null=True)
    """When it reached its final status."""
    notification_pending_since = Timestamptz(default=None, null=True)
    """Set by a trigger whenever the status changes; report clears it when what is to be sent stands planned."""

    evaluations_jobset_id_commit_hash_inputs_hash_key = Unique([jobset_id, commit_hash, inputs_hash])
    evaluations_status_check = Check(
        "status IN ('pending', 'running', 'completed', 'failed', 'cancelled', 'timed_out')"
    )
    evaluations_cause_check = Check(
        "cause IN ('poll', 'push', 'pull_request', 'input', 'configuration', 'manual')"
    )


class EvaluationError(Table, tablename="evaluation_errors"):
    """A job that could not be evaluated, while others of its evaluation could. Written by evaluate."""

    id = UUID(primary_key=True)
    evaluation_id = ForeignKey(
        Evaluation, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action
    )
    """The evaluation."""
    job_name = Text(default=None)
    """Attribute path of the job."""
    message = Text(default=None)
    """What Nix said."""

    evaluation_errors_evaluation_id_job_name_key = Unique([evaluation_id, job_name])


class WebhookDelivery(Table, tablename="webhook_deliveries"):
    """An incoming hook, so that none counts twice and people see what came. Written by evaluate."""

    id = UUID(primary_key=True)
    forge_type = Varchar(length=50, default=None)
    """Who sent it."""
    target = Text(default=None)
    """What it was sent to: a project's name, or the configuration repository."""
    delivery_id = Text(default=None)
    """The forge's own number of the delivery; a second accepted one with it is a repetition."""
    event = Text(default=None)
    """What it announces, in the forge's word."""
    status = Text(default=None)
    """Whether it was acted on, not of interest, or not believed."""
    detail = Text(default=None, null=True)
    """Why, for people."""
    received_at = Timestamptz()
    """When it came."""

    webhook_deliveries_forge_type_check = Check("forge_type IN ('github', 'gitea', 'forgejo', 'gitlab')")
    webhook_deliveries_status_check = Check("status IN ('accepted', 'ignored', 'refused')")
