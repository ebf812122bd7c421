"""The configuration language: every kind and field, once. Checks, defaults and the JSON Schema are derived from here."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from fc.access.roles import Role as AccessRole
from fc.config.delegate_fields import Delegate
from fc.config.field_types import (
    INT4,
    Email,
    Feature,
    GitlabProject,
    GitUrl,
    HostKey,
    InputName,
    JobReference,
    Line,
    Name,
    Positive,
    ProjectName,
    Ref,
    Repository,
    RoleId,
    Scope,
    Seconds,
    Secret,
    SshUri,
    System,
    Text,
    UserName,
    WebUrl,
    WorkerPoolId,
)
from fc.forge.events import Forge


class _Shape(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What all shapes have in common: unknown keys are errors."""


class _Kept(_Shape, kw_only=True):
    """What stands on its own and has its own life."""

    protected: Annotated[bool, Meta(description="A plan that would remove it waits for a yes.")] = False
    renamed_from: Annotated[Line | None, Meta(description="The name it had: it keeps its history.")] = None


class _Archived(_Kept, kw_only=True):
    """What has a history of builds or of people."""

    on_remove: Annotated[
        Literal["archive", "delete"],
        Meta(description="Taken out of git, it is disabled and kept (archive), or deleted with its history."),
    ] = "archive"


class GitInput(_Shape, tag_field="type", tag="git"):
    """A git repository, given to the expression as a source tree."""

    value: Annotated[GitUrl, Meta(description="Where the repository is.")]
    revision: Annotated[Ref | None, Meta(description="Branch, tag or commit; none: the default branch.")] = (
        None
    )


class StringInput(_Shape, tag_field="type", tag="string"):
    """A text, given to the expression as it is."""

    value: Annotated[Text, Meta(description="The text.")]


class BooleanInput(_Shape, tag_field="type", tag="boolean"):
    """true or false."""

    value: Annotated[bool, Meta(description="true or false.")]


class PathInput(_Shape, tag_field="type", tag="path"):
    """A path on the machine that evaluates."""

    value: Annotated[Line, Meta(description="The path.")]


class BuildInput(_Shape, tag_field="type", tag="build"):
    """The latest good output of a job of another jobset."""

    value: Annotated[JobReference, Meta(description="project:jobset:job")]


class Jobset(_Archived):
    """What of a project is evaluated, how often, and how much of the farm it may use."""

    nix_expression: Annotated[
        Line,
        Meta(
            description="File inside the repository; with flake_mode the attribute of the flake, such as hydraJobs."
        ),
    ]
    description: Annotated[Text | None, Meta(description="For readers.")] = None
    enabled: Annotated[bool, Meta(description="false: not evaluated; what was built stays.")] = True
    flake_mode: Annotated[
        bool, Meta(description="Evaluate an attribute of the repository's flake, not a file.")
    ] = True
    branch: Annotated[
        Ref | None, Meta(description="Branch to follow; none: the repository's default branch.")
    ] = None
    check_interval: Annotated[
        Seconds, Meta(description="How often the branch is looked at when no webhook does it.")
    ] = 60
    scheduling_shares: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)],
        Meta(description="Share of the build farm, relative to other jobsets."),
    ] = 100
    state: Annotated[
        Literal["enabled", "disabled", "one_shot", "one_at_a_time"],
        Meta(
            description="one_shot: evaluate once more, then stop; one_at_a_time: wait until the last evaluation is built."
        ),
    ] = "enabled"
    keep_nr: Annotated[
        Annotated[int, Meta(ge=0, le=INT4)],
        Meta(description="Evaluations whose results are kept from garbage collection."),
    ] = 3
    restrict_eval: Annotated[bool, Meta(description="Forbid the expression to read outside its inputs.")] = (
        True
    )
    allow_import_from_derivation: Annotated[
        bool, Meta(description="Let evaluation build what it imports.")
    ] = False
    evaluation_timeout: Annotated[
        Seconds, Meta(description="An evaluation that takes longer is stopped.")
    ] = 600
    inputs: Annotated[
        dict[
            InputName,
            GitInput | StringInput | BooleanInput | PathInput | BuildInput,
        ],
        Meta(description="Arguments of the expression, by name."),
    ] = {}


class Channel(_Shape):
    """A name for the latest evaluation of a jobset that was built without failure."""

    jobset: Annotated[
        Annotated[str, Meta(extra={"refers_to": "jobset"})],
        Meta(description="The jobset it follows, of the same project."),
    ]


class Webhook(_Shape):
    """Accept push events of one forge for this project."""

    secret: Annotated[
        Secret, Meta(description="What the forge signs its posts with; unsigned posts are refused.")
    ]
    enabled: Annotated[bool, Meta(description="false: posts are refused.")] = True


class _StatusNotification(_Shape):
    repository: Annotated[Repository, Meta(description="The repository whose commits get the status.")]
    token: Annotated[Secret, Meta(description="Access token that may write commit statuses.")]
    url: Annotated[
        WebUrl | None, Meta(description="Base URL of the forge; none: the one in the settings.")
    ] = None
    name: Annotated[
        Name | None,
        Meta(
            description="Tells targets of one type apart; none: the type, with the repository if there are several."
        ),
    ] = None
    enabled: Annotated[bool, Meta(description="false: nothing is sent.")] = True


class GithubStatus(_StatusNotification, tag_field="type", tag="github_status"):
    """Commit statuses on GitHub or GitHub Enterprise."""


class GiteaStatus(_StatusNotification, tag_field="type", tag="gitea_status"):
    """Commit statuses on a Gitea."""


class ForgejoStatus(_StatusNotification, tag_field="type", tag="forgejo_status"):
    """Commit statuses on a Forgejo."""


class GitlabStatus(_StatusNotification, tag_field="type", tag="gitlab_status"):
    """Commit statuses on a GitLab."""

    repository: Annotated[
        GitlabProject, Meta(description="The project whose commits get the status: its path or number.")
    ]


class WebhookNotification(_Shape, tag_field="type", tag="webhook"):
    """A JSON post for every result."""

    url: Annotated[WebUrl, Meta(description="Where it is posted to.")]
    secret: Annotated[
        Secret | None, Meta(description="What the post is signed with (HMAC-SHA256); none: unsigned.")
    ] = None
    name: Annotated[
        Name | None,
        Meta(description="Tells targets apart; none: the type."),
    ] = None
    enabled: Annotated[bool, Meta(description="false: nothing is sent.")] = True


class Project(_Archived):
    """A repository whose jobs are built."""

    repository_url: Annotated[GitUrl, Meta(description="Where the repository is.")]
    description: Annotated[Text | None, Meta(description="For readers.")] = None
    enabled: Annotated[bool, Meta(description="false: nothing of it is evaluated or built.")] = True
    jobsets: Annotated[dict[Name, Jobset], Meta(description="What is evaluated, by name.")] = {}
    channels: Annotated[dict[Name, Channel], Meta(description="Names for the latest good evaluations.")] = {}
    webhooks: Annotated[
        dict[Forge, Webhook], Meta(description="Push events that are accepted, by forge.")
    ] = {}
    notifications: Annotated[
        list[GithubStatus | GiteaStatus | ForgejoStatus | GitlabStatus | WebhookNotification],
        Meta(description="Where results are reported to."),
    ] = []
    members: Annotated[
        dict[
            Annotated[UserName, Meta(extra={"refers_to": "user"})], Literal["member", "maintainer", "admin"]
        ],
        Meta(description="Users with rights in this project, and which."),
    ] = {}
    delegate: Annotated[
        Delegate | None, Meta(description="What its repository may declare itself; none: nothing.")
    ] = None


class User(_Archived):
    """An account."""

    email: Annotated[Email, Meta(description="Address; no two users share one.")]
    full_name: Annotated[Line | None, Meta(description="For readers.")] = None
    role: Annotated[AccessRole, Meta(description="What the user may do everywhere.")] = "read-only"
    enabled: Annotated[bool, Meta(description="false: cannot sign in.")] = True
    public_dashboard: Annotated[bool, Meta(description="Others may see the user's dashboard.")] = False


class ApiKey(_Kept):
    """A key for programs."""

    key: Annotated[Secret, Meta(description="The key itself; only its SHA-256 is stored.")]
    role: Annotated[AccessRole, Meta(description="What the key may do.")] = "read-only"
    user: Annotated[
        Annotated[str, Meta(extra={"refers_to": "user"})] | None, Meta(description="The user it acts for.")
    ] = None


class RemoteBuilder(_Archived):
    """A machine with sshd and Nix that builds."""

    ssh_uri: Annotated[
        SshUri,
        Meta(description="How to reach it."),
    ]
    systems: Annotated[
        Annotated[list[System], Meta(min_length=1, max_length=64)],
        Meta(description="Nix systems it builds for."),
    ]
    max_jobs: Annotated[
        Annotated[int, Meta(ge=1, le=4096)], Meta(description="Most builds at once; never exceeded.")
    ] = 1
    speed_factor: Annotated[
        Positive, Meta(description="Faster machines get a larger number and are preferred.")
    ] = 1
    supported_features: Annotated[
        list[Feature], Meta(description="System features it offers, such as kvm.")
    ] = []
    mandatory_features: Annotated[
        list[Feature], Meta(description="It builds only what requires all of these; they count as supported.")
    ] = []
    enabled: Annotated[bool, Meta(description="false: gets no builds.")] = True
    public_host_key: Annotated[
        HostKey | None,
        Meta(
            description="Its SSH host key; without one it is refused unless the settings trust on first use."
        ),
    ] = None
    ssh_key_file: Annotated[
        Line | None,
        Meta(description="Private key on the machine that runs FC; none: the one in the settings."),
    ] = None


class Role(_Kept):
    """A named set of scopes."""

    description: Annotated[Text, Meta(description="What it is for.")]
    scopes: Annotated[
        list[Scope],
        Meta(description="What holders of the role may do."),
    ] = []


class WorkerPoolConfig(_Shape):
    """What the provider ssh needs to know."""

    builders: Annotated[
        list[Annotated[str, Meta(extra={"refers_to": "remote_builder"})]],
        Meta(description="Remote builders of the pool."),
    ] = []


class WorkerPool(_Kept):
    """Machines that belong together."""

    provider_id: Annotated[Literal["ssh"], Meta(description="How its machines are had.")]
    owner: Annotated[Email, Meta(description="Who is told when something is wrong.")]
    description: Annotated[Text, Meta(description="For readers.")] = ""
    email_on_error: Annotated[bool, Meta(description="Send the owner a mail for each error.")] = False
    config: Annotated[WorkerPoolConfig, Meta(description="Depends on the provider.")] = msgspec.field(
        default_factory=WorkerPoolConfig
    )


class Configuration(_Shape):
    """One document of a configuration repository: a mapping of kinds. Kinds are merged over documents and files."""

    projects: Annotated[
        dict[ProjectName, Project], Meta(description="Repositories whose jobs are built, by name.")
    ] = {}
    users: Annotated[dict[UserName, User], Meta(description="Accounts, by user name.")] = {}
    api_keys: Annotated[dict[Name, ApiKey], Meta(description="Keys for programs, by name.")] = {}
    remote_builders: Annotated[
        dict[Name, RemoteBuilder], Meta(description="Machines that build, by name.")
    ] = {}
    roles: Annotated[
        dict[RoleId, Role],
        Meta(description="Named sets of scopes, by role id."),
    ] = {}
    worker_pools: Annotated[
        dict[WorkerPoolId, WorkerPool],
        Meta(description="Machines that belong together, by worker pool id."),
    ] = {}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of resource and where its declarations stand."""

    name: str
    """As in the inventory, in plans and on pages."""
    section: str
    """The key under which declarations of it stand."""
    parent: str | None = None
    """Kind whose declarations contain the section; none: the document."""
    scalar: str | None = None
    """Declarations are single values: the field they are the value of."""
    sealed: str | None = None
    """Field that names a secret whose SHA-256 the row holds: a rotated secret is a change."""
    archived: bool = False
    """Removal from git disables the row and keeps its history; otherwise the row is deleted."""


KINDS: tuple[Kind, ...] = (
    Kind("user", "users", archived=True),
    Kind("role", "roles"),
    Kind("remote_builder", "remote_builders", archived=True),
    Kind("worker_pool", "worker_pools"),
    Kind("api_key", "api_keys", sealed="key"),
    Kind("project", "projects", archived=True),
    Kind("jobset", "jobsets", parent="project", archived=True),
    Kind("input", "inputs", parent="jobset"),
    Kind("channel", "channels", parent="project"),
    Kind("webhook", "webhooks", parent="project", sealed="secret"),
    Kind("notification", "notifications", parent="project"),
    Kind("member", "members", parent="project", scalar="role"),
)
"""Every kind, what is referred to before what refers."""

KIND_BY_NAME: dict[str, Kind] = {kind.name: kind for kind in KINDS}
KIND_ORDER: dict[str, int] = {kind.name: number for number, kind in enumerate(KINDS)}
LIFE: dict[str, Any] = {"protected": False, "on_remove": "archive", "renamed_from": None}
"""Fields that say how a resource lives and are no column, with what holds where they are not written: then a
resource says nothing of them, so that its content hash is that of its row."""
SECTIONS: dict[str | None, dict[str, Kind]] = {
    parent: {kind.section: kind for kind in KINDS if kind.parent == parent}
    for parent in {kind.parent for kind in KINDS}
}
"""Kinds by section, for the document (none) and for each kind that contains others."""

Fields = dict[str, Any]
"""A declaration's own fields, checked, with defaults: JSON values. A secret stands as ``{"secret": name}``."""
