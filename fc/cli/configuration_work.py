"""What the commands about configuration do; each returns its exit status."""

import asyncio
import os
import sys
import time
from pathlib import Path

import click
import msgspec
from rich.console import Console

from fc.base.errors import ConflictError, InvalidInputError
from fc.base.paths import shipped
from fc.base.secrets import secrets_of
from fc.base.settings import Settings
from fc.cli.connect import opened
from fc.config.apply import apply, make_guarded_plan
from fc.config.compile import Compiled, compile_fragments
from fc.config.diff import Plan
from fc.config.errors import ConfigurationError, PlanHeldError
from fc.config.inventory import Origin
from fc.config.load import Loader
from fc.config.outside import FORM_ONLY, Surroundings
from fc.config.project_file import FILE, compile_file, read_file_in
from fc.config.render import applied_line, plan_json, plan_text
from fc.config.schema import schema_files, schema_text
from fc.config.sealing import seal
from fc.config.sources import SOURCE

_ANY_PROJECT = "project"
"""Its name is known to the central configuration alone."""
_CHANGES = 2
"""Exit status of a plan with changes."""


def run_validate(directory: Path) -> int:
    """Check a directory; 0 or 1."""
    try:
        compiled, files = _compile(directory, FORM_ONLY)
    except ConfigurationError as error:
        return _show_problems(directory, error)
    click.echo(f"{directory}: valid, {len(compiled.resources)} resources in {files} files")
    return 0


def run_validate_file(place: Path) -> int:
    """Check a project's own file, in the directory ``place`` or itself; 0 or 1.

    Raises:
        InvalidInputError: there is no such file, or it has another name.
    """
    directory = place.parent if place.name == FILE else place
    if not directory.is_dir():
        message = f"{place}: a project's own file is named {FILE} and stands at the top of its repository"
        raise InvalidInputError(message)
    fragment = read_file_in(directory)
    dangling = compile_file(fragment, _ANY_PROJECT).dangling
    compiled = compile_file(fragment, _ANY_PROJECT, dangling)
    if compiled.problems:
        return _show_problems(directory, ConfigurationError(compiled.problems))
    for _, key in sorted(dangling):
        name = key.partition("/")[2]
        click.echo(
            f"note: the jobset {name!r} is not declared here, so the central configuration must", err=True
        )
    click.echo(
        f"{directory / FILE}: valid, {len(compiled.resources)} resources; limits are those of the central configuration"
    )
    return 0


def run_plan(directory: Path, settings: Settings, *, as_json: bool) -> int:
    """Show a plan; 0 nothing would change, 2 something would, 1 the configuration has problems."""
    try:
        plan, reasons = asyncio.run(_plan(_sealed(directory, settings), settings))
    except ConfigurationError as error:
        return _show_problems(directory, error)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(plan_json(plan, reasons)), indent=2).decode())
    else:
        _console().print(plan_text(plan, reasons), end="")
    return _CHANGES if plan.changes else 0


def run_apply(directory: Path, settings: Settings, *, yes: bool, confirmed: str | None) -> int:
    """Show a plan, ask, apply it; 0 or 1."""
    try:
        return asyncio.run(_apply(directory, settings, yes=yes, confirmed=confirmed))
    except ConfigurationError as error:
        return _show_problems(directory, error)


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


async def _plan(compiled: Compiled, settings: Settings) -> tuple[Plan, tuple[str, ...]]:
    async with opened(settings) as database:
        return await make_guarded_plan(database, SOURCE, compiled.resources)


async def _apply(directory: Path, settings: Settings, *, yes: bool, confirmed: str | None) -> int:
    started = time.monotonic()
    compiled = _sealed(directory, settings)
    if settings.configuration.url is not None:
        click.echo(
            f"note: the service follows {settings.configuration.url}; its next synchronisation puts back what git says",
            err=True,
        )
    async with opened(settings) as database:
        plan, reasons = await make_guarded_plan(database, SOURCE, compiled.resources)
        _console().print(plan_text(plan, reasons), end="")
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
            Origin(SOURCE),
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


def _sealed(directory: Path, settings: Settings) -> Compiled:
    compiled = seal(_compile(directory, Surroundings.of(settings))[0], secrets_of(settings).reveal)
    if compiled.problems:
        raise ConfigurationError(compiled.problems)
    return compiled


def _show_problems(directory: Path, error: ConfigurationError) -> int:
    """Every problem on standard error, with paths that can be clicked on from here."""
    for problem in error.problems:
        click.echo(
            os.path.normpath(directory / problem.file) + str(problem).removeprefix(problem.file), err=True
        )
    count = len(error.problems)
    click.echo(f"fcctl: {count} problem{'s' if count > 1 else ''} in {directory}", err=True)
    return 1


def _console() -> Console:
    return Console(soft_wrap=True, highlight=False)
