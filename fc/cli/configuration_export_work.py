"""What ``fcctl export`` does."""

from pathlib import Path
from typing import NamedTuple

import click

from fc.base.settings import Settings
from fc.cli.chosen_source import chosen_source
from fc.cli.configuration_history_work import rebuilt_revision
from fc.cli.configuration_into import bring, show_edits
from fc.cli.connect import opened
from fc.cli.new_files import write_new_files
from fc.config.export import export_files, export_text
from fc.config.history import live_state, owned_by_all_others


class Target(NamedTuple):
    """Where an export goes; to standard output, if nowhere else."""

    directory: Path | None
    """For new files."""
    into: Path | None
    """A working copy to edit."""
    dry_run: bool
    force: bool


async def run_export(settings: Settings, named: str | None, target: Target, revision: str | None) -> None:
    """Write what git owns as YAML, to standard output, new files, or a working copy."""
    async with opened(settings) as database:
        if revision is not None:
            rebuilt = await rebuilt_revision(database, revision)
            source, stored = rebuilt.source, rebuilt.resources
        else:
            source = await chosen_source(database, named)
            async with database.transaction() as connection:
                stored = await live_state(connection, source)
        async with database.transaction() as connection:
            others = await owned_by_all_others(connection, source)
    if target.into is not None:
        if target.dry_run:
            show_edits(target.into, stored, settings, others)
        else:
            await bring(target.into, stored, settings, others, force=target.force)
    elif target.directory is None:
        click.echo(export_text(stored), nl=False)
    else:
        files = export_files(stored)
        write_new_files(target.directory, files)
        click.echo(f"{target.directory}: wrote {len(stored)} resources in {len(files)} files", err=True)
