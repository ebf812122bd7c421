"""Tables of projects: jobsets, their inputs, and the hooks that announce pushes."""

from piccolo.columns import JSONB, UUID, Boolean, ForeignKey, Integer, Text, Timestamptz, Varchar
from piccolo.columns.base import OnDelete, OnUpdate
from piccolo.constraints import Check, Unique
from piccolo.table import Table


class Project(Table, tablename="projects"):
    """A repository whose code is evaluated and built. Written by config."""

    id = UUID(primary_key=True)
    name = Varchar(length=255, default=None, unique=True)
    """Its key in configuration, in addresses and in status contexts."""
    description = Text(default=None, null=True)
    """One line for people."""
    repository_url = Text(default=None)
    """Where git fetches the code from."""
    enabled = Boolean(default=True)
    """False: nothing of it is checked or built; its history stays."""
    delegate = JSONB(default=None, null=True)
    """What its repository may declare itself, and the limits of that; none: nothing."""
    created_at = Timestamptz()
    """When configuration first named it."""
    updated_at = Timestamptz()
    """Last change of the row; a trigger keeps it."""


class Jobset(Table, tablename="jobsets"):
    """One expression of a project, evaluated at the newest commit of one branch.

    Config writes what is declared. Evaluate writes what checking finds: the columns from ``last_checked_at``,
    ``check_requested_at`` to ``last_commit``, and the claim.
    """

    id = UUID(primary_key=True)
    project_id = ForeignKey(Project, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action)
    """The project it belongs to and goes with."""
    name = Varchar(length=255, default=None)
    """Its key within the project."""
    nix_expression = Text(default=None)
    """File (legacy) or flake attribute that is evaluated."""
    enabled = Boolean(default=True)
    """False: never checked."""
    flake_mode = Boolean(default=True)
    """True: ``nix_expression`` is an attribute of a flake; false: a file in the repository."""
    check_interval = Integer(default=60)
    """Seconds between two looks at the repository."""
    branch = Varchar(length=255, default=None, null=True)
    """The branch that is followed; none: the repository's default branch."""
    scheduling_shares = Integer(default=100)
    """Its part of the builders' time, relative to all other jobsets."""
    state = Varchar(length=50, default="enabled")
    """How it is evaluated: not at all, always, once, or only while no evaluation of it is unfinished."""
    last_checked_at = Timestamptz(default=None, null=True)
    """When the repository was last looked at."""
    keep_nr = Integer(default=3)
    """How many of its newest evaluations are kept from garbage collection."""
    description = Text(default=None, null=True)
    """One line for people."""
    restrict_eval = Boolean(default=True)
    """Evaluate with Nix's ``restrict-eval``: no file and no address outside the declared inputs."""
    allow_import_from_derivation = Boolean(default=False)
    """Let evaluation build what it imports."""
    evaluation_timeout = Integer(default=600)
    """Longest evaluation, in seconds."""
    check_requested_at = Timestamptz(default=None, null=True)
    """Set by a push or a person: check now; cleared by the check that answers it."""
    next_check_at = Timestamptz()
    """When it is due without any push."""
    check_failures = Integer(default=0)
    """Checks that failed in a row; they make the next one wait longer."""
    last_error = Text(default=None, null=True)
    """Why the last check failed; none: it did not."""
    last_commit = Varchar(length=64, default=None, null=True)
    """Commit the last check found."""
    claim_token = UUID(default=None, null=True)
    """Names the process that checks it now; results without it change nothing."""
    lease_until = Timestamptz(default=None, null=True)
    """Until then the claim stands; afterwards anyone may take it over."""
    created_at = Timestamptz()
    """When configuration first named it."""
    updated_at = Timestamptz()
    """Last change of the row; a trigger keeps it."""

    jobsets_project_id_name_key = Unique([project_id, name])
    jobsets_state_check = Check("state IN ('disabled', 'enabled', 'one_shot', 'one_at_a_time')")
    jobsets_evaluation_timeout_check = Check("evaluation_timeout > 0")


class JobsetInput(Table, tablename="jobset_inputs"):
    """A named argument of a jobset's expression. Written by config."""

    id = UUID(primary_key=True)
    jobset_id = ForeignKey(Jobset, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action)
    """The jobset it is an argument of."""
    name = Varchar(length=255, default=None)
    """Name of the argument."""
    input_type = Varchar(length=50, default=None)
    """What ``value`` is."""
    value = Text(default=None)
    """Address of a repository, text, ``true`` or ``false``, path, or job of another jobset."""
    revision = Text(default=None, null=True)
    """Branch, tag or commit of a git input; none: its default branch."""
    created_at = Timestamptz()
    """When configuration first named it."""

    jobset_inputs_jobset_id_name_key = Unique([jobset_id, name])
    jobset_inputs_input_type_check = Check("input_type IN ('git', 'string', 'boolean', 'path', 'build')")


class WebhookConfig(Table, tablename="webhook_configs"):
    """A forge whose signed hooks are accepted for a project. Written by config."""

    id = UUID(primary_key=True)
    project_id = ForeignKey(Project, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action)
    """The project the hooks speak of."""
    forge_type = Varchar(length=50, default=None)
    """Whose signatures and messages are expected."""
    secret_hash = Varchar(length=128, default=None, null=True)
    """Of the original schema; not used: a hash cannot check an HMAC."""
    secret = JSONB(default=None, null=True)
    """Reference to the shared secret, ``{"secret": name}``; never its value."""
    enabled = Boolean(default=True)
    """False: its hooks are refused."""
    created_at = Timestamptz()
    """When configuration first named it."""

    webhook_configs_project_id_forge_type_key = Unique([project_id, forge_type])
    webhook_configs_forge_type_check = Check("forge_type IN ('github', 'gitea', 'forgejo', 'gitlab')")
