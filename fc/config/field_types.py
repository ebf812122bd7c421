"""Types of the fields of the configuration language: what a name, a URL, a duration, a secret may look like."""

from typing import Annotated

from msgspec import Meta

from fc.base.errors import InvalidInputError
from fc.base.git_url import check_git_url, check_ref

INT4 = 2**31 - 1
"""The largest value of a PostgreSQL integer column."""
_NAME = r"^[A-Za-z0-9_][A-Za-z0-9._-]*$"
_NAME_EXPECTED = (
    "letters, digits, dots, dashes and underscores only, beginning with a letter, a digit or an underscore"
)
# No credentials before the host, and none of git's helper transports (ext::…), which run commands.
_HOST = r"[A-Za-z0-9\[][^\s@/]*"
_GIT_URL = (
    rf"^(?:(?:https?|git)://{_HOST}(?:/\S*)?|ssh://(?:[A-Za-z0-9._-]+@)?{_HOST}(?:/\S*)?|file:///\S*|/\S*"
    r"|[A-Za-z0-9._-]+@[A-Za-z0-9][A-Za-z0-9.-]*:\S+)$"
)
_GIT_URL_EXPECTED = (
    "https://…, ssh://…, git://…, file:///…, user@host:path or an absolute path, without a password in it "
    "(use SSH, or a credential helper where FC runs)"
)
_WEB_URL = rf"^https?://{_HOST}(?:/\S*)?$"
_WEB_URL_EXPECTED = "http://… or https://…, without a password in it"

Name = Annotated[str, Meta(pattern=_NAME, max_length=100, extra={"expected": _NAME_EXPECTED})]
"""A name that appears in URLs and file names."""


def _check_project_name(name: str) -> None:
    if name == "configuration":
        message = "the name 'configuration' is taken: /hooks/configuration is where the configuration repository is announced"
        raise InvalidInputError(message)


ProjectName = Annotated[
    str,
    Meta(
        pattern=_NAME,
        max_length=100,
        extra={"expected": _NAME_EXPECTED, "check": _check_project_name},
    ),
]
Text = Annotated[str, Meta(max_length=4096)]
Line = Annotated[str, Meta(min_length=1, max_length=255)]
Positive = Annotated[int, Meta(ge=1, le=INT4)]
Seconds = Annotated[
    int, Meta(ge=1, le=INT4, extra={"duration": True}, extra_json_schema={"format": "duration"})
]
Secret = Annotated[
    str,
    Meta(
        extra={"secret": True},
        extra_json_schema={"examples": ["!secret name-of-the-secret"]},
    ),
]
GitUrl = Annotated[
    str,
    Meta(
        pattern=_GIT_URL,
        max_length=2048,
        extra={"expected": _GIT_URL_EXPECTED, "check": check_git_url},
    ),
]
Ref = Annotated[str, Meta(min_length=1, max_length=255, extra={"check": check_ref})]
"""A branch, a tag or a commit."""
WebUrl = Annotated[str, Meta(pattern=_WEB_URL, max_length=2048, extra={"expected": _WEB_URL_EXPECTED})]
Email = Annotated[
    str,
    Meta(
        pattern=r"^[^\s@<>]+@[^\s@<>]+$",
        max_length=255,
        extra={"expected": "an address such as ops@example.org"},
    ),
]
_REPOSITORY_LENGTH = 200
"""Together with the type it must fit into a notification's name."""
Repository = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+$",
        max_length=_REPOSITORY_LENGTH,
        extra={"expected": "owner/name, as the forge writes it"},
    ),
]
GitlabProject = Annotated[
    str,
    Meta(
        pattern=r"^(?:[0-9]+|[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+)$",
        max_length=_REPOSITORY_LENGTH,
        extra={"expected": "the full path of the project, such as group/name, or its number in quotes"},
    ),
]
System = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9_]+-[a-z0-9_]+$",
        max_length=50,
        extra={"expected": "a Nix system such as x86_64-linux"},
    ),
]
Feature = Annotated[str, Meta(pattern=_NAME, max_length=100, extra={"expected": _NAME_EXPECTED})]
UserName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9._@+-]*$",
        max_length=100,
        extra={
            "expected": "letters, digits and . _ @ + - only, beginning with a letter, a digit or an underscore"
        },
    ),
]
InputName = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z_][A-Za-z0-9_-]*$",
        max_length=100,
        extra={
            "expected": "a Nix argument: letters, digits, dashes and underscores, not beginning with a digit"
        },
    ),
]
JobReference = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_][A-Za-z0-9._-]*:[A-Za-z0-9_][A-Za-z0-9._-]*:\S+$",
        max_length=400,
        extra={"expected": "project:jobset:job"},
    ),
]
SshUri = Annotated[
    str,
    Meta(
        # A host that began with a dash would be read as an option.
        pattern=r"^ssh://(?:[A-Za-z0-9_][A-Za-z0-9._-]*@)?(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$",
        max_length=400,
        extra={"expected": "ssh://user@host or ssh://user@host:port"},
    ),
]
HostKey = Annotated[
    str,
    Meta(
        pattern=r"^(?:ssh-|ecdsa-|sk-)[A-Za-z0-9@.-]+ [A-Za-z0-9+/]+=*(?: .*)?$",
        max_length=4096,
        extra={"expected": "a line such as ssh-ed25519 AAAA…, as in /etc/ssh/ssh_host_ed25519_key.pub"},
    ),
]
RoleId = Annotated[
    str, Meta(pattern=r"^[\x21-\x7e]+$", max_length=255, extra={"expected": "printable ASCII without blanks"})
]
Scope = Annotated[
    str, Meta(pattern=r"^[\x20-\x7e]+$", max_length=4096, extra={"expected": "printable ASCII"})
]
WorkerPoolId = Annotated[
    str,
    Meta(
        pattern=r"^[A-Za-z0-9_-]{1,38}/[a-z](?:[a-z0-9-]{0,36}[a-z0-9])?$",
        max_length=77,
        extra={"expected": "provisioner/type, such as nix/linux"},
    ),
]
