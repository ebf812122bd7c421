"""What the commands about configuration do; each returns its exit status."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import click
import msgspec
from rich.console import Console

from fc.base.database import Database
from fc.base.errors import ConflictError, SchemaMismatchError
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.cli.connect import database_url
from fc.config.apply import apply, make_plan
from fc.config.compile import Compiled, compile_fragments
from fc.config.diff import Plan
from fc.config.errors import ConfigurationError
from fc.config.inventory import Origin
from fc.config.load import Loader
from fc.config.outside import FORM_ONLY, Surroundings
from fc.config.render import applied_line, plan_json, plan_text
from fc.config.schema import SCHEMA_FILE, schema_text, shipped_schema
from fc.config.sealing import seal
from fc.config.sources import SOURCE
from fc.tables.schema_version import schema_version

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


def run_plan(directory: Path, settings: Settings, *, as_json: bool) -> int:
    """Show a plan; 0 nothing would change, 2 something would, 1 the configuration has problems."""
    try:
        plan = asyncio.run(_plan(_sealed(directory, settings), settings))
    except ConfigurationError as error:
        return _show_problems(directory, error)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(plan_json(plan)), indent=2).decode())
    else:
        _console().print(plan_text(plan), end="")
    return _CHANGES if plan.changes else 0


def run_apply(directory: Path, settings: Settings, *, yes: bool, remove_everything: bool) -> int:
    """Show a plan, ask, apply it; 0 or 1."""
    try:
        return asyncio.run(_apply(directory, settings, yes=yes, remove_everything=remove_everything))
    except ConfigurationError as error:
        return _show_problems(directory, error)


def run_schema(output: Path | None, *, check: bool) -> int:
    """Print, write or compare the JSON Schema; 0 or 1."""
    wanted = schema_text()
    if not check:
        if output is None:
            click.echo(wanted, nl=False)
        else:
            output.write_text(wanted, encoding="utf-8")
        return 0
    if output is None:
        found = shipped_schema()
    else:
        found = output.read_text(encoding="utf-8") if output.is_file() else None
    if found == wanted:
        return 0
    name = output or f"config-schema/{SCHEMA_FILE}"
    click.echo(f"{name} is not current; run: fcctl schema --output {name}", err=True)
    return 1


async def _plan(compiled: Compiled, settings: Settings) -> Plan:
    async with _opened(settings) as database:
        return await make_plan(database, SOURCE, compiled.resources)


async def _apply(directory: Path, settings: Settings, *, yes: bool, remove_everything: bool) -> int:
    started = time.monotonic()
    compiled = _sealed(directory, settings)
    if settings.configuration.url is not None:
        click.echo(
            f"note: the service follows {settings.configuration.url}; its next synchronisation puts back what git says",
            err=True,
        )
    async with _opened(settings) as database:
        plan = await make_plan(database, SOURCE, compiled.resources)
        _console().print(plan_text(plan), end="")
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
            remove_everything=remove_everything,
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
    compiled = seal(_compile(directory, Surroundings.of(settings))[0], Secrets(settings.secrets.directory).resolve)
    if compiled.problems:
        raise ConfigurationError(compiled.problems)
    return compiled


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[Database]:
    """The database of the settings, checked to be of this program's schema."""
    with database_url(settings) as url:
        database = await Database.connect(url, size=2)
        try:
            async with database.transaction() as connection:
                version = await schema_version(connection)
            version.require_known()
            if version.pending:
                message = f"the database lacks {len(version.pending)} migrations; run 'fcctl migrate up'"
                raise SchemaMismatchError(message)
            yield database
        finally:
            await database.close()


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
