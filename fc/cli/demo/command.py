"""The command ``fcctl demo``."""

import asyncio
from pathlib import Path

import click


def commands() -> list[click.Command]:
    """What ``fcctl`` registers from here."""
    return [demo]


@click.command()
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("fc-demo"),
    show_default=True,
    help="Where the demo keeps everything. Emptied at the start, if a demo made it.",
)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=8080,
    show_default=True,
    help="Port of the pages; another one is taken when it is in use.",
)
@click.option(
    "--exit-when-done",
    is_flag=True,
    help="Stop when all is built; exit status 0 only if every result is as expected.",
)
@click.option(
    "--timeout",
    type=click.IntRange(10),
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="Give up when it takes longer.",
)
def demo(directory: Path, port: int, exit_when_done: bool, timeout: int) -> None:  # noqa: FBT001 - click passes flags by name
    """See FC work, end to end, on this machine.

    An embedded PostgreSQL, a configuration repository and two projects in real git, a stand-in forge, a remote
    builder behind real SSH: FC syncs the configuration, evaluates, builds here and there, reports, and shows it
    all. Then the configuration is pushed again, with one more jobset. Everything listens on 127.0.0.1 only.
    """
    from fc.cli.demo.run import run

    raise SystemExit(asyncio.run(run(directory, port, exit_when_done=exit_when_done, limit=timeout)))
