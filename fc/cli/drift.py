"""Commands about drift: drift, heal."""

import asyncio
from pathlib import Path

import click

from fc.base.settings import load_settings
from fc.cli.options import settings_option


def commands() -> list[click.Command]:
    """What ``fcctl`` registers from here."""
    return [drift, heal]


@click.command()
@settings_option
@click.option(
    "--now", "compare_now", is_flag=True, help="Compare on the spot; without, what the service knows."
)
@click.option("--ended", is_flag=True, help="What was healed, or agrees again.")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="The drift as JSON.")
@click.pass_context
def drift(
    context: click.Context,
    settings_file: Path | None,
    *,
    compare_now: bool,
    ended: bool,
    limit: int,
    as_json: bool,
) -> None:
    """Show where rows say something else than git, because somebody changed them by hand: since when, by whom.

    Exit status 0: nowhere, 2: somewhere, 1: error.
    """
    from fc.cli.drift_work import run_drift, run_drift_ended

    settings = load_settings(settings_file)
    if ended:
        asyncio.run(run_drift_ended(settings, limit=limit, as_json=as_json))
        return
    context.exit(asyncio.run(run_drift(settings, compare_now=compare_now, limit=limit, as_json=as_json)))


@click.command()
@click.argument("kind")
@click.argument("name")
@settings_option
def heal(kind: str, name: str, settings_file: Path | None) -> None:
    """Write NAME, a row of KIND that was changed by hand, as git says, and what was lost with it.

    KIND is as in plans, such as project, jobset or user; NAME as there, such as hello/main.
    """
    from fc.cli.drift_work import run_heal

    asyncio.run(run_heal(kind, name, load_settings(settings_file)))
