"""Tables of people and programs: accounts, sessions, keys, membership in projects, bookmarks."""

from piccolo.columns import UUID, Boolean, ForeignKey, Timestamptz, Varchar
from piccolo.columns.base import OnDelete, OnUpdate
from piccolo.constraints import Check, Unique
from piccolo.table import Table

from fc.tables.projects import Jobset, Project


class User(Table, tablename="users"):
    """A person's account. Written by config."""

    id = UUID(primary_key=True)
    username = Varchar(length=255, default=None, unique=True)
    """Its key in configuration."""
    email = Varchar(length=255, default=None, unique=True)
    """Where mail goes; also how sign-in through a third party finds the account."""
    full_name = Varchar(length=255, default=None, null=True)
    """Name shown to others; none: the user name."""
    password_hash = Varchar(length=255, default=None, null=True, secret=True)
    """Salted hash of the password; none: no sign-in by password."""
    user_type = Varchar(length=50, default="local")
    """Who vouches for the person: ``local`` or a sign-in provider."""
    role = Varchar(length=50, default="read-only")
    """What the account may do everywhere."""
    enabled = Boolean(default=True)
    """False: no sign-in, and its keys and sessions are refused."""
    email_verified = Boolean(default=False)
    """Whether the address has been proved to be the person's."""
    public_dashboard = Boolean(default=False)
    """Whether others may see the starred jobs."""
    created_at = Timestamptz()
    """When the account was made."""
    updated_at = Timestamptz()
    """Last change of the row; a trigger keeps it."""
    last_login_at = Timestamptz(default=None, null=True)
    """Last sign-in; none: never."""


class ApiKey(Table, tablename="api_keys"):
    """A program's key. Written by config; access notes when it was last used."""

    id = UUID(primary_key=True)
    name = Varchar(length=255, default=None, unique=True)
    """Its key in configuration."""
    key_hash = Varchar(length=128, default=None, unique=True)
    """Hash of the key; the key itself is nowhere."""
    role = Varchar(length=50, default="read-only")
    """What it may do."""
    user_id = ForeignKey(User, null=True, on_delete=OnDelete.set_null, on_update=OnUpdate.no_action)
    """Whose key it is; none: the site's own."""
    created_at = Timestamptz()
    """When configuration first named it."""
    last_used_at = Timestamptz(default=None, null=True)
    """Last request with it, to within a minute; none: never."""

    api_keys_role_check = Check(
        "role IN ('admin', 'create-projects', 'restart-jobs', 'cancel-build', 'bump-to-front', 'eval-jobset', 'read-only')"
    )


class UserSession(Table, tablename="user_sessions"):
    """A signed-in browser. Nothing writes it yet: sign-in comes with access in depth."""

    id = UUID(primary_key=True)
    user_id = ForeignKey(User, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action)
    """Who is signed in."""
    session_token_hash = Varchar(length=255, default=None)
    """Hash of the cookie's value."""
    expires_at = Timestamptz(default=None)
    """When it ends by itself."""
    created_at = Timestamptz()
    """When the person signed in."""
    last_used_at = Timestamptz(default=None, null=True)
    """Last request with it."""


class ProjectMember(Table, tablename="project_members"):
    """What a person may do in one project. Written by config."""

    id = UUID(primary_key=True)
    project_id = ForeignKey(Project, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action)
    """The project."""
    user_id = ForeignKey(User, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action)
    """The person."""
    role = Varchar(length=50, default="member")
    """The right within the project, such as ``maintainer``."""
    created_at = Timestamptz()
    """When configuration first named it."""

    project_members_project_id_user_id_key = Unique([project_id, user_id])


class StarredJob(Table, tablename="starred_jobs"):
    """A bookmark on a person's own overview. Nothing writes it yet: it comes with sign-in."""

    id = UUID(primary_key=True)
    user_id = ForeignKey(User, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action)
    """Whose bookmark."""
    project_id = ForeignKey(Project, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action)
    """Project of the job."""
    jobset_id = ForeignKey(Jobset, null=True, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action)
    """Jobset of the job; none: the job in any of them."""
    job_name = Varchar(length=255, default=None)
    """The job."""
    created_at = Timestamptz()
    """When it was starred."""

    starred_jobs_user_id_project_id_jobset_id_job_name_key = Unique(
        [user_id, project_id, jobset_id, job_name]
    )
