"""From what files declare to resources: merged over files, with keys, compared with one another. Pure."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from dataclasses import field as attribute

import msgspec

from fc.base.collecting import in_batches, uncollected
from fc.base.problems import Problem, sorted_problems
from fc.config.declared import Declared, Entry, Fragment, derived_names
from fc.config.defaulting import Default, Defaulting, Scope
from fc.config.language import KIND_BY_NAME, LIFE, SECTIONS, Fields, Kind
from fc.config.marks import Part, Parts
from fc.config.wording import did_you_mean

ResourceId = tuple[str, str]
"""Kind and key."""
Place = tuple[int, int]
"""Line and column."""
_SHARING = {"user": "address", "api_key": "key"}
"""What two resources of a kind may not have in common."""
_BATCH_ENTRIES = 1_000
"""Declarations that are made to resources without a search for cycles; some milliseconds."""


@dataclass(frozen=True, slots=True)
class Renamed:
    """A resource's former key, and where it is written."""

    key: str
    place: Place


@dataclass(frozen=True, slots=True)
class Resource:
    """One thing that configuration declares."""

    kind: str
    key: str
    """Unique in its kind: ``hello``, ``hello/main``, ``hello/main/nixpkgs``."""
    fields: Fields
    file: str
    line: int
    column: int
    content_hash: str
    """SHA-256 of what it says, wherever it stands."""
    secrets: Mapping[str, tuple[str, Place]]
    """Secrets it refers to: name and place, by field."""
    defaulted: Mapping[str, str] = attribute(default_factory=dict)
    """Where the default stands, by field, for those that it does not write itself."""
    seal: str | None = None
    """SHA-256 of the secret whose hash the row holds, once it is known."""
    renamed_from: "Renamed | None" = None
    """The name it had, if it says so. It is no part of what it says: taking it out is no change."""

    @property
    def id(self) -> ResourceId:
        """Kind and key."""
        return (self.kind, self.key)


@dataclass(frozen=True, slots=True)
class Use:
    """A resource needs another one, and says so here."""

    kind: str
    key: str
    name: str
    """As it is written."""
    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Flat:
    """The resources of one fragment, in order of declaration, and what they need."""

    resources: tuple[tuple[Resource, bool], ...]
    """Each with whether it stands on its own, not inside another."""
    uses: tuple[Use, ...]
    missing: tuple[Problem, ...]
    """Fields that neither a declaration nor a default gives."""
    part: Part[Resource]
    """The same resources, once each."""
    outer: tuple[Use, ...]
    """What they need and the fragment does not declare."""
    compared: tuple[Resource, ...]
    """Those of which something is compared with others, beside their names."""


@dataclass(frozen=True, slots=True)
class Compiled:
    """A whole configuration."""

    resources: dict[ResourceId, Resource]
    problems: tuple[Problem, ...]
    """Everything that is wrong, in every file; with any, the resources are not to be used."""
    dangling: frozenset[ResourceId] = frozenset()
    """What is needed and not declared here; each is a problem unless something else declares it."""
    parts: Parts[Resource] = attribute(default_factory=dict)
    """The same resources by file; none: not known, or something is declared twice."""


class Compiler:
    """Compiles configurations, and remembers what it made of fragments that come again."""

    def __init__(self) -> None:
        self._flat: dict[int, tuple[Fragment, Scope, Flat]] = {}
        self._made: list[tuple[object, Compiled]] = []

    def compile(
        self,
        fragments: Iterable[Fragment],
        tree_problems: Iterable[Problem] = (),
        elsewhere: Collection[ResourceId] = (),
        project: str | None = None,
    ) -> Compiled:
        """The configuration that ``fragments`` make together.

        Args:
            fragments: what the files declare.
            tree_problems: what is wrong with the tree itself.
            elsewhere: what they may need and others declare.
            project: whose own file they are; none: they are files of a configuration repository.
        """
        listed = tuple(fragments)
        given = (listed, tuple(tree_problems), frozenset(elsewhere), project)
        for before, made in self._made:
            if before == given:
                return made
        known = {}
        defaulting = Defaulting(listed)
        for batch in in_batches(listed, _BATCH_ENTRIES, _entries):
            with uncollected():
                for fragment in batch:
                    scope = defaulting.scope(fragment.file)
                    # The fragment is kept beside its id, so the id cannot be given to another one.
                    one = self._flat.get(id(fragment))
                    if one is None or (one[1] is not scope and one[1] != scope):
                        one = (fragment, scope, flatten(fragment, scope, project))
                    known[id(fragment)] = one
        self._flat = known
        compiled = _merge(known.values(), [*given[1], *defaulting.problems], elsewhere, whole=not given[1])
        # Two of them: without what others declare, and with it.
        self._made = [*self._made[-1:], (given, compiled)]
        return compiled


def compile_fragments(fragments: Iterable[Fragment], tree_problems: Iterable[Problem] = ()) -> Compiled:
    """The configuration that ``fragments`` make together, and everything that is wrong with it."""
    return Compiler().compile(fragments, tree_problems)


def content_hash(fields: Fields, seal: str | None = None) -> str:
    """SHA-256 of ``fields`` whatever their order, and of the secret behind them if its hash is part of the row."""
    encoded = msgspec.json.encode([fields, seal] if seal is not None else fields, order="sorted")
    return hashlib.sha256(encoded).hexdigest()


def flatten(fragment: Fragment, scope: Scope | None = None, project: str | None = None) -> Flat:
    """The resources of one fragment; ``scope``: what they do not write; ``project``: whose own file it is."""
    gathered = _Gathered(fragment.file, scope or {})
    inside, prefix = (None, "") if project is None else (KIND_BY_NAME["project"], f"{project}/")
    for document in fragment.documents:
        gathered.take_sections(document, inside, prefix)
    part = Part({one.id: one for one, _ in gathered.resources})
    return Flat(
        tuple(gathered.resources),
        tuple(gathered.uses),
        tuple(gathered.missing),
        part,
        tuple(use for use in gathered.uses if (use.kind, use.key) not in part.resources),
        tuple(one for one, _ in gathered.resources if one.kind in _SHARING or one.renamed_from is not None),
    )


def _entries(fragment: Fragment) -> int:
    return sum(len(entries) for document in fragment.documents for entries in document.sections.values())


class _Gathered:
    """Walks declarations and collects resources."""

    def __init__(self, file: str, scope: Scope) -> None:
        self._file = file
        self._scope = scope
        self.missing: list[Problem] = []
        self.resources: list[tuple[Resource, bool]] = []
        self.uses: list[Use] = []

    def take_sections(self, declared: Declared, parent: Kind | None, prefix: str) -> None:
        """Every declaration inside ``declared``, whose own key with a slash after it is ``prefix``."""
        kinds = SECTIONS[parent.name if parent else None]
        for section, entries in declared.sections.items():
            kind = kinds[section]
            names = derived_names(entries)
            for entry, name in zip(entries, names, strict=True):
                self._take(kind, entry, prefix, name)

    def _defaults(self, kind: Kind, declared: Declared) -> dict[str, Default]:
        """What is not written but given; what is neither is missing."""
        defaults = {
            field: default
            for (of, field), default in self._scope.items()
            if of == kind.name and field not in declared.places
        }
        for field, called in declared.missing.items():
            if field not in defaults:
                message = f"{called}: missing {field!r}"
                self.missing.append(Problem(self._file, declared.line, declared.column, message))
        return defaults

    def _take(self, kind: Kind, entry: Entry, prefix: str, name: str) -> None:
        declared = entry.declared
        defaults = self._defaults(kind, declared)
        given = {**declared.fields, **{field: default.value for field, default in defaults.items()}}
        # A list's item carries its name inside; a single value has no field name of its own.
        fields = {
            kind.scalar or field: value
            for field, value in given.items()
            if (entry.name is not None or field != "name") and (field not in LIFE or value != LIFE[field])
        }
        former = fields.pop("renamed_from", None)
        renamed = Renamed(prefix + former, declared.places["renamed_from"]) if former else None
        secrets = {field: (secret, declared.places[field]) for field, secret in declared.secrets.items()}
        for field, default in defaults.items():
            if default.secret is not None:
                secrets[field] = (default.secret, (entry.line, entry.column))
        key = prefix + name
        self.resources.append(
            (
                Resource(
                    kind.name,
                    key,
                    fields,
                    self._file,
                    entry.line,
                    entry.column,
                    content_hash(fields),
                    secrets,
                    {field: default.place for field, default in defaults.items()},
                    renamed_from=renamed,
                ),
                not prefix,
            )
        )
        for reference in declared.references:
            # Only what stands inside the same project can be meant by a name inside a project.
            scope = prefix if KIND_BY_NAME[reference.kind].parent is not None else ""
            self.uses.append(
                Use(
                    reference.kind,
                    scope + reference.name,
                    reference.name,
                    self._file,
                    reference.line,
                    reference.column,
                )
            )
        if kind.name in SECTIONS:
            self.take_sections(declared, kind, f"{key}/")


def _merge(
    known: Iterable[tuple[Fragment, Scope, Flat]],
    found: Iterable[Problem],
    elsewhere: Collection[ResourceId],
    *,
    whole: bool,
) -> Compiled:
    resources: dict[ResourceId, Resource] = {}
    problems = list(found)
    flats = []
    for fragment, _scope, flat in known:
        problems += [*fragment.problems, *flat.missing]
        whole = whole and fragment.whole
        flats.append(flat)
        resources.update(flat.part.resources)
    if len(resources) == sum(len(flat.resources) for flat in flats):
        # Each stands in one place, so what a file has itself need not be looked for in all of them.
        uses = [use for flat in flats for use in flat.outer]
        compared = [one for flat in flats for one in flat.compared]
        parts = {flat.resources[0][0].file: flat.part for flat in flats if flat.resources}
    else:
        resources = {}
        for flat in flats:
            problems += _put(resources, flat)
        uses = [use for flat in flats for use in flat.uses]
        compared, parts = list(resources.values()), {}
    # A file that cannot be read may hold what seems to be missing.
    dangling = [
        use
        for use in uses
        if whole and (use.kind, use.key) not in resources and (use.kind, use.key) not in elsewhere
    ]
    problems += _dangling(resources, dangling)
    problems += _shared(compared)
    problems += _wrong_renames(compared, resources)
    missing = frozenset((use.kind, use.key) for use in dangling)
    return Compiled(resources, sorted_problems(problems), missing, parts)


def _put(resources: dict[ResourceId, Resource], flat: Flat) -> list[Problem]:
    """Add the resources of a file; what is there already is a problem, and so is not what stands inside it."""
    problems = []
    skipped: set[str] = set()
    for resource, top in flat.resources:
        if not top and resource.key.split("/", 1)[0] in skipped:
            continue
        if top:
            skipped.discard(resource.key)
        first = resources.get(resource.id)
        if first is None:
            resources[resource.id] = resource
            continue
        if resource.kind == "project":
            skipped.add(resource.key)
        place = f"{first.file}:{first.line}:{first.column}"
        message = f"{_called(resource)} is declared twice; it stands already at {place}"
        problems.append(Problem(resource.file, resource.line, resource.column, message))
    return problems


def _called(resource: Resource) -> str:
    called = f"{resource.kind.replace('_', ' ')} {resource.key!r}"
    return f"{called} (give it a name of its own)" if resource.kind == "notification" else called


def _dangling(resources: dict[ResourceId, Resource], uses: list[Use]) -> list[Problem]:
    problems = []
    known: dict[ResourceId, list[str]] = {}
    for use in uses:
        scope = use.key.removesuffix(use.name)
        if (use.kind, scope) not in known:
            known[use.kind, scope] = [
                key.removeprefix(scope)
                for kind, key in resources
                if kind == use.kind and key.startswith(scope)
            ]
        hint = did_you_mean(use.name, known[use.kind, scope])
        inside = f" in project {scope[:-1]!r}" if scope else ""
        message = f"there is no {use.kind.replace('_', ' ')} {use.name[:80]!r}{inside}{hint}"
        problems.append(Problem(use.file, use.line, use.column, message))
    return problems


def _shared(compared: Iterable[Resource]) -> list[Problem]:
    """What two resources may not have in common: the address of users, the secret of API keys."""
    problems = []
    first: dict[tuple[str, str], Resource] = {}
    for resource in compared:
        if resource.kind not in _SHARING:
            continue
        what = _SHARING[resource.kind]
        value = (
            str(resource.fields.get("email", "")).casefold()
            if resource.kind == "user"
            else resource.secrets.get("key", ("", None))[0]
        )
        other = first.setdefault((resource.kind, value), resource) if value else resource
        if other is not resource:
            message = f"{_called(resource)} has the same {what} as {_called(other)} at {other.file}:{other.line}:{other.column}"
            problems.append(Problem(resource.file, resource.line, resource.column, message))
    return problems


def _wrong_renames(compared: Iterable[Resource], resources: Mapping[ResourceId, Resource]) -> list[Problem]:
    """What is wrong with renames whatever git owns: chains and swaps among them."""
    problems = []
    first: dict[ResourceId, Resource] = {}
    for resource in compared:
        if resource.renamed_from is None:
            continue
        old = (resource.kind, resource.renamed_from.key)
        other = resources.get(old)
        if other is resource:
            problems.append(_wrong_rename(resource, "this is its own name"))
        elif other is not None:
            place = f"{other.file}:{other.line}:{other.column}"
            message = f"{other.key!r} is still declared at {place}; what was renamed has one name, and chains and swaps take a commit for each step"
            problems.append(_wrong_rename(resource, message))
        elif (one := first.setdefault(old, resource)) is not resource:
            message = f"{one.key!r} at {one.file}:{one.line}:{one.column} is renamed from {old[1]!r} too"
            problems.append(_wrong_rename(resource, message))
    return problems


def _wrong_rename(resource: Resource, message: str) -> Problem:
    assert resource.renamed_from is not None
    return Problem(resource.file, *resource.renamed_from.place, f"renamed_from: {message}")
