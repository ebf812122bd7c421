"""What the commands about the configuration in force do."""

from getpass import getuser

import click
import msgspec

from fc.access.audit import record_event
from fc.base.settings import Settings
from fc.cli.connect import opened
from fc.config.adoption import allow_adoption
from fc.config.diff import DIGEST_SHOWN
from fc.config.kind_names import kind_named
from fc.config.sources import confirm, request_sync
from fc.tables.configuration_queries import ConfigSource, config_resource_counts, config_sources
from fc.tables.pause_queries import ConfigPause, config_pauses
from fc.tables.preview_queries import open_preview_counts


async def run_status(settings: Settings, *, as_json: bool) -> int:
    """Show the sources; 0 all are in force, 1 not."""
    async with opened(settings) as database:
        sources = await config_sources(database)
        owned = await config_resource_counts(database)
        pauses = await config_pauses(database)
        previews = await open_preview_counts(database)
    if as_json:
        state = msgspec.json.encode(
            {"sources": sources, "resources": owned, "pauses": pauses, "previews": previews}
        )
        click.echo(msgspec.json.format(state, indent=2).decode())
    else:
        if not sources:
            click.echo("no configuration repository is followed")
        for source in sources:
            click.echo("\n".join(_lines(source)))
        for one in pauses:
            click.echo(_pause_line(one))
        click.echo(f"git owns {sum(owned.values())} resources")
        if previews:
            listed = ", ".join(f"{count} {status}" for status, count in previews.items())
            click.echo(f"open pull requests: {listed}")
    return 0 if not pauses and all(source.status == "synced" for source in sources) else 1


async def run_confirm(digest: str, settings: Settings) -> None:
    """Confirm the plan that is held."""
    async with opened(settings) as database, database.transaction() as connection:
        found = await confirm(connection, digest)
        await record_event(connection, actor=f"cli:{getuser()}", action="configure", kind="plan", key=found)
    click.echo(f"confirmed: plan {found[:DIGEST_SHOWN]} is applied by the service's next synchronisation")


async def run_adopt(kind: str, key: str, settings: Settings) -> None:
    """Let git take over a row.

    Raises:
        InvalidInputError: there is no such kind.
    """
    name = kind_named(kind).name
    actor = f"cli:{getuser()}"
    async with opened(settings) as database, database.transaction() as connection:
        await allow_adoption(connection, name, key, actor)
        await record_event(connection, actor=actor, action="configure", kind=name, key=key)
        await request_sync(connection)
    click.echo(f"{name.replace('_', ' ')} {key} is taken over as soon as git declares it")


def _pause_line(one: ConfigPause) -> str:
    """Why a source is not followed."""
    what = f"rolled back to {one.pinned_revision_id}" if one.pinned_revision_id is not None else "paused"
    until = (
        f"until {one.paused_until:%Y-%m-%d %H:%M %Z}"
        if one.paused_until is not None
        else "until fcctl resume"
    )
    return f"{one.source} is not followed {until}: {what} by {one.paused_by}: {one.reason}"


def _lines(source: ConfigSource) -> list[str]:
    """One source for people."""
    lines = [
        f"{source.name}: {source.status}  ({source.url}, branch {source.branch})",
        f"  in force: {source.applied_commit or 'nothing that came from git'}",
        f"  newest commit seen: {source.last_seen_commit or 'none'}",
    ]
    if source.held is not None:
        shown = source.held.digest[:DIGEST_SHOWN]
        lines += [f"  held: {reason}" for reason in source.held.reasons]
        lines.append(
            f"  if it is meant: fcctl confirm {shown}, or a commit with the line 'FC-Confirm: {shown}' at its end"
        )
    elif source.error_message is not None:
        lines.append(f"  error: {source.error_message}")
    lines += [f"  {problem}" for problem in source.errors]
    return lines
