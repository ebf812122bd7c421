"""What the commands about the configuration in force do."""

from getpass import getuser

import click
import msgspec

from fc.access.audit import record_event
from fc.base.settings import Settings
from fc.cli.chosen_source import chosen_source
from fc.cli.connect import opened
from fc.config.adoption import allow_adoption
from fc.config.diff import DIGEST_SHOWN
from fc.config.kind_names import kind_named
from fc.config.sources import confirm, request_every_sync
from fc.tables.configuration_queries import ConfigSource, config_resource_counts, config_sources
from fc.tables.drift_queries import drift_counts
from fc.tables.pause_queries import ConfigPause, config_pauses
from fc.tables.preview_queries import open_preview_counts


async def run_status(settings: Settings, named: str | None, *, as_json: bool) -> int:
    """Show the sources, or the one that is named; 0 all are in force, 1 not."""
    async with opened(settings) as database:
        source = None if named is None else await chosen_source(database, named)
        sources = [one for one in await config_sources(database) if source in {None, one.name}]
        central = [one for one in sources if one.project is None]
        owned = await config_resource_counts(database)
        pauses = [one for one in await config_pauses(database) if source in {None, one.source}]
        previews = await open_preview_counts(database)
        drifted = await drift_counts(database)
    if as_json:
        state = msgspec.json.encode(
            {
                "sources": sources,
                "resources": owned,
                "pauses": pauses,
                "previews": previews,
                "drifted": drifted,
            }
        )
        click.echo(msgspec.json.format(state, indent=2).decode())
    else:
        if not central:
            click.echo("no configuration repository is followed")
        for followed in central:
            click.echo("\n".join(source_lines(followed)))
        for line in _file_lines(sources):
            click.echo(line)
        for one in pauses:
            click.echo(pause_line(one))
        click.echo(f"git owns {sum(owned.values())} resources")
        if drifted:
            count = sum(drifted.values())
            click.echo(f"{count} of them {'has' if count == 1 else 'have'} drifted: see fcctl drift")
        if previews:
            listed = ", ".join(f"{count} {status}" for status, count in previews.items())
            click.echo(f"open pull requests: {listed}")
    # A project's own file is the project's business, unless it was asked for.
    meant = sources if named is not None else central
    paused = {one.source for one in pauses}
    return 0 if all(one.status == "synced" and one.name not in paused for one in meant if one.active) else 1


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
        await request_every_sync(connection)
    click.echo(f"{name.replace('_', ' ')} {key} is taken over as soon as git declares it")


def _file_lines(sources: list[ConfigSource]) -> list[str]:
    """Projects' own files: how many there are, and those that are not in force, each with its first problem."""
    files = [source for source in sources if source.project is not None]
    wrong = [one for one in files if one.status != "synced"]
    if not files:
        return []
    return [
        f"projects' own files: {len(files) - len(wrong)} of {len(files)} in force",
        *(f"  {one.name}: {one.status}{_why(one)}" for one in wrong),
    ]


def _why(file: ConfigSource) -> str:
    if file.held is not None:
        return f"  (if it is meant: fcctl confirm {file.held.digest[:DIGEST_SHOWN]})"
    return f"  {file.error_message}" if file.error_message is not None else ""


def pause_line(one: ConfigPause) -> str:
    """Why a source is not followed."""
    what = f"rolled back to {one.pinned_revision_id}" if one.pinned_revision_id is not None else "paused"
    until = (
        f"until {one.paused_until:%Y-%m-%d %H:%M %Z}"
        if one.paused_until is not None
        else "until fcctl resume"
    )
    return f"{one.source} is not followed {until}: {what} by {one.paused_by}: {one.reason}"


def source_lines(source: ConfigSource) -> list[str]:
    """One source for people."""
    lines = [
        f"{source.name}: {source.status if source.active else 'not followed any more'}  ({source.url}, branch {source.branch})",
        f"  in force: {source.applied_commit or 'nothing that came from git'}",
        f"  newest commit seen: {source.last_seen_commit or 'none'}",
    ]
    if source.held is not None:
        shown = source.held.digest[:DIGEST_SHOWN]
        lines += [f"  held: {reason}" for reason in source.held.reasons]
        otherwise = (
            f", or a commit with the line 'FC-Confirm: {shown}' at its end" if source.held.by_commit else ""
        )
        lines.append(f"  if it is meant: fcctl confirm {shown}{otherwise}")
    elif source.waiting is not None:
        when = (
            "no sync window opens, as far as can be foreseen"
            if source.opens_at is None
            else f"until {source.opens_at:%Y-%m-%d %H:%M %Z}, when a sync window opens"
        )
        lines.append(f"  waiting: {when}")
        lines.append(f"  to have it applied now: fcctl confirm {source.waiting.digest[:DIGEST_SHOWN]}")
    elif source.error_message is not None:
        lines.append(f"  error: {source.error_message}")
    lines += [f"  {problem}" for problem in source.errors]
    if source.forced_at is not None:
        lines.append(
            f"  the branch was moved away from {source.forced_from}, the commit in force, "
            f"as was noticed at {source.forced_at:%Y-%m-%d %H:%M %Z}"
        )
    return lines
