"""Commands about the configuration that is in force: status, confirm, adopt."""

import asyncio
from pathlib import Path

import click

from fc.base.settings import load_settings
from fc.cli.options import settings_option


def commands() -> list[click.Command]:
    """What ``fcctl`` registers from here."""
    return [status, confirm, adopt]


@click.command()
@settings_option
@click.option("--json", "as_json", is_flag=True, help="The state as JSON.")
@click.pass_context
def status(context: click.Context, settings_file: Path | None, *, as_json: bool) -> None:
    """Show what of the configuration is in force, what is wrong, and what waits to be confirmed.

    Exit status 0: what git says is in force, 1: it is not.
    """
    from fc.cli.configuration_state_work import run_status

    context.exit(asyncio.run(run_status(load_settings(settings_file), as_json=as_json)))


@click.command()
@click.argument("digest")
@settings_option
def confirm(digest: str, settings_file: Path | None) -> None:
    """Have the plan DIGEST, which is held, applied. fcctl status shows which it is and why it is held.

    The service applies it if it is still the same plan when it looks.
    """
    from fc.cli.configuration_state_work import run_confirm

    asyncio.run(run_confirm(digest, load_settings(settings_file)))


@click.command()
@click.argument("kind")
@click.argument("name")
@settings_option
def adopt(kind: str, name: str, settings_file: Path | None) -> None:
    """Let git take over NAME, a row of KIND that was made by hand, as soon as git declares it.

    KIND is as in plans, such as project, jobset or user; NAME as there, such as hello/main. The plan then says adopt, and
    shows what changes.
    """
    from fc.cli.configuration_state_work import run_adopt

    asyncio.run(run_adopt(kind, name, load_settings(settings_file)))
