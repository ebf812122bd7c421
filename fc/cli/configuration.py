"""Commands about configuration repositories: validate, plan, apply, schema."""

from pathlib import Path
from typing import Any, Literal

import click
from typing_extensions import override

from fc.base.settings import load_settings
from fc.cli.options import settings_option

Form = Literal["text", "json", "github"]
_FORMS = ("text", "json", "github")
_format = click.option(
    "--format",
    "form",
    type=click.Choice(_FORMS),
    default="text",
    show_default=True,
    help="For people, for programs, or as annotations of a GitHub workflow.",
)
_directory = click.argument("directory", metavar="DIR", type=click.Path(path_type=Path))

_source = click.option(
    "--source", default="default", show_default=True, help="The configuration source that DIR would be."
)


def commands() -> list[click.Command]:
    """What ``fcctl`` registers from here."""
    return [validate, plan, apply, schema]


class _WrongUsage(click.UsageError):
    """Wrong usage of a command whose exit status 2 means something else."""

    exit_code = 1


class _PlanCommand(click.Command):
    """A command whose exit status 2 is no error."""

    @override
    def make_context(self, *arguments: Any, **options: Any) -> click.Context:
        try:
            return super().make_context(*arguments, **options)
        except click.UsageError as error:
            raise _WrongUsage(error.format_message(), error.ctx) from None


@click.command()
@_directory
@click.option("--project", is_flag=True, help="DIR is a project's checkout with a .fc.yaml, or that file.")
@_format
@click.pass_context
def validate(context: click.Context, directory: Path, form: Form, *, project: bool) -> None:
    """Check the configuration below DIR, or a project's own .fc.yaml, without a database or a network.

    Every problem of every file is shown at once, as file:line:column: message. Exit status 0: it is valid, 1: it is
    not.
    """
    from fc.cli.configuration_work import run_validate, run_validate_file
    from fc.config.project_file import FILE

    if project or directory.name == FILE:
        context.exit(run_validate_file(directory, form))
    context.exit(run_validate(directory, form))


@click.command(cls=_PlanCommand)
@_directory
@settings_option
@_format
@click.option("--json", "form", flag_value="json", help="Short for --format json.")
@_source
@click.option(
    "--server",
    metavar="URL",
    help="Ask this running service, instead of a database that is reached from here.",
)
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --server: file that holds an API key of an admin; none: the variable FC_TOKEN.",
)
@click.pass_context
def plan(
    context: click.Context,
    directory: Path,
    settings_file: Path | None,
    form: Form,
    source: str,
    server: str | None,
    token_file: Path | None,
) -> None:
    """Show what applying the configuration below DIR would change. Changes nothing.

    Exit status 0: nothing would change, 2: something would, 1: error.
    """
    from fc.cli.configuration_work import run_plan, run_remote_plan

    if server is not None:
        context.exit(run_remote_plan(directory, server, token_file, form, source))
    context.exit(run_plan(directory, load_settings(settings_file), form, source))


@click.command()
@_directory
@settings_option
@_source
@click.option("--yes", is_flag=True, help="Apply without asking.")
@click.option("--confirm", "confirmed", metavar="DIGEST", help="Apply that plan though it removes much.")
@click.pass_context
def apply(
    context: click.Context,
    directory: Path,
    settings_file: Path | None,
    *,
    source: str,
    yes: bool,
    confirmed: str | None,
) -> None:
    """Show the plan for the configuration below DIR, ask, and apply exactly that plan: all of it or nothing."""
    from fc.cli.configuration_work import run_apply

    settings = load_settings(settings_file)
    context.exit(run_apply(directory, settings, source=source, yes=yes, confirmed=confirmed))


@click.command()
@click.option("--check", is_flag=True, help="Only compare: exit status 1 if the file is not current.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="Write (or compare) this file, or all schemas in this directory, instead of standard output (or what is shipped).",
)
@click.pass_context
def schema(context: click.Context, output: Path | None, *, check: bool) -> None:
    """Print the JSON Schema of the configuration language, for editors."""
    from fc.cli.configuration_work import run_schema

    context.exit(run_schema(output, check=check))
