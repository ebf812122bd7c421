"""What comes in: the events that FC acts on, in one shape for every forge."""

import re
from typing import Annotated, Literal, TypeAlias

import msgspec

Forge: TypeAlias = Literal["github", "gitea", "forgejo", "gitlab"]
"""The forges that FC knows, as ``webhook_configs.forge_type`` writes them."""

FORGES: tuple[Forge, ...] = ("github", "gitea", "forgejo", "gitlab")

_REF_CHARACTERS = r"(?!.*(?:\.\.|@\{))[^\x00-\x20\x7f~^:?*\[\\]"
"""Of git-check-ref-format(1): what a ref may hold. A name from outside ends as an argument of git."""

Commit = Annotated[str, msgspec.Meta(pattern=r"\A(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")]
"""A full object name, SHA-1 or SHA-256."""
Ref = Annotated[str, msgspec.Meta(pattern=rf"\Arefs/{_REF_CHARACTERS}+\Z", max_length=1024)]
"""A full ref, such as ``refs/heads/main``."""
BranchName = Annotated[str, msgspec.Meta(pattern=rf"\A(?!-){_REF_CHARACTERS}*\Z", max_length=1024)]
"""A branch without ``refs/heads/``; empty where a forge has none."""
RepositoryName = Annotated[str, msgspec.Meta(pattern=r"\A[^\x00-\x20\x7f]+\Z", max_length=1024)]
"""``owner/name``; at GitLab the full path of the project."""
Number = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
"""Of a pull request; as large as its column."""
CloneUrl = Annotated[str, msgspec.Meta(pattern=r"\A[^\x00-\x20\x7f]*\Z", max_length=4096)]

_ZEROS = re.compile(r"0+")
_LONGEST_TEXT = 300
_WEB_URL = re.compile(r"https?://[!-;=?-~]{1,2000}")


class Push(msgspec.Struct, frozen=True, kw_only=True):
    """A ref was created, moved or deleted."""

    ref: str
    """In full, such as ``refs/heads/main``."""
    before: str
    """Where it stood; zeros when it is new."""
    after: str
    """Where it stands (an annotated tag's own object name); zeros when it is deleted."""
    deleted: bool
    forced: bool
    """It was moved to something that does not contain the old commit. Only GitHub says so."""
    repository: str
    """Full name."""
    clone_urls: tuple[str, ...]
    """Each URL the repository can be fetched from, to find the projects it belongs to."""

    @property
    def branch(self) -> str | None:
        """The branch's short name; none: it is no branch."""
        return _short(self.ref, "refs/heads/")

    @property
    def tag(self) -> str | None:
        """The tag's short name; none: it is no tag."""
        return _short(self.ref, "refs/tags/")


class PullRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Something happened to a pull request (GitLab: merge request)."""

    number: int
    action: str
    """``opened``, ``synchronized`` (new commits), ``reopened``, ``closed``, ``ready_for_review``; else the forge's own word."""
    head_sha: str
    head_ref: str
    """Branch it comes from, in ``head_repository``."""
    base_ref: str
    """Branch it goes to, in ``repository``."""
    repository: str
    """Full name of the repository it goes to."""
    clone_urls: tuple[str, ...]
    """Of the repository it goes to."""
    head_repository: str | None
    """Full name of the repository it comes from; none: that is gone."""
    is_fork: bool
    """It comes from another repository. In doubt, true: forks are trusted less."""
    fetch_ref: str
    """What to fetch from ``repository`` to get the head, forks included."""
    closed: bool
    merged: bool
    title: str = ""
    """On one line, cut; written by anybody."""
    author: str | None = None
    """Who opened it; none: this event does not say."""
    url: str | None = None
    """Its page, http(s)."""

    @property
    def wants_evaluation(self) -> bool:
        """Whether its head may not have been evaluated yet."""
        return not self.closed and self.action in {"opened", "synchronized", "reopened", "ready_for_review"}


class Rerun(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody asks for checks of a commit to be made again. Only GitHub says so, and only to the App that made them."""

    app: int | None
    """Number of the App that made them; none: it is gone."""
    name: str | None
    """Of the one check; none: all that the App made of this commit."""
    head_sha: str
    repository: str
    """Full name."""


class Ping(msgspec.Struct, frozen=True):
    """The forge asks whether anybody listens."""


class Ignored(msgspec.Struct, frozen=True):
    """A well-formed event that FC has no use for."""

    name: str
    """As the forge calls it."""


Event: TypeAlias = Push | PullRequest | Rerun | Ping | Ignored


def is_zeros(commit: str) -> bool:
    """Whether this is the object name that stands for nothing."""
    return _ZEROS.fullmatch(commit) is not None


def one_line(text: str | None, longest: int = _LONGEST_TEXT) -> str:
    """A text that anybody may have written, on one line, cut, without anything that turns or hides what follows."""
    seen = (text or "")[: 4 * longest]
    shown = " ".join("".join(one if one.isprintable() else " " for one in seen).split())
    return shown if len(shown) <= longest else f"{shown[: longest - 1]}…"


def web_url(text: str | None) -> str | None:
    """An http(s) URL in plain ASCII; none for anything else."""
    return text if text is not None and _WEB_URL.fullmatch(text) else None


def distinct_urls(*urls: str | None) -> tuple[str, ...]:
    """The URLs that are there, each once, in this order."""
    return tuple(dict.fromkeys(url for url in urls if url))


def _short(ref: str, prefix: str) -> str | None:
    return ref.removeprefix(prefix) if ref.startswith(prefix) else None
