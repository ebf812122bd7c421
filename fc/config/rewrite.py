"""A working copy brought to another state: only what differs is edited, where it is declared. Pure."""

import posixpath
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from functools import partial

from fc.base.errors import ConflictError
from fc.config import sops
from fc.config.compile import Compiled, Resource, ResourceId
from fc.config.declaration_edit import Declaration
from fc.config.declaration_place import NotWrittenHereError, PathPart
from fc.config.export import Stored, export_text, is_listed, own_name, parent_key
from fc.config.language import KIND_BY_NAME, KIND_ORDER

_ROUNDS = 12
"""An edit can change what stands elsewhere by an alias, a merge or a default; that is put right in the next round."""
_UNREADABLE = ("not valid YAML", "there is no anchor")
Compile = Callable[[Mapping[str, str]], Compiled]
"""What texts declare, by file."""


class RewriteError(ConflictError):
    """A declaration cannot be edited by a program. Says where it is, and what to do."""

    code = "rewrite"


def rewrite(texts: Mapping[str, str], wanted: Iterable[Stored], compile_texts: Compile) -> dict[str, str]:
    """``texts`` changed so that they declare ``wanted``, and only where they do not already.

    Args:
        texts: all YAML files of a tree that compiles without problems, by path.
        wanted: everything to be declared.
        compile_texts: what texts declare, as the tree's surroundings make it.

    Raises:
        RewriteError: something that must change cannot be changed safely.
        EncryptedError: a secret that has to be written stands encrypted in git.
    """
    target = {(one.kind, one.key): one for one in wanted}
    writing = _Writing(texts, target)
    for _ in range(_ROUNDS):
        compiled = compile_texts(writing.texts)
        broken = [one for one in compiled.problems if one.message.startswith(_UNREADABLE)]
        if broken or (compiled.problems and compiled.resources.keys() == target.keys()):
            first = (broken or list(compiled.problems))[0]
            message = (
                f"editing would break {first}; write out what is shared there by hand, then export again"
            )
            raise RewriteError(message)
        if not writing.turn(compiled.resources):
            return writing.texts
    raise RewriteError(_endless(writing.last))


def _endless(last: Resource | Stored | None) -> str:
    place = f" (last {last.kind.replace('_', ' ')} {last.key!r}, {last.file}:{last.line})" if last else ""
    return (
        f"what is declared cannot be made what is in force{place}; aliases, merges or defaults stand in the way: "
        "write them out there, then export again"
    )


class _Writing:
    """The texts while they are edited."""

    def __init__(self, texts: Mapping[str, str], target: Mapping[ResourceId, Stored]) -> None:
        self.texts = dict(texts)
        self.last: Resource | Stored | None = None
        self._target = target
        self._settled: list[tuple[str, list[PathPart]]] = []
        """What this turn has written whole, by file and path."""

    def turn(self, current: Mapping[ResourceId, Resource]) -> bool:
        """Edit everything that differs; false: nothing does."""
        self._settled.clear()
        removed = [one for one in current.values() if one.id not in self._target]
        changed = [
            one
            for one in current.values()
            if (wanted := self._target.get(one.id)) is not None and wanted.fields != one.fields
        ]
        created = [one for id_, one in self._target.items() if id_ not in current]
        # What stands inside something that goes too goes with it.
        outermost = [one for one in removed if (one.kind, one.key) not in self._inside(removed)]
        # Items of a list are found by their number, so the last goes first.
        for one in sorted(outermost, key=lambda one: (one.file, -one.line, -one.column)):
            self._edit(one, current, Declaration.remove)
        moved = {parent_key(_stored(one)) for one in removed if is_listed(one.kind)}
        for one in changed:
            # Items are counted anew once others are gone.
            if not is_listed(one.kind) or parent_key(_stored(one)) not in moved:
                self._change(one, current)
        created.sort(key=lambda one: (KIND_ORDER[one.kind], one.file, one.line, one.key))
        whole = self._create_whole(created, current)
        for new in created:
            if _root(new.kind, new.key) not in whole:
                self._create(new, current)
        return bool(removed or changed or created)

    def _inside(self, removed: list[Resource]) -> set[ResourceId]:
        gone = {one.id for one in removed}
        return {one.id for one in removed if (parent := _parent(one.kind, one.key)) and parent in gone}

    def _change(self, one: Resource, current: Mapping[ResourceId, Resource]) -> None:
        wanted = self._target[one.id]
        names = [
            name
            for name in {**one.fields, **wanted.fields}
            if one.fields.get(name) != wanted.fields.get(name)
        ]
        for name in names:
            self._edit(one, current, partial(Declaration.set_field, wanted=wanted, name=name))

    def _create(self, new: Stored, current: Mapping[ResourceId, Resource]) -> None:
        self.last = new
        parent = _parent(new.kind, new.key)
        assert parent is not None
        # The parent stands where it did, or where it was just put.
        holder = current.get(parent)
        stored = self._target[parent]
        file = holder.file if holder is not None else _file_for(stored, self.texts, current)
        place = holder if holder is not None else stored
        self._guard(file, place)
        beside = [
            one
            for one in self._target.values()
            if one.kind == new.kind and parent_key(one) == parent_key(new)
        ]
        path = self._path(place, current)
        if self._is_settled(file, path):
            return
        declaration = Declaration(self.texts[file], path, self._subtree)
        self._do(file, place, declaration, lambda: declaration.add(new, beside))

    def _create_whole(
        self, created: Iterable[Stored], current: Mapping[ResourceId, Resource]
    ) -> set[ResourceId]:
        """Declare what stands on its own and is new, each with all that stands inside it; which that was."""
        whole: dict[ResourceId, list[Stored]] = {}
        for new in created:
            root = _root(new.kind, new.key)
            if root not in current:
                whole.setdefault(root, []).append(new)
        files: dict[str, list[Stored]] = {}
        for ones in whole.values():
            file = _file_for(ones[0], self.texts, current)
            if self.texts.get(file, "").strip():
                self.last = ones[0]
                self._guard(file, ones[0])
                declaration = Declaration(self.texts[file], [], self._subtree)
                self._do(file, ones[0], declaration, partial(declaration.add, ones[0], [], ones[1:]))
            else:
                files.setdefault(file, []).extend(ones)
        for file, ones in files.items():
            self.texts[file] = export_text(ones)
        return set(whole)

    def _edit(
        self, one: Resource, current: Mapping[ResourceId, Resource], edit: Callable[[Declaration], None]
    ) -> None:
        self.last = one
        self._guard(one.file, one)
        path = self._path(one, current)
        if self._is_settled(one.file, path):
            return
        declaration = Declaration(self.texts[one.file], path, self._subtree)
        self._do(one.file, one, declaration, lambda: edit(declaration))

    def _do(
        self, file: str, one: Resource | Stored, declaration: Declaration, edit: Callable[[], None]
    ) -> None:
        try:
            edit()
        except NotWrittenHereError as error:
            called = f"{one.kind.replace('_', ' ')} {one.key!r}"
            message = (
                f"{one.file}:{one.line}: {called} {error}; write it out there by hand, then export again"
            )
            raise RewriteError(message) from None
        self.texts[file] = declaration.text
        if declaration.settled:
            self._settled.append((file, declaration.settled))

    def _is_settled(self, file: str, path: list[PathPart]) -> bool:
        return any(file == other and path[: len(above)] == above for other, above in self._settled)

    def _guard(self, file: str, one: Resource | Stored) -> None:
        if file.endswith(sops.SUFFIXES):
            message = (
                f"{file}:{one.line}: {one.kind.replace('_', ' ')} {one.key!r} differs from what is in force, and SOPS guards "
                "this file: change it there with 'sops edit', then export again"
            )
            raise RewriteError(message)

    def _path(self, one: Resource | Stored, current: Mapping[ResourceId, Resource]) -> list[PathPart]:
        """Sections and names from the document to a declaration; items of lists by their number in it."""
        kind = KIND_BY_NAME[one.kind]
        parent = _parent(one.kind, one.key)
        above = []
        if parent is not None:
            above = self._path(current.get(parent) or self._target[parent], current)
        if not is_listed(one.kind):
            return [*above, kind.section, own_name(_stored(one))]
        assert isinstance(one, Resource)
        beside = [
            other
            for other in current.values()
            if other.kind == one.kind and parent_key(_stored(other)) == parent_key(_stored(one))
        ]
        beside.sort(key=lambda other: (other.line, other.column))
        return [*above, kind.section, beside.index(one)]

    def _subtree(self, path: list[PathPart]) -> list[Stored]:
        """Everything that is wanted at and below the declaration at ``path``."""
        key = "/".join(str(part) for part in path[1::2])
        kinds = [kind for kind in KIND_BY_NAME.values() if kind.section == path[-2]]
        root = (kinds[0].name, key)
        found = [self._target[root]] if root in self._target else []
        inside = [
            one
            for one in self._target.values()
            if one.key.startswith(f"{key}/") and _within(one.kind, kinds[0].name)
        ]
        return [*found, *inside]


def _within(kind: str, outer: str) -> bool:
    parent = KIND_BY_NAME[kind].parent
    return parent is not None and (parent == outer or _within(parent, outer))


def _stored(one: Resource | Stored) -> Stored:
    return Stored(one.kind, one.key, one.fields, one.file, one.line)


def _parent(kind: str, key: str) -> ResourceId | None:
    parent = KIND_BY_NAME[kind].parent
    return None if parent is None else (parent, parent_key(Stored(kind, key, {}, "", 0)))


def _root(kind: str, key: str) -> ResourceId:
    """What stands on its own and holds this, or is it."""
    parent = _parent(kind, key)
    return (kind, key) if parent is None else _root(*parent)


def _file_for(new: Stored, texts: Mapping[str, str], current: Mapping[ResourceId, Resource]) -> str:
    """Where a resource of its own is to stand: where it did, if that is a place for it; else beside others of its kind."""
    file = posixpath.normpath(new.file)
    fit = file in texts or (
        file.endswith((".yaml", ".yml"))
        and not file.startswith(("/", "../"))
        and not any(part.startswith(".") for part in file.split("/"))
        and file.isprintable()
    )
    if fit and not file.endswith(sops.SUFFIXES):
        return file
    beside = Counter(
        one.file for one in current.values() if one.kind == new.kind and not one.file.endswith(sops.SUFFIXES)
    )
    return beside.most_common(1)[0][0] if beside else f"{KIND_BY_NAME[new.kind].section}.yaml"
