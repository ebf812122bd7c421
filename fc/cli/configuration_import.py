"""Commands that make configuration of another service's: import circus, import hydra."""

from pathlib import Path

import click

_directory = click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write files here instead of one document to standard output.",
)


def commands() -> list[click.Command]:
    """What ``fcctl`` registers from here."""
    return [import_]


@click.group("import")
def import_() -> None:
    """Make configuration of what another service has. Prints YAML that is valid; says what could not be carried over."""


@import_.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_directory
def circus(file: Path, directory: Path | None) -> None:
    """From the [declarative] tables of a circus.toml."""
    from fc.cli.configuration_import_work import run_circus

    run_circus(file, directory)


@import_.command()
@click.argument("source", metavar="URL-OR-FILE")
@_directory
@click.option("--project", help="Name of the project, for a file; none: the name of the file.")
def hydra(source: str, directory: Path | None, project: str | None) -> None:
    """From a Hydra: the URL of a server, of one of its projects or jobsets, or a file of declarative jobsets (JSON)."""
    from fc.cli.configuration_import_work import run_hydra

    run_hydra(source, directory, project)
