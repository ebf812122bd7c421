"""What the import commands do: read, convert, write, and tell what was lost."""

from pathlib import Path
from urllib.parse import urlsplit

import click
import msgspec

from fc.base.errors import InvalidInputError
from fc.cli.hydra_server import read_server
from fc.cli.new_files import write_new_files
from fc.config.import_circus import import_circus
from fc.config.import_hydra import import_jobsets, import_projects
from fc.config.imported import Imported

_LARGEST = 64 << 20
"""Bytes of a file."""


def run_circus(file: Path, directory: Path | None) -> None:
    """Convert a circus.toml."""
    _deliver(import_circus(_text(file)), file.name, directory)


def run_hydra(source: str, directory: Path | None, project: str | None) -> None:
    """Convert what a Hydra has, or a file of its jobsets."""
    if source.lower().startswith(("http://", "https://")):
        projects = read_server(source, lambda line: click.echo(line, err=True))
        _deliver(import_projects(projects), urlsplit(source).hostname or "Hydra", directory)
        return
    if "://" in source:
        message = "give an http or https URL, or a file"
        raise InvalidInputError(message)
    file = Path(source)
    try:
        document = msgspec.json.decode(_text(file))
    except (msgspec.DecodeError, RecursionError):
        message = f"{file}: this is no JSON"
        raise InvalidInputError(message) from None
    _deliver(import_jobsets(document, project or file.stem), file.name, directory)


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            data = stream.read(_LARGEST + 1)
    except OSError as error:
        message = f"{file} cannot be read: {error.strerror}"
        raise InvalidInputError(message) from None
    if len(data) > _LARGEST:
        message = f"{file} has more than {_LARGEST} bytes"
        raise InvalidInputError(message)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        message = f"{file} is not UTF-8"
        raise InvalidInputError(message) from None


def _deliver(imported: Imported, title: str, directory: Path | None) -> None:
    for note in imported.notes:
        click.echo(f"note: {note}", err=True)
    for name, what in imported.secrets.items():
        click.echo(f"provide the secret {name}: {what}", err=True)
    if directory is None:
        click.echo(imported.text(title), nl=False)
    else:
        write_new_files(directory, imported.files(title))
    click.echo(
        f"{title}: {len(imported.resources)} resources, {len(imported.notes)} notes, "
        f"{len(imported.secrets)} secrets to provide",
        err=True,
    )
