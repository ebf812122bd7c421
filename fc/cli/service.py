"""Commands that run the service and look after its database."""

import asyncio
from pathlib import Path

import click

from fc.base.settings import load_settings
from fc.cli.connect import database_url
from fc.cli.options import settings_option


def commands() -> list[click.Command]:
    """What ``fcctl`` registers from here."""
    return [serve, web, work, migrate]


@click.command()
@settings_option
def serve(settings_file: Path | None) -> None:
    """Run the whole service on this machine.

    Starts the embedded PostgreSQL (unless database.url is set), brings its schema up to date, and keeps a web and a
    work process alive. SIGTERM or Ctrl-C stops all of it; builds that run are finished or handed back.
    """
    from fc.serve import run

    run(load_settings(settings_file), settings_file)


@click.command()
@settings_option
def web(settings_file: Path | None) -> None:
    """Run the web process alone: pages, API, webhooks, binary cache.

    For sites that spread FC over several hosts; needs database.url.
    """
    from fc.cli.web_server import run

    run(load_settings(settings_file), settings_file)


@click.command()
@settings_option
@click.option(
    "--loops",
    default="",
    metavar="SLICES",
    help="Comma-separated: config, evaluate, build, cache, report. Default: all.",
)
def work(settings_file: Path | None, loops: str) -> None:
    """Run the background process alone: sync, evaluate, build, report.

    For sites that spread FC over several hosts; needs database.url. Any number of them share one database.
    """
    from fc.work import SLICES, run

    run(
        load_settings(settings_file),
        [name.strip() for name in loops.split(",") if name.strip()] or tuple(SLICES),
    )


@click.group()
def migrate() -> None:
    """Look after the database's schema."""


@migrate.command()
@settings_option
def up(settings_file: Path | None) -> None:
    """Bring the schema up to date. 'fcctl serve' does so by itself."""
    from fc.tables.migrate import migrate_up

    with database_url(load_settings(settings_file)) as url:
        ran = asyncio.run(migrate_up(url))
    for name in ran:
        click.echo(f"applied {name}")
    if not ran:
        click.echo("the schema is up to date")


@migrate.command()
@settings_option
@click.option(
    "--to",
    metavar="ID",
    help="Undo every migration after this one; 'zero' undoes all. Default: only the newest.",
)
@click.option(
    "--yes", is_flag=True, help="Do not ask. Undoing a migration drops what it added, with its data."
)
def down(settings_file: Path | None, to: str | None, yes: bool) -> None:  # noqa: FBT001 - click passes flags by name
    """Undo migrations, newest first."""
    from fc.tables.migrate import migrate_down

    if not yes:
        click.confirm("Undoing a migration drops what it added, with its data. Go on?", abort=True)
    with database_url(load_settings(settings_file)) as url:
        undone = asyncio.run(migrate_down(url, to))
    for name in undone:
        click.echo(f"undid {name}")
    if not undone:
        click.echo("there is nothing to undo")


@migrate.command()
@settings_option
def status(settings_file: Path | None) -> None:
    """Show which migrations the database has and lacks. Exit status 0: up to date, 2: some are pending."""
    from fc.tables.migrate import migration_status

    with database_url(load_settings(settings_file)) as url:
        version = asyncio.run(migration_status(url))
    for state, names in (
        ("applied", version.applied),
        ("pending", version.pending),
        ("unknown", version.unknown),
    ):
        for name in names:
            click.echo(f"{state:8} {name}")
    version.require_known()
    if version.pending:
        raise SystemExit(2)
