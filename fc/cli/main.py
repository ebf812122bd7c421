"""``fcctl``: the command line, and the one place where errors become messages and exit statuses."""

import sys
from typing import Any

import click
from typing_extensions import override

from fc import __version__
from fc.base.errors import FcError
from fc.cli import (
    configuration,
    configuration_history,
    configuration_import,
    configuration_state,
    drift,
    resources,
    service,
)
from fc.cli.demo import command as demo


class _Group(click.Group):
    """Commands in the order a newcomer needs them; FC's own errors as one line on standard error."""

    @override
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self.commands)

    @override
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except FcError as error:
            click.secho(f"fcctl: {error}", fg="red" if sys.stderr.isatty() else None, err=True)
            ctx.exit(1)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="fcctl")
def cli() -> None:
    """FC: configuration from git, evaluated, built, reported and shown.

    \b
    See it work:              fcctl demo
    Run the service:          fcctl serve --settings fc.yaml
    Check a configuration:    fcctl validate DIR
    Ask what would change:    fcctl plan DIR
    """  # noqa: D301 - backspace is how click is told to keep lines


for _command in (
    *demo.commands(),
    *service.commands(),
    *configuration.commands(),
    *configuration_state.commands(),
    *drift.commands(),
    *resources.commands(),
    *configuration_history.commands(),
    *configuration_import.commands(),
):
    cli.add_command(_command)


def main() -> None:
    """Entry point of ``fcctl`` and ``python -m fc``."""
    cli()
