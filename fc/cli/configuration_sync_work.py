"""What ``fcctl sync`` does."""

import asyncio
import time
from getpass import getuser

import click

from fc.access.audit import record_event
from fc.base.database import Database
from fc.base.errors import ConflictError
from fc.base.settings import Settings
from fc.cli.chosen_source import chosen_source
from fc.cli.configuration_state_work import pause_line, source_lines
from fc.cli.connect import opened
from fc.config.sources import request_sync
from fc.tables.configuration_queries import ConfigSource, config_sources
from fc.tables.pause_queries import config_pauses

_LOOK_SECONDS = 0.2


async def run_sync(settings: Settings, named: str | None, wait_seconds: float | None) -> int:
    """Ask for a synchronisation and, if ``wait_seconds`` is given, wait for it; 0, or 1 if git is not in force.

    Raises:
        ConflictError: the source is not followed now, or nobody synchronised it in time.
    """
    async with opened(settings) as database:
        name = await chosen_source(database, named)
        for one in await config_pauses(database):
            if one.source == name:
                raise ConflictError(pause_line(one))
        if not (await _source(database, name)).active:
            message = f"the settings name the configuration source {name!r} no more, so nobody follows it"
            raise ConflictError(message)
        async with database.transaction() as connection:
            await request_sync(connection, name)
            actor = f"cli:{getuser()}"
            await record_event(connection, actor=actor, action="configure", kind="sync", key=name)
        if wait_seconds is None:
            click.echo(f"{name}: the service looks at it now")
            return 0
        click.echo(f"{name}: waiting for the service", err=True)
        found = await _answer(database, name, wait_seconds)
    click.echo("\n".join(source_lines(found)))
    return 0 if found.status == "synced" else 1


async def _answer(database: Database, name: str, seconds: float) -> ConfigSource:
    """The source once no request stands; a later one covers ours."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = await _source(database, name)
        if found.sync_requested_at is None:
            return found
        await asyncio.sleep(_LOOK_SECONDS)
    message = f"nobody synchronised {name} within {seconds:.0f} s; is the service running? The request stands"
    raise ConflictError(message)


async def _source(database: Database, name: str) -> ConfigSource:
    for one in await config_sources(database):
        if one.name == name:
            return one
    message = (
        "no configuration repository is followed: configuration.url is not set, or the service never ran"
    )
    raise ConflictError(message)
