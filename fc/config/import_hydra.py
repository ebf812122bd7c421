"""From Hydra's JSON (a declarative jobsets file, or what its API answers) to FC's resources. Pure."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit, urlunsplit

from fc.base.errors import InvalidInputError
from fc.config.imported import Imported, Importing, plain

_STATES = {2: "one_shot", 3: "one_at_a_time"}
_FORGES = {"github": "https://github.com", "gitlab": "https://gitlab.com", "sourcehut": "https://git.sr.ht"}
_KNOWN_FORGE = re.compile(r"(github|gitlab|sourcehut):([^/?#\s]+)/([^/?#\s]+)(?:/([^?#\s]+))?(?:\?(\S*))?")
_SMALL = re.compile("[0-9]{1,9}")
_ONCE_A_DAY = 86_400
_SETTINGS = frozenset(
    (
        "enabled",
        "hidden",
        "visible",
        "description",
        "nixexprinput",
        "nixexprpath",
        "flake",
        "checkinterval",
        "schedulingshares",
        "enableemail",
        "emailoverride",
        "keepnr",
        "type",
        "inputs",
        "dynamic_runcommand",
        "enable_dynamic_run_command",
    )
)
_TOLD = frozenset(
    (
        "name",
        "project",
        "errormsg",
        "errortime",
        "fetcherrormsg",
        "lastcheckedtime",
        "triggertime",
        "starttime",
        "jobsetinputs",
    )
)
"""What Hydra tells about a jobset and nobody sets."""


class _Source(NamedTuple):
    """Where a jobset's expression stands."""

    url: str
    branch: str | None


def is_jobset(document: Mapping[str, Any]) -> bool:
    """Whether this is one jobset's specification, not several by name: as Hydra itself tells them apart."""
    return any(not isinstance(value, dict) for value in document.values())


def import_jobsets(document: Any, project: str) -> Imported:
    """What a declarative jobsets file, as a project's ``jobsets`` job makes it, declares.

    Raises:
        InvalidInputError: it is something else.
    """
    if not isinstance(document, dict):
        message = "this is no file of jobsets: expected an object of jobsets by their names"
        raise InvalidInputError(message)
    if is_jobset(document):
        message = (
            "this is the spec of a generated project; give what its 'jobsets' job builds (nix-build -A jobsets), or the "
            "URL of the server"
        )
        raise InvalidInputError(message)
    return import_projects([({"name": project}, document)])


def import_projects(projects: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Imported:
    """What a server's projects become: each as ``/project/NAME`` tells it, with its jobsets as ``/jobset/…`` does."""
    importing = Importing()
    for project, jobsets in projects:
        _Project(importing, project, jobsets).take()
    return importing.finish()


class _Project:
    """One project of Hydra: as many of FC as it has repositories."""

    def __init__(self, importing: Importing, told: Mapping[str, Any], jobsets: Mapping[str, Any]) -> None:
        self._importing = importing
        self._told = told
        self._jobsets = {name: one for name, one in jobsets.items() if isinstance(one, dict)}
        self._names: dict[str, str] = {}

    def take(self) -> None:
        """Add it with all its jobsets."""
        wanted = self._told.get("name")
        called = f"project {str(wanted)[:80]!r}"
        if isinstance(self._told.get("declarative"), dict):
            self._importing.note(f"{called} is declarative; its jobsets stand here as they are now")
        sources = {
            name: source
            for name, one in self._jobsets.items()
            if name != ".jobsets" and (source := self._source(name, one)) is not None
        }
        if not sources:
            self._importing.note(f"{called} was left out: none of its jobsets is of a git repository")
            return
        for url, _ in Counter(source.url for source in sources.values()).most_common():
            name = self._importing.name("project", "", self._name(wanted, url))
            self._names[url] = name
            fields = {
                "repository_url": self._importing.url(url, called),
                "description": plain(self._told.get("description")) or None,
                "enabled": False if _is_off(self._told.get("enabled")) else None,
            }
            self._importing.add("project", name, fields)
        if len(self._names) > 1:
            made = ", ".join(map(repr, self._names.values()))
            self._importing.note(
                f"{called} has jobsets of several repositories and became several projects: {made}"
            )
        if _is_on(self._told.get("hidden")):
            self._importing.note(f"{called}: it is hidden in Hydra; FC hides nothing")
        for name, source in sources.items():
            self._jobset(name, self._jobsets[name], source)

    def _name(self, wanted: object, url: str) -> object:
        """Further repositories have their names after the project's."""
        if not self._names or not isinstance(wanted, str):
            return wanted
        return f"{wanted}-{url.rstrip('/').rpartition('/')[2].removesuffix('.git')}"

    def _source(self, name: str, told: Mapping[str, Any]) -> _Source | None:
        flake = told.get("flake")
        called = f"jobset {str(self._told.get('name'))[:80]}/{name[:80]}"
        if isinstance(flake, str) and flake:
            found = _flake(flake)
            if found is None:
                self._importing.note(
                    f"{called} was left out: its flake is not in a git repository that can be named"
                )
            return found
        value = _inputs(told).get(str(told.get("nixexprinput")), {})
        address = value.get("value")
        if value.get("type") != "git" or not isinstance(address, str) or not address.strip():
            self._importing.note(f"{called} was left out: its expression is not in a git repository")
            return None
        return _Source(*_git(address))

    def _jobset(self, name: str, told: Mapping[str, Any], source: _Source) -> None:
        importing, project = self._importing, self._names[source.url]
        made = importing.name("jobset", f"{project}/", name)
        key = f"{project}/{made}"
        is_flake = bool(told.get("flake"))
        importing.add(
            "jobset",
            key,
            {
                "nix_expression": "hydraJobs" if is_flake else plain(told.get("nixexprpath")),
                "flake_mode": is_flake,
                "branch": source.branch,
                "description": plain(told.get("description")) or None,
                "enabled": False if _is_off(told.get("enabled")) else None,
                "state": _STATES.get(_number(told.get("enabled")) or 0),
                "check_interval": self._interval(key, told),
                "scheduling_shares": plain(told.get("schedulingshares")),
                "keep_nr": plain(told.get("keepnr")),
            },
        )
        self._complain(key, told)
        for input_name, value in _inputs(told).items():
            if input_name != "src" or input_name != told.get("nixexprinput"):
                self._input(key, input_name, value)
        first = told.get("nixexprinput")
        if not is_flake and first != "src":
            importing.note(
                f"jobset {key!r}: the repository itself is the argument 'src' in FC; the input {str(first)[:80]!r} stays, and is "
                "fetched for itself"
            )

    def _interval(self, key: str, told: Mapping[str, Any]) -> Any:
        interval = _number(told.get("checkinterval"))
        if "checkinterval" in told and interval == 0:
            self._importing.note(
                f"jobset {key!r}: Hydra never looks for changes; FC does once a day, and after a webhook"
            )
            return _ONCE_A_DAY
        return interval

    def _complain(self, key: str, told: Mapping[str, Any]) -> None:
        note = self._importing.note
        if told.get("emailoverride") or told.get("enableemail"):
            note(
                f"jobset {key!r}: mail was left out; FC reports to forges and to webhooks (notifications of the project)"
            )
        if _is_on(told.get("hidden")) or _is_off(told.get("visible")):
            note(f"jobset {key!r}: it is hidden in Hydra; FC hides nothing")
        flake = told.get("flake")
        if isinstance(flake, str) and "dir=" in flake:
            note(
                f"jobset {key!r}: the flake is in a directory of its repository; FC evaluates the flake at its top"
            )
        unknown = sorted(str(name)[:40] for name in told.keys() - _SETTINGS - _TOLD)
        if unknown:
            note(f"jobset {key!r}: FC has nothing like {', '.join(unknown)}")

    def _input(self, jobset: str, name: str, told: Mapping[str, Any]) -> None:
        kind, value = told.get("type"), told.get("value")
        called = f"input {name[:80]!r} of {jobset!r}"
        fields: dict[str, Any] = {"type": kind, "value": plain(value)}
        if kind == "git" and isinstance(value, str) and value.strip():
            source = _Source(*_git(value))
            fields |= {"value": self._importing.url(source.url, called), "revision": source.branch}
        elif kind == "boolean":
            fields["value"] = value in ("true", "1", True)
        elif kind == "build" and isinstance(value, str):
            parts = value.split(":")
            fields["value"] = ":".join([*jobset.split("/")[: 3 - len(parts)], *parts])
            if len(parts) == 1:
                fields["value"] = ":".join([*jobset.split("/"), value])
        elif kind not in ("string", "path"):
            self._importing.note(f"{called} was left out: FC has no inputs of the type {str(kind)[:40]!r}")
            return
        if _is_on(told.get("emailresponsible")):
            self._importing.note(f"{called}: nobody gets mail for it; FC reports to forges and to webhooks")
        made = self._importing.name("input", f"{jobset}/", name, argument=True)
        self._importing.add("input", f"{jobset}/{made}", fields)


def _inputs(told: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Inputs by name, of a file or of any release of the API."""
    found = told.get("inputs")
    if isinstance(found, dict):
        return {name: one for name, one in found.items() if isinstance(one, dict)}
    older = told.get("jobsetinputs")
    if not isinstance(older, dict):
        return {}
    made = {}
    for name, one in older.items():
        values = one.get("jobsetinputalts") if isinstance(one, dict) else None
        if isinstance(values, list) and values and isinstance(values[0], str):
            # Old servers do not tell the type: what looks like a repository is one.
            looks = re.match(r"(?:https?|git|ssh)://", values[0]) is not None
            made[name] = {"type": one.get("type") or ("git" if looks else "string"), "value": values[0]}
    return made


def _number(value: object) -> int | None:
    if isinstance(value, int):
        return int(value)
    return int(value) if isinstance(value, str) and _SMALL.fullmatch(value) else None


def _is_on(value: object) -> bool:
    """True, as any release of Hydra writes it."""
    return isinstance(value, int) and value == 1


def _is_off(value: object) -> bool:
    return isinstance(value, int) and value == 0


def _git(value: str) -> tuple[str, str | None]:
    """Address and branch of an input of the type git: ``URL [BRANCH [deepclone]] [option=value …]``."""
    address, *rest = value.split()
    words = [one for one in rest if "=" not in one]
    return address, words[0] if words else None


def _flake(reference: str) -> _Source | None:
    """The repository of a flake, if it is one of git."""
    known = _KNOWN_FORGE.fullmatch(reference)
    if known is not None:
        forge, owner, name, ref, query = known.groups()
        asked = parse_qs(query or "")
        host = asked.get("host", [""])[0]
        base = f"https://{host}" if host else _FORGES[forge]
        ending = "" if forge == "sourcehut" else ".git"
        return _Source(f"{base}/{owner}/{name}{ending}", ref or next(iter(asked.get("ref", [])), None))
    try:
        parts = urlsplit(reference.removeprefix("git+"))
        asked = parse_qs(parts.query)
    except ValueError:
        return None
    if not reference.startswith("git+") and not parts.path.endswith(".git"):
        return None
    if parts.scheme not in {"http", "https", "ssh", "git", "file"}:
        return None
    branch = next(iter(asked.get("ref", []) or asked.get("rev", [])), None)
    return _Source(
        urlunsplit(parts._replace(query="", fragment="")),
        branch.removeprefix("refs/heads/") if branch else None,
    )
