"""Which repository URLs and ref names are accepted, and how a URL is shown without its credentials."""

import re
from urllib.parse import unquote, urlsplit

from fc.base.errors import InvalidInputError

PROTOCOLS = ("http", "https", "ssh", "git", "file")

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_HELPER = re.compile(r"[A-Za-z0-9+.-]*::")
_SCP = re.compile(r"(?:[A-Za-z0-9._~+][^@/:\s]*@)?[A-Za-z0-9._\[][^/@:\s]*:[^\s:-].*")
_UNPRINTABLE = re.compile(r"[\x00-\x20\x7f]")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_BAD_REF = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(?:/|\Z)|\A[-/.]|[/.]\Z|\A@\Z")
_LONGEST_REF = 255


def check_git_url(url: str) -> None:
    """Refuse what git could take for an option, a command or a protocol that runs one (``ext::``).

    Accepted are http, https, ssh, git and file URLs, ``user@host:path`` and absolute paths.

    Raises:
        InvalidInputError: says what is accepted; shows no credentials.
    """
    shown = redact_git_url(url)
    if not url or url.startswith("-") or _UNPRINTABLE.search(url) or _HELPER.match(url):
        message = f"{shown!r} is not a repository URL; use https://…, ssh://…, git@host:path, file://… or an absolute path"
        raise InvalidInputError(message)
    if url.startswith("/"):
        return
    scheme = _SCHEME.match(url)
    if scheme is None:
        if not _SCP.fullmatch(url):
            message = f"{shown!r} is not a repository URL: a local path must be absolute"
            raise InvalidInputError(message)
        return
    if scheme[1] not in PROTOCOLS:
        message = f"{shown!r}: the protocol {scheme[1]!r} is not allowed; use {', '.join(PROTOCOLS)}"
        raise InvalidInputError(message)
    host, user = _host_and_user(url)
    if (not host and scheme[1] != "file") or host.startswith("-") or user.startswith("-"):
        message = f"{shown!r} names no usable host"
        raise InvalidInputError(message)


def check_ref(ref: str) -> None:
    """Refuse names that are no branch, tag or full ref (git-check-ref-format), above all those that look like options.

    Raises:
        InvalidInputError: names the ref.
    """
    if not ref or len(ref) > _LONGEST_REF or _BAD_REF.search(ref):
        message = f"{ref[:_LONGEST_REF]!r} is not the name of a branch, tag or ref"
        raise InvalidInputError(message)


def is_commit_hash(text: str) -> bool:
    """Whether ``text`` is a whole commit hash, SHA-1 or SHA-256, in lower case."""
    return _COMMIT.fullmatch(text) is not None


def redact_git_url(url: str) -> str:
    """``url`` without user name, password and query of http(s), without the password elsewhere."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    authority, slash, path = rest.partition("/")
    credentials, at, host = authority.rpartition("@")
    if scheme.lower() in {"http", "https"}:
        return f"{scheme}://{host}{slash}{path.partition('?')[0]}"
    return f"{scheme}://{credentials.partition(':')[0]}{at}{host}{slash}{path}"


def redact_text(text: str, url: str) -> str:
    """``text``, such as a message of git, with every trace of the credentials in ``url`` removed."""
    scheme, separator, rest = url.partition("://")
    authority, _, path = rest.partition("/")
    credentials, at, _ = authority.rpartition("@")
    secrets = {url, path.partition("?")[2]} if redact_git_url(url) != url else set()
    if separator and at:
        user, _, password = credentials.partition(":")
        secrets |= {password, unquote(password)}
        if scheme.lower() in {"http", "https"}:
            # A token alone is often given in place of the user name.
            secrets |= {f"{credentials}@", f"{unquote(credentials)}@", f"{user}@", f"{user}:***@"}
    for secret in sorted(secrets - {"", "@"}, key=len, reverse=True):
        text = text.replace(secret, redact_git_url(url) if secret == url else "")
    return text


def _host_and_user(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "", ""
    return parts.hostname or "", parts.username or ""
