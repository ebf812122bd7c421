"""From the declarative part of a circus.toml to FC's resources. Pure."""

import tomllib
from typing import Any, get_args

from fc.access.roles import ROLES
from fc.base.errors import InvalidInputError
from fc.config.imported import Imported, Importing, plain, tables
from fc.forge.events import Forge

_STATUSES = ("github_status", "gitea_status", "forgejo_status", "gitlab_status")
_PROJECT = frozenset(
    ("name", "repository_url", "description", "jobsets", "notifications", "webhooks", "channels", "members")
)
_JOBSET_FIELDS = (
    "nix_expression",
    "enabled",
    "flake_mode",
    "check_interval",
    "state",
    "branch",
    "scheduling_shares",
    "keep_nr",
)
_BUILDER_FIELDS = (
    "ssh_uri",
    "systems",
    "max_jobs",
    "speed_factor",
    "supported_features",
    "mandatory_features",
    "ssh_key_file",
    "public_host_key",
    "enabled",
)
_SECTIONS = frozenset(("projects", "api_keys", "users", "remote_builders"))
_URLS = ("url", "webhook_url", "base_url", "api_url", "gitea_url", "forgejo_url", "gitlab_url", "github_url")


def import_circus(text: str) -> Imported:
    """What a circus.toml declares.

    Raises:
        InvalidInputError: it is no TOML, or declares nothing.
    """
    try:
        document = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        # Not its own words: they may quote what stands there.
        at = str(error).rpartition("(at ")[2].rstrip(")")
        message = f"this is no TOML (at {at})" if at != str(error) else "this is no TOML"
        raise InvalidInputError(message) from None
    declared = document.get("declarative")
    if not isinstance(declared, dict):
        message = (
            "this has no [declarative] tables: it is no circus.toml that declares projects, users or builders"
        )
        raise InvalidInputError(message)
    importing = Importing()
    others = sorted(name for name in document if name != "declarative")
    if others:
        importing.note(
            f"{', '.join(others)}: settings of the service are not configuration; fc.example.yaml shows FC's own"
        )
    _unknown(importing, "declarative", declared, _SECTIONS)
    for user in tables(declared, "users"):
        _user(importing, user)
    for builder in tables(declared, "remote_builders"):
        name = importing.name("remote_builder", "", builder.get("name"))
        importing.add("remote_builder", name, {field: plain(builder.get(field)) for field in _BUILDER_FIELDS})
        _unknown(importing, f"remote builder {name!r}", builder, {"name", *_BUILDER_FIELDS})
    for key in tables(declared, "api_keys"):
        _api_key(importing, key)
    for project in tables(declared, "projects"):
        _project(importing, project)
    return importing.finish()


def _unknown(
    importing: Importing, called: str, table: dict[str, Any], known: frozenset[str] | set[str]
) -> None:
    unknown = sorted(str(name)[:40] for name in table.keys() - known)
    if unknown:
        importing.note(f"{called}: FC has nothing like {', '.join(unknown)}")


def _role(importing: Importing, called: str, table: dict[str, Any]) -> str | None:
    role = table.get("role")
    if role is None or role in ROLES:
        return role
    importing.note(f"{called}: FC has no such role, so it is read-only now")
    return None


def _user(importing: Importing, table: dict[str, Any]) -> None:
    name = importing.name("user", "", table.get("username"))
    called = f"user {name!r}"
    fields = {field: plain(table.get(field)) for field in ("email", "full_name", "enabled")}
    importing.add("user", name, {**fields, "role": _role(importing, called, table)})
    if "password" in table or "password_file" in table:
        importing.note(f"{called}: the password was left out; FC's users have none")
    known = {"username", "email", "full_name", "enabled", "role", "password", "password_file"}
    _unknown(importing, called, table, known)


def _given(table: dict[str, Any], field: str, what: str) -> str:
    """What a secret was, with the file it stands in now."""
    file = table.get(f"{field}_file")
    return (
        f"{what}, now in {file}"
        if isinstance(file, str)
        else f"{what}, which stands in the source in plain text"
    )


def _api_key(importing: Importing, table: dict[str, Any]) -> None:
    name = importing.name("api_key", "", table.get("name"))
    called = f"api key {name!r}"
    secret = importing.secret(f"{name}-key", _given(table, "key", f"the {called}"))
    importing.add("api_key", name, {"key": secret, "role": _role(importing, called, table)})
    _unknown(importing, called, table, {"name", "key", "key_file", "role"})


def _project(importing: Importing, table: dict[str, Any]) -> None:
    name = importing.name("project", "", table.get("name"))
    called = f"project {name!r}"
    importing.add(
        "project",
        name,
        {
            "repository_url": importing.url(table.get("repository_url"), called),
            "description": plain(table.get("description")),
        },
    )
    _unknown(importing, called, table, _PROJECT)
    jobsets = {}
    for jobset in tables(table, "jobsets"):
        jobsets[jobset.get("name") if isinstance(jobset.get("name"), str) else None] = _jobset(
            importing, name, jobset
        )
    for channel in tables(table, "channels"):
        follows = plain(channel.get("jobset_name"))
        made = importing.name("channel", f"{name}/", channel.get("name"))
        jobset_name = jobsets.get(follows, follows) if isinstance(follows, str) else None
        importing.add("channel", f"{name}/{made}", {"jobset": jobset_name})
    for webhook in tables(table, "webhooks"):
        _webhook(importing, name, webhook)
    for notification in tables(table, "notifications"):
        _notification(importing, name, notification)
    for member in tables(table, "members"):
        user = plain(member.get("username"))
        importing.add("member", f"{name}/{user}", {"role": plain(member.get("role")) or "member"})


def _jobset(importing: Importing, project: str, table: dict[str, Any]) -> str:
    name = importing.name("jobset", f"{project}/", table.get("name"))
    key = f"{project}/{name}"
    importing.add("jobset", key, {field: plain(table.get(field)) for field in _JOBSET_FIELDS})
    for pattern in ("branch_pattern", "tag_pattern"):
        if pattern in table:
            importing.note(
                f"jobset {key!r}: {pattern} was left out; FC follows one branch of a jobset, so write a jobset for each"
            )
    if table.get("trigger_mode") == "interval":
        importing.note(f"jobset {key!r}: it is evaluated when something has changed, not at every interval")
    known = {"name", "branch_pattern", "tag_pattern", "trigger_mode", "inputs", *_JOBSET_FIELDS}
    _unknown(importing, f"jobset {key!r}", table, known)
    for one in tables(table, "inputs"):
        _input(importing, key, one)
    return name


def _input(importing: Importing, jobset: str, table: dict[str, Any]) -> None:
    kind, value = table.get("input_type"), plain(table.get("value"))
    if kind not in ("git", "string", "boolean", "path", "build"):
        importing.note(
            f"input {table.get('name')!r} of {jobset!r} was left out: FC has no such type of input"
        )
        return
    name = importing.name("input", f"{jobset}/", table.get("name"), argument=True)
    fields: dict[str, Any] = {"type": kind, "value": value}
    if kind == "boolean" and isinstance(value, str) and value in ("true", "false"):
        fields["value"] = value == "true"
    if kind == "git":
        fields["value"] = importing.url(value, f"input {name!r} of {jobset!r}")
        fields["revision"] = plain(table.get("revision"))
    importing.add("input", f"{jobset}/{name}", fields)


def _webhook(importing: Importing, project: str, table: dict[str, Any]) -> None:
    forge = table.get("forge_type")
    if forge not in get_args(Forge):
        importing.note(f"project {project!r}: a webhook was left out: FC has no such forge")
        return
    if ("webhook", f"{project}/{forge}") in importing.resources:
        importing.note(
            f"project {project!r}: a second webhook of {forge} was left out; FC has one for each forge"
        )
        return
    what = _given(table, "secret", f"what {forge} signs its posts for {project!r} with")
    fields = {
        "secret": importing.secret(f"{project}-{forge}-webhook", what),
        "enabled": plain(table.get("enabled")),
    }
    importing.add("webhook", f"{project}/{forge}", fields)


def _notification(importing: Importing, project: str, table: dict[str, Any]) -> None:
    kind, config = table.get("notification_type"), table.get("config")
    config = config if isinstance(config, dict) else {}
    called = f"project {project!r}: a notification ({str(kind)[:40]})"
    url = next((config[one] for one in _URLS if isinstance(config.get(one), str)), None)
    fields: dict[str, Any] = {"type": kind, "enabled": plain(table.get("enabled"))}
    fields["url"] = importing.url(url, called)
    if kind == "webhook":
        if any("secret" in name for name in config):
            what = _given(config, "secret", f"what posts about {project!r} are signed with")
            fields["secret"] = importing.secret(f"{project}-notification", what)
        importing.add("notification", f"{project}/{kind}", fields)
    elif kind in _STATUSES:
        parts = [config.get("owner"), config.get("repo")]
        both = "/".join(one for one in parts if isinstance(one, str))
        number = config.get("project_id", config.get("project"))
        found = plain(config.get("repository")) or both or (str(number) if number is not None else None)
        what = _given(config, "token", f"the token that writes statuses for {project!r} ({kind})")
        fields |= {"repository": found, "token": importing.secret(f"{project}-{kind}-token", what)}
        importing.add("notification", f"{project}/{kind}", fields)
    else:
        importing.note(f"{called} was left out: FC reports to forges and to webhooks")
