"""What the commands about configuration do; each returns its exit status."""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from fc.base.errors import ConflictError, InvalidInputError
from fc.base.git_url import redact_git_url
from fc.base.paths import shipped
from fc.base.secrets import secrets_of
from fc.base.settings import Settings
from fc.cli.configuration_output import Form, errors_shown, show_plan, show_problems, show_valid
from fc.cli.connect import opened
from fc.cli.remote_plan import plan_remotely
from fc.config.apply import apply, make_guarded_plan
from fc.config.compile import Compiled, compile_fragments
from fc.config.errors import ConfigurationError, PlanHeldError
from fc.config.inventory import Origin
from fc.config.load import Loaded, Loader
from fc.config.outside import FORM_ONLY, Surroundings
from fc.config.plan_view import PlanView, view
from fc.config.planning import compile_as, plan_loaded
from fc.config.project_file import FILE, compile_file, read_file_in
from fc.config.render import applied_line
from fc.config.schema import schema_files, schema_text

_ANY_PROJECT = "project"
"""Its name is known to the central configuration alone."""
_CHANGES = 2
"""Exit status of a plan with changes."""


def run_validate(directory: Path, form: Form) -> int:
    """Check a directory; 0 or 1."""
    try:
        with errors_shown(form):
            compiled, files = _compile(directory, FORM_ONLY)
    except ConfigurationError as error:
        return show_problems(directory, error.problems, form)
    show_valid(directory, len(compiled.resources), files, form)
    return 0


def run_validate_file(place: Path, form: Form) -> int:
    """Check a project's own file, in the directory ``place`` or itself; 0 or 1.

    Raises:
        InvalidInputError: there is no such file, or it has another name.
    """
    directory = place.parent if place.name == FILE else place
    with errors_shown(form):
        if not directory.is_dir():
            message = f"{place}: a project's own file is named {FILE} and stands at the top of its repository"
            raise InvalidInputError(message)
        fragment = read_file_in(directory)
    dangling = compile_file(fragment, _ANY_PROJECT).dangling
    compiled = compile_file(fragment, _ANY_PROJECT, dangling)
    if compiled.problems:
        return show_problems(directory, compiled.problems, form)
    for _, key in sorted(dangling):
        name = key.partition("/")[2]
        click.echo(
            f"note: the jobset {name!r} is not declared here, so the central configuration must", err=True
        )
    show_valid(directory / FILE, len(compiled.resources), 1, form)
    return 0


def run_plan(directory: Path, settings: Settings, form: Form, source: str) -> int:
    """Show a plan; 0 nothing would change, 2 something would, 1 the configuration has problems."""
    return _show(directory, form, lambda: asyncio.run(_plan(directory, settings, source)))


def run_remote_plan(directory: Path, server: str, token_file: Path | None, form: Form, source: str) -> int:
    """Show the plan that a running service makes of a directory, as ``run_plan`` does."""
    return _show(directory, form, lambda: plan_remotely(directory, server, token_file, source))


def _show(directory: Path, form: Form, make: Callable[[], PlanView]) -> int:
    try:
        with errors_shown(form):
            plan = make()
    except ConfigurationError as error:
        return show_problems(directory, error.problems, form)
    show_plan(plan, directory, form)
    return _CHANGES if plan.changes else 0


def run_apply(directory: Path, settings: Settings, *, source: str, yes: bool, confirmed: str | None) -> int:
    """Show a plan, ask, apply it; 0 or 1."""
    try:
        return asyncio.run(_apply(directory, settings, source, yes=yes, confirmed=confirmed))
    except ConfigurationError as error:
        return show_problems(directory, error.problems)


def run_schema(output: Path | None, *, check: bool) -> int:
    """Print, write or compare the JSON Schema, or all of them in a directory; 0 or 1."""
    if output is None and not check:
        click.echo(schema_text(), nl=False)
        return 0
    place = output if output is not None else shipped("config-schema")
    wanted = (
        {place / name: text for name, text in schema_files().items()}
        if place.is_dir()
        else {place: schema_text()}
    )
    if not check:
        for file, text in wanted.items():
            file.write_text(text, encoding="utf-8")
        return 0
    stale = [
        file
        for file, text in wanted.items()
        if not file.is_file() or file.read_text(encoding="utf-8") != text
    ]
    for file in stale:
        name = file if output is not None else f"config-schema/{file.name}"
        click.echo(f"{name} is not current; run: fcctl schema --output {output or 'config-schema'}", err=True)
    return 1 if stale else 0


async def _plan(directory: Path, settings: Settings, source: str) -> PlanView:
    loaded = _loaded(directory, settings)
    async with opened(settings) as database:
        return await plan_loaded(database, settings, secrets_of(settings), source, loaded)


async def _apply(
    directory: Path, settings: Settings, source: str, *, yes: bool, confirmed: str | None
) -> int:
    started = time.monotonic()
    loaded = _loaded(directory, settings)
    followed = settings.configuration.followed.get(source)
    if followed is not None:
        click.echo(
            f"note: the service follows {redact_git_url(str(followed.url))}; its next synchronisation puts back what git says",
            err=True,
        )
    async with opened(settings) as database:
        compiled = await compile_as(database, settings, secrets_of(settings), source, loaded)
        plan, reasons = await make_guarded_plan(database, source, compiled.resources)
        show_plan(view(plan, reasons), directory)
        given = () if confirmed is None else (confirmed,)
        if reasons and not plan.confirmed_by(given):
            raise PlanHeldError(plan, reasons)
        if plan.changes and not yes:
            if not sys.stdin.isatty():
                message = "nothing was applied: nobody can be asked here, so look at the plan and give --yes"
                raise ConflictError(message)
            if not click.confirm("Apply this plan?"):
                return 1
        applied = await apply(
            database,
            Origin(source),
            compiled.resources,
            expected_digest=plan.digest,
            confirmed=given,
            started=started,
        )
    if applied.revision is not None:
        click.echo(f"applied: {applied_line(applied.plan)}, revision {applied.revision}")
    return 0


def _compile(directory: Path, surroundings: Surroundings) -> tuple[Compiled, int]:
    """What a directory declares in these ``surroundings``, and in how many files.

    Raises:
        ConfigurationError: it has problems.
        InvalidInputError: there is no such directory.
    """
    loaded = Loader(surroundings).load_directory(directory)
    compiled = compile_fragments(loaded.fragments, loaded.problems)
    if compiled.problems:
        raise ConfigurationError(compiled.problems)
    return compiled, len(loaded.fragments)


def _loaded(directory: Path, settings: Settings) -> Loaded:
    """What a directory declares, file by file.

    Raises:
        ConfigurationError: its files have problems.
    """
    loaded = Loader(Surroundings.of(settings)).load_directory(directory)
    problems = [*loaded.problems, *(problem for one in loaded.fragments for problem in one.problems)]
    if problems:
        # No database is needed to see these; what the files say together comes on top.
        raise ConfigurationError([*problems, *compile_fragments(loaded.fragments, loaded.problems).problems])
    return loaded
