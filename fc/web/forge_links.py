"""Links to the web pages of a forge, out of a repository's URL: a commit, a line of a file. Pure.

Only forms that are known are linked: a wrong link is worse than none.
"""

import posixpath
import re
from urllib.parse import quote

_HTTPS = re.compile(r"https://(?P<host>[a-z0-9.-]+)/(?P<path>[A-Za-z0-9._~/-]+)", re.ASCII)
_SSH = re.compile(r"ssh://(?:[A-Za-z0-9._-]+@)?(?P<host>[a-z0-9.-]+)/(?P<path>[A-Za-z0-9._~/-]+)", re.ASCII)
_SCP = re.compile(
    r"(?:[A-Za-z0-9._-]+@)?(?P<host>[a-z0-9.-]+):(?P<path>[A-Za-z0-9._~][A-Za-z0-9._~/-]*)", re.ASCII
)
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?", re.ASCII)
_SEGMENTS = 2
"""Fewest parts of a repository's path: its owner and its name."""

_FORMS = {
    "github": ("{base}/commit/{commit}", "{base}/blob/{commit}/{file}#L{line}"),
    "gitlab": ("{base}/-/commit/{commit}", "{base}/-/blob/{commit}/{file}#L{line}"),
    "gitea": ("{base}/commit/{commit}", "{base}/src/commit/{commit}/{file}#L{line}"),
}
_HOSTS = {"github.com": "github", "gitlab.com": "gitlab", "codeberg.org": "gitea", "gitea.com": "gitea"}
_FIRST_LABELS = {"github": "github", "gitlab": "gitlab", "gitea": "gitea", "forgejo": "gitea"}
"""Of hosts that say what they run, such as ``gitlab.example.org``."""


def commit_link(url: str, commit: str | None) -> str | None:
    """The page of a commit; none when the forge behind ``url`` is not known."""
    found = _repository(url)
    if found is None or commit is None or not _COMMIT.fullmatch(commit):
        return None
    form, base = found
    return _FORMS[form][0].format(base=base, commit=commit)


def line_link(url: str, commit: str | None, directory: str, file: str | None, line: int | None) -> str | None:
    """The page of a line of a file in a commit; none when the forge behind ``url`` is not known.

    Args:
        url: of the repository.
        commit: its whole hash.
        directory: where in the repository the configuration stands.
        file: its path from there.
        line: from 1.
    """
    found = _repository(url)
    if found is None or commit is None or not _COMMIT.fullmatch(commit) or not file:
        return None
    path = posixpath.normpath(posixpath.join(directory, file))
    if path.startswith(("/", "..")):
        return None
    form, base = found
    return _FORMS[form][1].format(base=base, commit=commit, file=quote(path), line=int(line or 1))


def _repository(url: str) -> tuple[str, str] | None:
    """What runs the forge, and the address of the repository's page."""
    for pattern in (_HTTPS, _SSH, _SCP):
        match = pattern.fullmatch(url)
        if match is None:
            continue
        host, path = match["host"], match["path"].strip("/").removesuffix(".git")
        form = _HOSTS.get(host) or _FIRST_LABELS.get(host.partition(".")[0])
        parts = path.split("/")
        if form is None or len(parts) < _SEGMENTS or any(part in {"", ".", ".."} for part in parts):
            return None
        return form, f"https://{host}/{path}"
    return None
