"""Commands about how configuration came to be and where it may go: history, rollback, pause, resume, export."""

import asyncio
from pathlib import Path

import click

from fc.base.settings import load_settings
from fc.cli.options import settings_option, source_argument

_reason = click.option("--reason", required=True, help="Why, for whoever wonders.")


def commands() -> list[click.Command]:
    """What ``fcctl`` registers from here."""
    return [history, rollback, pause, resume, export]


@click.command()
@click.argument("kind", required=False)
@click.argument("name", required=False)
@settings_option
@click.option("--limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many.")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def history(
    kind: str | None, name: str | None, settings_file: Path | None, *, limit: int, as_json: bool
) -> None:
    """Show the revisions of the configuration, or every change of one resource, newest first.

    \b
    fcctl history
    fcctl history jobset hello/main
    """  # noqa: D301 - backspace is how click is told to keep lines
    if kind is not None and name is None:
        message = "give a KIND and a NAME, such as: fcctl history jobset hello/main"
        raise click.UsageError(message)
    from fc.cli.configuration_history_work import run_history

    wanted = None if kind is None or name is None else (kind, name)
    asyncio.run(run_history(load_settings(settings_file), wanted, limit=limit, as_json=as_json))


@click.command()
@click.argument("revision")
@settings_option
@_reason
@click.option("--yes", is_flag=True, help="Roll back without asking.")
@click.option("--confirm", "confirmed", metavar="DIGEST", help="Apply that plan though it removes much.")
@click.pass_context
def rollback(
    context: click.Context,
    revision: str,
    settings_file: Path | None,
    *,
    reason: str,
    yes: bool,
    confirmed: str | None,
) -> None:
    """Put back everything as it was after REVISION, and follow git no more until fcctl resume.

    REVISION is the id of a revision or its commit, or the beginning of one; fcctl history lists them. The plan is
    shown first, and exactly that plan is applied. Secrets keep the values they have now.
    """
    from fc.cli.configuration_history_work import run_rollback

    settings = load_settings(settings_file)
    context.exit(asyncio.run(run_rollback(revision, settings, reason=reason, yes=yes, confirmed=confirmed)))


@click.command()
@source_argument
@settings_option
@_reason
@click.option(
    "--until", help="When it ends by itself: a duration (2h) or a time (2026-11-22T18:00). None: never."
)
def pause(source: str | None, settings_file: Path | None, *, reason: str, until: str | None) -> None:
    """Do not follow a configuration repository for a while. What is in force stays; fcctl resume ends it.

    SOURCE may be left out where only one repository is followed.
    """
    from fc.cli.configuration_history_work import run_pause

    asyncio.run(run_pause(load_settings(settings_file), source, reason=reason, until=until))


@click.command()
@source_argument
@settings_option
def resume(source: str | None, settings_file: Path | None) -> None:
    """Follow a configuration repository again, after fcctl pause or fcctl rollback: at once, its newest commit.

    SOURCE may be left out where only one repository is followed.
    """
    from fc.cli.configuration_history_work import run_resume

    asyncio.run(run_resume(load_settings(settings_file), source))


@click.command()
@settings_option
@click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write files here, as they are laid out in git, instead of one document to standard output.",
)
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    help="Edit the files below this directory, a working copy, so that planning it changes nothing: only what differs.",
)
@click.option("--revision", help="As it was after this revision; none: as it is in force.")
@click.option("--source", help="Whose; none: of the only source that is followed.")
@click.option(
    "--dry-run",
    "--diff",
    "dry_run",
    is_flag=True,
    help="With --into: show the edits as a diff, and write nothing.",
)
@click.option(
    "--force",
    is_flag=True,
    help="With --into: edit also files with changes that are not committed, or read-only.",
)
def export(
    settings_file: Path | None,
    directory: Path | None,
    into: Path | None,
    *,
    revision: str | None,
    source: str | None,
    dry_run: bool,
    force: bool,
) -> None:
    """Print what git owns as the YAML that declares it: planning it changes nothing.

    \b
    fcctl export > all.yaml
    fcctl export --into DIR --diff
    fcctl export --into DIR
    """  # noqa: D301 - backspace is how click is told to keep lines
    from fc.cli.configuration_export_work import Target, run_export

    if directory is not None and into is not None:
        message = "--directory writes new files, --into edits those that are there; give one of them"
        raise click.UsageError(message)
    if revision is not None and source is not None:
        message = "a revision is of one source; leave --source out"
        raise click.UsageError(message)
    if into is None and (dry_run or force):
        message = "--dry-run and --force are for --into"
        raise click.UsageError(message)
    settings = load_settings(settings_file)
    target = Target(directory, into, dry_run=dry_run, force=force)
    asyncio.run(run_export(settings, source, target, revision))
