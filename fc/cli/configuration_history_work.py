"""What the commands about history, rollback, pauses and export do."""

import sys
from datetime import UTC, datetime, timedelta
from getpass import getuser
from typing import Any

import click
import msgspec
from rich.console import Console

from fc.access.audit import record_event
from fc.base.database import Database
from fc.base.durations import parse_duration
from fc.base.errors import ConflictError, InvalidInputError
from fc.base.secrets import secrets_of
from fc.base.settings import Settings
from fc.cli.chosen_source import chosen_source
from fc.cli.connect import opened
from fc.config.apply import make_guarded_plan
from fc.config.errors import PlanHeldError
from fc.config.history import (
    Past,
    Rebuilt,
    find_revision,
    resource_history,
    state_at,
)
from fc.config.pauses import pause, resume
from fc.config.render import applied_line, plan_text
from fc.config.rollback import recompile, roll_back
from fc.tables.configuration_queries import ConfigRevision, config_revisions

_SHORT = 12
_LONGEST = 100


async def run_history(
    settings: Settings, wanted: tuple[str, str] | None, *, limit: int, as_json: bool
) -> None:
    """List revisions, or the changes of one resource, by kind and key."""
    async with opened(settings) as database:
        if wanted is None:
            revisions = await config_revisions(database, limit=limit)
            found: list[Any] = list(revisions)
            lines = [_revision_line(one) for one in revisions]
        else:
            changes = await resource_history(database, *wanted, limit=limit)
            found = list(changes)
            lines = [line for one in changes for line in _change_lines(one)]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())
    else:
        click.echo("\n".join(lines) if lines else "nothing was applied yet")


async def run_rollback(
    named: str, settings: Settings, *, reason: str, yes: bool, confirmed: str | None
) -> int:
    """Put an earlier state back, and pin it; 0, or 1 if that was not wanted after all."""
    reveal = secrets_of(settings).reveal
    async with opened(settings) as database:
        rebuilt = await rebuilt_revision(database, named)
        compiled = recompile(rebuilt, reveal)
        plan, reasons = await make_guarded_plan(database, rebuilt.source, compiled.resources)
        Console(soft_wrap=True, highlight=False).print(plan_text(plan, reasons), end="")
        given = () if confirmed is None else (confirmed,)
        if reasons and not plan.confirmed_by(given):
            raise PlanHeldError(plan, reasons)
        if not yes:
            if not sys.stdin.isatty():
                message = (
                    "nothing was rolled back: nobody can be asked here, so look at the plan and give --yes"
                )
                raise ConflictError(message)
            if not click.confirm(f"Put revision {rebuilt.revision} back, and follow git no more?"):
                return 1
        by = _person()
        applied, pinned = await roll_back(
            database, rebuilt, compiled, digest=plan.digest, reason=reason, by=by, confirmed=given
        )
        await _note(database, "rollback", str(rebuilt.revision), reason)
    done = "nothing had to change" if applied.revision is None else f"applied: {applied_line(applied.plan)}"
    click.echo(f"{done}; as after revision {rebuilt.revision}")
    if pinned:
        click.echo("git is not followed until 'fcctl resume'")
    return 0


async def run_pause(settings: Settings, named: str | None, *, reason: str, until: str | None) -> None:
    """Stop following a configuration repository."""
    end = None if until is None else _moment(until)
    async with opened(settings) as database:
        source = await chosen_source(database, named)
        async with database.transaction() as connection:
            await pause(connection, source, reason=reason, by=_person(), until=end)
        await _note(database, "pause", source, reason)
    click.echo(
        f"{source}: paused {'until fcctl resume' if end is None else f'until {end:%Y-%m-%d %H:%M %Z}'}"
    )


async def run_resume(settings: Settings, named: str | None) -> None:
    """Follow it again."""
    async with opened(settings) as database:
        source = await chosen_source(database, named)
        async with database.transaction() as connection:
            paused = await resume(connection, source)
        if paused:
            await _note(database, "resume", source, "")
    click.echo(f"{source}: {'resumed: the newest commit is applied now' if paused else 'it was not paused'}")


async def rebuilt_revision(database: Database, named: str) -> Rebuilt:
    """What was in force after a revision, by the beginning of its id or commit."""
    async with database.transaction() as connection:
        return await state_at(connection, await find_revision(connection, named))


def _revision_line(one: ConfigRevision) -> str:
    counts = f"+{one.created} ~{one.updated} -{one.deleted}"
    commit = (one.commit_hash or "by hand")[:_SHORT]
    said = " ".join(part for part in (one.subject, f"({one.author})" if one.author else None) if part)
    return (
        f"{one.created_at:%Y-%m-%d %H:%M:%S}  {str(one.id)[:8]}  {commit:<{_SHORT}}  {one.status:<7}  {counts:<12}  "
        f"{_printable(said)}".rstrip()
    )


def _change_lines(one: Past) -> list[str]:
    commit = (one.commit_hash or "by hand")[:_SHORT]
    place = f"{one.file}:{one.line}" if one.file else ""
    head = f"{one.created_at:%Y-%m-%d %H:%M:%S}  {str(one.revision_id)[:8]}  {commit:<{_SHORT}}  {one.action:<7}  {place}"
    before, after = one.before or {}, one.after or {}
    names = [name for name in {**after, **before} if before.get(name) != after.get(name)]
    if one.before is None or one.after is None:
        return [_printable(head)]
    return [
        _printable(head),
        *(f"    {name}: {_shown(before.get(name))} → {_shown(after.get(name))}" for name in names),
    ]


def _shown(value: Any) -> str:
    return "none" if value is None else _printable(value if isinstance(value, str) else repr(value))


def _printable(text: str) -> str:
    """Text on one line, without anything that a terminal would obey."""
    return "".join(one if one.isprintable() else "?" for one in text[: 3 * _LONGEST])


def _moment(text: str) -> datetime:
    """When a pause ends: a duration from now, or a time, local if it names no zone."""
    now = datetime.now(UTC)
    try:
        end = now + timedelta(seconds=parse_duration(text))
    except (ValueError, OverflowError):
        try:
            end = datetime.fromisoformat(text).astimezone()
        except (ValueError, OverflowError):
            message = f"--until {text!r}: expected a duration such as 2h, or a time such as 2026-11-22T18:00"
            raise InvalidInputError(message) from None
    if end <= now:
        message = f"--until {text!r} lies in the past"
        raise InvalidInputError(message)
    return end


def _person() -> str:
    return f"cli:{getuser()}"


async def _note(database: Database, act: str, key: str, reason: str) -> None:
    await record_event(
        database, actor=_person(), action="configure", kind=act, key=key, details={"reason": reason}
    )
