"""A working copy brought to a state, file by file: ``fcctl export --into``."""

import os
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from tempfile import NamedTemporaryFile

import click

from fc.base.errors import ConflictError, InvalidInputError
from fc.base.settings import Settings
from fc.config.blobs import blob_id
from fc.config.compile import Compiled, Compiler, ResourceId
from fc.config.errors import ConfigurationError
from fc.config.export import Stored
from fc.config.load import Loader
from fc.config.outside import Surroundings
from fc.config.rewrite import rewrite
from fc.config.tree import SourceFile, SourceTree, read_directory

_MARK = "\ufeff"


def bring(
    directory: Path, stored: Iterable[Stored], settings: Settings, elsewhere: Collection[ResourceId] = ()
) -> None:
    """Edit the files below ``directory`` so that they declare ``stored``; ``elsewhere``: what other sources declare.

    Raises:
        ConfigurationError: they have problems as they are.
        RewriteError: something cannot be edited by a program.
        ConflictError: somebody else edited a file meanwhile.
    """
    tree, contents = read_directory(directory)
    loader, compiler = Loader(Surroundings.of(settings)), Compiler()
    loaded = loader.load(tree, contents)
    compiled = compiler.compile(loaded.fragments, loaded.problems, elsewhere)
    if compiled.problems:
        raise ConfigurationError(compiled.problems)
    texts = {one.path: contents[one.blob].decode("utf-8").removeprefix(_MARK) for one in tree.files}

    def compile_texts(changed: Mapping[str, str]) -> Compiled:
        held = dict(contents)
        files = []
        for path, text in sorted(changed.items()):
            data = text.encode()
            files.append(SourceFile(path, blob_id(data)))
            held[files[-1].blob] = data
        again = loader.load(SourceTree(tuple(files), (), tree.locate), held)
        return compiler.compile(again.fragments, again.problems, elsewhere)

    made = rewrite(texts, stored, compile_texts)
    edited = [path for path, text in made.items() if texts.get(path) != text]
    root = directory.resolve()
    before = {one.path: contents[one.blob] for one in tree.files}
    for path in edited:
        _require_untouched(root, path, before.get(path))
    for path in edited:
        mark = _MARK if before.get(path, b"").startswith(_MARK.encode()) else ""
        _write(root / path, mark + made[path] if made[path].strip() else "")
    if edited:
        click.echo(f"{directory}: edited {', '.join(sorted(edited))}", err=True)
    else:
        click.echo(f"{directory}: nothing to change", err=True)


def _require_untouched(root: Path, path: str, before: bytes | None) -> None:
    file = root / path
    if not file.resolve().is_relative_to(root):
        message = f"{path!r} is no place below {root}"
        raise InvalidInputError(message)
    now = file.read_bytes() if file.exists() else None
    if now != before:
        message = (
            f"{path} was changed by somebody else meanwhile; nothing was written, so look and export again"
        )
        raise ConflictError(message)


def _write(file: Path, text: str) -> None:
    """Replace a file whole, or take it away if nothing is left in it; a link stays one."""
    file = file.resolve()
    if not text:
        file.unlink()
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    with NamedTemporaryFile(
        "w", dir=file.parent, prefix=f".{file.name}.", delete=False, encoding="utf-8", newline=""
    ) as new:
        new.write(text)
    Path(new.name).chmod(file.stat().st_mode & 0o777 if file.exists() else 0o666 & ~_umask())
    Path(new.name).replace(file)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
