"""Commands about the configuration that is in force: status, sync, confirm, adopt."""

import asyncio
from pathlib import Path

import click

from fc.base.settings import load_settings
from fc.cli.options import settings_option, source_argument


def commands() -> list[click.Command]:
    """What ``fcctl`` registers from here."""
    return [status, sync, confirm, adopt]


@click.command()
@source_argument
@settings_option
@click.option("--json", "as_json", is_flag=True, help="The state as JSON.")
@click.pass_context
def status(context: click.Context, source: str | None, settings_file: Path | None, *, as_json: bool) -> None:
    """Show what of the configuration is in force, what is wrong, and what waits; of every source, or of SOURCE.

    Exit status 0: what git says is in force, 1: it is not.
    """
    from fc.cli.configuration_state_work import run_status

    context.exit(asyncio.run(run_status(load_settings(settings_file), source, as_json=as_json)))


@click.command()
@source_argument
@settings_option
@click.option("--wait", is_flag=True, help="Wait until it is done, and show how it went.")
@click.option(
    "--timeout", type=click.IntRange(1), default=300, show_default=True, help="With --wait: seconds."
)
@click.pass_context
def sync(
    context: click.Context, source: str | None, settings_file: Path | None, *, wait: bool, timeout: int
) -> None:
    """Have the service look at a configuration repository now.

    SOURCE may be left out where only one repository is followed. With --wait, exit status 0: what git says is in
    force, 1: it is not.
    """
    from fc.cli.configuration_sync_work import run_sync

    seconds = timeout if wait else None
    context.exit(asyncio.run(run_sync(load_settings(settings_file), source, seconds)))


@click.command()
@click.argument("digest")
@settings_option
def confirm(digest: str, settings_file: Path | None) -> None:
    """Have the plan DIGEST, which is held or waits for a sync window, applied. fcctl status shows which it is and why.

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
