"""What goes out: a commit status, a request to a forge, and what its parts may look like."""

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

from fc.base.errors import StatusError

State: TypeAlias = Literal["pending", "running", "success", "failure", "error", "cancelled"]
"""``failure``: what was checked is bad. ``error``: it could not be checked."""

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9_.-]+")
_PLAIN = re.compile(r"[\x21-\x7e]+")
_HASH_LENGTH = 8


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """One status of one commit. A later one with the same context replaces it."""

    state: State
    context: str
    """What was checked; the name under which the forge lists it."""
    description: str
    """One sentence; cut to what forges show."""
    target_url: str
    """Where to read more."""
    sha: str
    repository: str
    """``owner/name``; at GitLab the full path or the number of the project."""

    @property
    def checked_sha(self) -> str:
        """The commit, safe to stand in a path.

        Raises:
            StatusError: it is no full object name.
        """
        return full_commit(self.sha)


class ForgeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What to send. The token is not part of it: it is added at the last moment."""

    url: str
    headers: dict[str, str]
    token_header: str
    token_prefix: str
    body: Mapping[str, Any]
    """Sent as JSON, unless the method is GET."""
    method: Literal["GET", "POST", "PATCH"] = "POST"

    def headers_with(self, token: str) -> dict[str, str]:
        """The headers, with the token where this forge wants it.

        Raises:
            StatusError: the token has characters that no header may have. The message does not show it.
        """
        if not token.isascii() or not token.isprintable() or token != token.strip() or not token:
            message = "the token is empty or has spaces, line breaks or other characters that no token has"
            raise StatusError(message)
        return self.headers | {self.token_header: self.token_prefix + token}


def full_commit(sha: str) -> str:
    """``sha``, safe to stand in a path.

    Raises:
        StatusError: it is no full object name.
    """
    if not _COMMIT.fullmatch(sha):
        message = f"{sha!r} is no full commit hash"
        raise StatusError(message)
    return sha


def split_owner(repository: str) -> tuple[str, str]:
    """Owner and name in ``owner/name``.

    Raises:
        StatusError: it is not of that form.
    """
    owner, _, name = repository.partition("/")
    if not _is_name(owner) or not _is_name(name):
        message = f"{repository!r} is no repository; write it as owner/name"
        raise StatusError(message)
    return owner, name


def join_url(base_url: str, api: str, path: str) -> str:
    """``base_url``, its API's own path (unless the URL already ends in it) and ``path``, in one.

    Raises:
        StatusError: ``base_url`` is no http or https URL, or has credentials, a query or a fragment.
    """
    try:
        parts = urlsplit(base_url)
        # Reading the port is what checks it.
        plain = _PLAIN.fullmatch(base_url) is not None and parts.username is None and parts.port != 0
    except ValueError:
        plain = False
    if (
        not plain
        or parts.scheme not in {"http", "https"}
        or not parts.hostname
        or parts.query
        or parts.fragment
    ):
        shown = "the forge's URL" if "@" in base_url else f"the forge's URL {base_url!r}"
        message = f"{shown} must look like https://forge.example.org, without user, query or fragment"
        raise StatusError(message)
    base = base_url.rstrip("/").removesuffix(api)
    return base + api + path


def short(text: str, length: int, *, distinct: bool = False) -> str:
    """``text`` on one line of at most ``length`` characters.

    Args:
        text: may hold anything, also halves of surrogate pairs, which no JSON may hold.
        length: in code points, as forges count.
        distinct: it is a name: two long texts that begin alike stay different.
    """
    clean = text.encode("utf-8", "replace").decode()
    line = " ".join("".join(c if c.isprintable() else " " for c in clean).split())
    if len(line) <= length:
        return line
    tail = "~" + hashlib.sha256(line.encode()).hexdigest()[:_HASH_LENGTH] if distinct else "…"
    end = length - len(tail)
    # An accent stays with its letter.
    while end > 0 and unicodedata.combining(line[end]):
        end -= 1
    return line[:end].rstrip() + tail


def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None and text not in {".", ".."}
