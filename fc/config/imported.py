"""What other services' configurations become: resources that the language accepts, and a note of all that was lost. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from fc.base.problems import Problem
from fc.config.blobs import blob_id
from fc.config.compile import compile_fragments, flatten
from fc.config.export import Stored, export_files, export_text, form_of, is_listed, own_name
from fc.config.language import KIND_BY_NAME, Fields
from fc.config.load import read_fragment
from fc.config.render import printable

_FIELD = re.compile(r"\s*(?:- )?([a-z_]+):")
_TELLING = re.compile("token|key|secret|pass|sig|auth", re.IGNORECASE)
_LONGEST_NAME = 100
_LONGEST_SECRET = 60
_LONGEST_NOTE = 300
_ROUNDS = 50


@dataclass(frozen=True, slots=True)
class Imported:
    """A configuration that passes every check, and what became of the rest."""

    resources: tuple[Stored, ...]
    notes: tuple[str, ...]
    """One sentence each. Never a secret."""
    secrets: Mapping[str, str]
    """What must be provided where FC runs: by name of the secret, what it was."""

    def text(self, title: str) -> str:
        """One document, with the notes before it."""
        return _comments(self, title) + export_text(self.resources)

    def files(self, title: str) -> dict[str, str]:
        """A file for each project and for each other kind; the notes are in ``README.yaml``, which declares nothing."""
        return {**export_files(self.resources), "README.yaml": _comments(self, title)}


class Importing:
    """Gathers resources while a foreign configuration is read."""

    def __init__(self) -> None:
        self.resources: dict[tuple[str, str], Stored] = {}
        self.secrets: dict[str, str] = {}
        self._notes: dict[str, None] = {}

    def note(self, message: str) -> None:
        """Something that is not carried over as it was, and what was done instead."""
        shown = printable(message)
        self._notes[shown if len(shown) <= _LONGEST_NOTE else f"{shown[:_LONGEST_NOTE]}…"] = None

    def add(self, kind: str, key: str, fields: Fields) -> None:
        """One resource; fields that say nothing are left out."""
        written = {name: value for name, value in fields.items() if value is not None}
        project = key.split("/", 1)[0]
        if kind == "notification" and fields["type"] == "webhook":
            alike = [one for one in self.resources if one[0] == kind and one[1].startswith(f"{key}:")]
            written |= {"name": f"webhook-{len(alike) + 1}"} if alike else {}
        section = KIND_BY_NAME[kind].section
        place = (
            f"projects/{project}.yaml"
            if kind == "project" or KIND_BY_NAME[kind].parent
            else f"{section}.yaml"
        )
        # Items of a list may be alike; they are told apart by their numbers until they get names.
        number = len(self.resources)
        key = f"{key}:{number}" if is_listed(kind) else key
        self.resources[kind, key] = Stored(kind, key, written, place, number)

    def name(self, kind: str, prefix: str, wanted: object, *, argument: bool = False) -> str:
        """A name that FC allows and that is not taken; another one than ``wanted`` is noted."""
        text = wanted if isinstance(wanted, str) else ""
        allowed = (
            "[^A-Za-z0-9_-]+" if argument else "[^A-Za-z0-9._@+-]+" if kind == "user" else "[^A-Za-z0-9._-]+"
        )
        base = (
            re.sub(allowed, "-", text).lstrip("-.@+0123456789" if argument else "-.@+")[:_LONGEST_NAME]
            or "unnamed"
        )
        if kind == "project" and base == "configuration":
            base = "configuration-1"
        made, number = base, 1
        while (kind, prefix + made) in self.resources:
            number += 1
            ending = f"-{number}"
            made = base[: _LONGEST_NAME - len(ending)] + ending
        if made != wanted:
            called = f"{kind.replace('_', ' ')} {prefix}{text[:80]!r}"
            self.note(
                f"{called} is now named {made!r}: names are unique and have letters, digits, '.', '_' and '-' only"
            )
        return made

    def secret(self, wanted: str, what: str) -> Fields:
        """A reference in the place of a secret that stood in the source, or beside it."""
        base = re.sub("[^A-Za-z0-9._-]+", "-", wanted).lstrip("-._")[: _LONGEST_SECRET - 4] or "secret"
        name, number = base, 1
        while name in self.secrets:
            number += 1
            name = f"{base}-{number}"
        self.secrets[name] = printable(what)
        return {"secret": name}

    def url(self, value: object, called: str) -> str | None:
        """An address without the credentials in it."""
        if not isinstance(value, str):
            return None
        try:
            parts = urlsplit(value)
            bare = parts.netloc.rpartition("@")[2]
        except ValueError:
            return value
        user = parts.netloc.rpartition("@")[0]
        if parts.scheme in {"http", "https"} and _TELLING.search(parts.query + parts.fragment):
            self.note(f"{called}: what follows '?' in the address was left out, since it may be secret")
            parts = parts._replace(query="", fragment="")
            value = urlunsplit(parts)
        if not user or (parts.scheme == "ssh" and ":" not in user):
            return value
        self.note(
            f"{called}: the credentials in the address were left out; use SSH, or a credential helper where FC runs"
        )
        return urlunsplit(
            parts._replace(netloc=f"{user.partition(':')[0]}@{bare}" if parts.scheme == "ssh" else bare)
        )

    def finish(self) -> Imported:
        """What was gathered, without whatever the language does not accept."""
        resources = _without_orphans(list(self.resources.values()))
        for _ in range(_ROUNDS):
            resources, problems = _fitted(resources)
            if not problems:
                break
            for one in problems:
                self.note(one)
        else:
            resources = []
            self.note("too much of it is not what FC accepts; nothing was carried over")
        # Only what is still referred to has to be provided.
        used = {
            value["secret"]
            for one in resources
            for value in one.fields.values()
            if isinstance(value, dict) and "secret" in value
        }
        secrets = {name: what for name, what in sorted(self.secrets.items()) if name in used}
        return Imported(tuple(resources), tuple(self._notes), secrets)


def plain(value: object) -> Any:
    """``value`` if JSON can hold it and it is small; else nothing."""
    if isinstance(value, list):
        return [one for one in value if isinstance(one, str)]
    return value if isinstance(value, str | bool | int) else None


def tables(holder: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The list of tables under a key; anything else is none."""
    found = holder.get(name)
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _fitted(resources: list[Stored]) -> tuple[list[Stored], list[str]]:
    """Resources without what the checks complain about, and why: one round."""
    fragments, lines, by_place = [], {}, {}
    for file, text in export_files(resources).items():
        data = text.encode()
        fragment = read_fragment(file, blob_id(data), data)
        fragments.append(fragment)
        lines[file] = text.splitlines()
        places = sorted((one.line, one.kind, one.key) for one, _ in flatten(fragment).resources)
        inside = [one for one in resources if one.file == file]
        by_place[file] = dict(zip(places, _in_order(inside, places), strict=True))
    problems = compile_fragments(fragments).problems
    notes = []
    for problem in problems:
        places = [one for one in by_place[problem.file] if one[0] <= problem.line]
        stored = by_place[problem.file][max(places)] if places else None
        if stored is not None and stored in resources:
            notes.append(_drop(resources, stored, problem, lines[problem.file][problem.line - 1]))
    if problems and not notes:
        return [], [f"nothing was carried over: {problems[0].message}"]
    return _without_orphans(resources), notes


def _in_order(resources: list[Stored], places: list[tuple[int, str, str]]) -> list[Stored | None]:
    """The resources that stand at ``places``; items of lists in their order."""
    known = {(one.kind, one.key): one for one in resources if not is_listed(one.kind)}
    listed: dict[tuple[str, str], list[Stored]] = {}
    for one in resources:
        if is_listed(one.kind):
            listed.setdefault((one.kind, one.key.split("/", 1)[0]), []).append(one)
    found: list[Stored | None] = []
    for _, kind, key in places:
        items = listed.get((kind, key.split("/", 1)[0]), [])
        found.append(items.pop(0) if is_listed(kind) and items else known.get((kind, key)))
    return found


def _drop(resources: list[Stored], stored: Stored, problem: Problem, line: str) -> str:
    """Take out the field that a problem is about, or all of the resource; the note of it."""
    called = f"{stored.kind.replace('_', ' ')} {own_name(stored).split(':')[0] if is_listed(stored.kind) else stored.key!r}"
    match = _FIELD.match(line)
    name = match[1] if match is not None else ""
    index = resources.index(stored)
    scalar = KIND_BY_NAME[stored.kind].scalar
    if scalar is None and name in stored.fields and name in form_of(stored).defaults:
        rest = {field: value for field, value in stored.fields.items() if field != name}
        resources[index] = stored._replace(fields=rest)
        return f"{called}: {name} was left out: {problem.message}"
    del resources[index]
    return f"{called} was left out, with all inside it: {problem.message}"


def _without_orphans(resources: Iterable[Stored]) -> list[Stored]:
    """Only what stands on its own, or inside something that is there."""
    kept: list[Stored] = []
    known: set[tuple[str, str]] = set()
    depth = {"project": 0, "jobset": 1, "input": 2}
    for one in sorted(resources, key=lambda one: (depth.get(one.kind, 1), one.line)):
        parent = KIND_BY_NAME[one.kind].parent
        count = depth.get(parent or "", -1) + 1
        if parent is None or (parent, "/".join(one.key.split("/")[:count])) in known:
            kept.append(one)
            known.add((one.kind, one.key))
    return kept


def _comments(imported: Imported, title: str) -> str:
    lines = [f"Imported from {printable(title)}."]
    if imported.secrets:
        lines += [
            "",
            "Provide these secrets where FC runs (FC_SECRET_<NAME>, or a file in secrets.directory):",
        ]
        lines += [f"- {name}: {what}" for name, what in imported.secrets.items()]
    if imported.notes:
        lines += ["", "Not carried over as it was:"]
        lines += [f"- {note}" for note in imported.notes]
    return "".join(f"# {line}".rstrip() + "\n" for line in [*lines, ""])
