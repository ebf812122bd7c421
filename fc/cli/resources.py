"""Commands about single resources: show, set, remove."""

import asyncio
from pathlib import Path
from typing import TextIO

import click

from fc.base.settings import load_settings
from fc.cli.options import settings_option


def commands() -> list[click.Command]:
    """What ``fcctl`` registers from here."""
    return [show, set_, remove]


@click.command()
@click.argument("kind")
@click.argument("name")
@settings_option
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def show(kind: str, name: str, settings_file: Path | None, *, as_json: bool) -> None:
    """Show NAME, a row of KIND: what it says, and which file and line owns it.

    KIND is as in plans, such as project, jobset or user; NAME as there, such as hello/main.
    """
    from fc.cli.resources_work import run_show

    asyncio.run(run_show(kind, name, load_settings(settings_file), as_json=as_json))


@click.command(name="set")
@click.argument("kind")
@click.argument("name")
@click.argument("fields", nargs=-1, metavar="[FIELD=VALUE]...")
@settings_option
@click.option(
    "--file",
    "file",
    type=click.File("r", encoding="utf-8"),
    help="A YAML mapping of fields; - is standard input.",
)
def set_(
    kind: str,
    name: str,
    fields: tuple[str, ...],
    settings_file: Path | None,
    file: TextIO | None,
) -> None:
    """Make NAME, a row of KIND, by hand, or have it say this. What git owns is refused with the place that owns it.

    Values are YAML, such as enabled=false or 'systems=[x86_64-linux]'; secrets are named: 'key=!secret deploy-key'.
    Fields that are not given have their defaults; what changed is shown.
    """
    from fc.cli.resources_work import run_set

    text = file.read() if file is not None else None
    asyncio.run(run_set(kind, name, fields, text, load_settings(settings_file)))


@click.command()
@click.argument("kind")
@click.argument("name")
@settings_option
@click.option("--yes", is_flag=True, help="Remove without asking.")
def remove(kind: str, name: str, settings_file: Path | None, *, yes: bool) -> None:
    """Remove NAME, a row of KIND that was made by hand. What git owns is refused with the place that owns it.

    Projects, jobsets, users and remote builders are disabled and keep their history; everything else is deleted.
    """
    from fc.cli.resources_work import run_remove

    asyncio.run(run_remove(kind, name, load_settings(settings_file), ask=not yes))
