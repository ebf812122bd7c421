"""What the commands about drift do."""

from getpass import getuser
from typing import Any

import click
import msgspec

from fc.base.database import Database
from fc.base.secrets import secrets_of
from fc.base.settings import Settings
from fc.cli.connect import opened
from fc.config.drift import find_drift
from fc.config.drift_log import causes
from fc.config.heal import heal_one
from fc.config.kind_names import kind_named
from fc.tables.drift_queries import drift_compared_at, recorded_drift

_DRIFTED = 2
"""Exit status of drift."""


async def run_drift(settings: Settings, *, compare_now: bool, limit: int, as_json: bool) -> int:
    """Show drift; 0 there is none, 2 there is some."""
    async with opened(settings) as database:
        if compare_now or await drift_compared_at(database) is None:
            found = await _compared(database)
        else:
            found = msgspec.to_builtins(await recorded_drift(database, limit=limit))
    _show(found, as_json=as_json)
    if not found and not as_json:
        click.echo("nothing has drifted")
    return _DRIFTED if found else 0


async def run_drift_ended(settings: Settings, *, limit: int, as_json: bool) -> None:
    """Show the drift that is over."""
    async with opened(settings) as database:
        found = msgspec.to_builtins(await recorded_drift(database, ended=True, limit=limit))
    _show(found, as_json=as_json)


async def run_heal(kind: str, key: str, settings: Settings) -> None:
    """Heal one resource."""
    name = kind_named(kind).name
    async with opened(settings) as database:
        done = await heal_one(database, name, key, secrets_of(settings).reveal, actor=f"cli:{getuser()}")
    for one, healed in done:
        click.echo(f"healed {one.replace('_', ' ')} {healed}")
    if not done:
        click.echo(f"{name.replace('_', ' ')} {key} is as git says")


async def _compared(database: Database) -> list[dict[str, Any]]:
    """What differs at this moment, with who did it as far as the audit trail knows."""
    async with database.snapshot() as connection:
        drifted = await find_drift(connection)
        by = await causes(connection, drifted) if drifted else {}
    found = []
    for one in drifted:
        cause = by.get((one.kind, one.key))
        since = cause.created_at if cause is not None else None
        row = {
            **msgspec.to_builtins(one),
            "since": since,
            "actor": cause.actor if cause is not None else None,
        }
        found.append(msgspec.to_builtins(row))
    return found


def _show(found: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
        return
    for one in found:
        gone = ": the row is gone" if one["missing"] else ""
        click.echo(f"{one['kind']} {one['key']}  ({one['file']}:{one['line']}){gone}")
        for field in one["fields"]:
            declared, live = (msgspec.json.encode(field[name]).decode() for name in ("declared", "found"))
            click.echo(f"    {field['field']}: git says {declared}, the row says {live}")
        if one["since"] is not None:
            by = f", by {one['actor']}" if one["actor"] is not None else ""
            click.echo(f"    since {one['since'][:19].replace('T', ' ')}{by}")
        if one.get("message") is not None:
            click.echo(f"    cannot be healed: {one['message']}")
        if one.get("ended_at") is not None:
            click.echo(f"    {one['outcome']} {one['ended_at'][:19].replace('T', ' ')}")
