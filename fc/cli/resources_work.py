"""What the commands about single resources do."""

from collections.abc import Sequence
from getpass import getuser
from typing import Any

import click
import msgspec

from fc.base.errors import InvalidInputError
from fc.base.secrets import secrets_of
from fc.base.settings import Settings
from fc.cli.connect import opened
from fc.config.hand_declarations import yaml_node
from fc.config.hand_writes import remove_resource, set_resource, show_resource
from fc.config.kind_names import kind_named
from fc.config.nodes import Mapping, Node, Scalar
from fc.config.owners import refuse_owned


async def run_show(kind: str, key: str, settings: Settings, *, as_json: bool) -> None:
    """Show one resource."""
    async with opened(settings) as database:
        shown = await show_resource(database, kind_named(kind), key)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(shown._asdict()), indent=2).decode())
        return
    by_hand = "made by hand" if shown.last_revision is None else "git has let go of it"
    owner = f"git: {shown.owner.place}" if shown.owner is not None else by_hand
    click.echo(f"{shown.kind.replace('_', ' ')} {shown.key}  ({owner})")
    if shown.fields is None:
        click.echo("    the row is gone; fcctl heal makes it again")
    for name, value in (shown.fields or {}).items():
        click.echo(f"    {name}: {_as_json(value)}")
    if shown.last_revision is not None:
        click.echo(f"    last changed by git in revision {shown.last_revision}")


async def run_set(kind: str, key: str, fields: Sequence[str], text: str | None, settings: Settings) -> None:
    """Make a row by hand.

    Raises:
        InvalidInputError: the fields are not written as they must be.
    """
    chosen = kind_named(kind)
    node = _fields(fields, text)
    async with opened(settings) as database:
        written = await set_resource(
            database, chosen, key, node, secrets_of(settings).reveal, actor=f"cli:{getuser()}"
        )
    done = (
        "made" if written.before is None else "changed" if written.before != written.after else "unchanged:"
    )
    click.echo(f"{done} {chosen.name.replace('_', ' ')} {key}")
    if written.before is not None:
        for field, after in written.after.items():
            if field not in written.before:  # Only its hash is stored.
                click.echo(f"    {field}: given anew")
            elif (before := written.before[field]) != after:
                click.echo(f"    {field}: {_as_json(before)} → {_as_json(after)}")


async def run_remove(kind: str, key: str, settings: Settings, *, ask: bool) -> None:
    """Remove a row that was made by hand, after a question on the terminal if ``ask``.

    Raises:
        OwnedError: git owns it; nothing is asked then.
    """
    chosen = kind_named(kind)
    async with opened(settings) as database:
        if ask:
            await refuse_owned(database, chosen.name, key)
            click.confirm(f"remove {chosen.name.replace('_', ' ')} {key}?", abort=True)
        await remove_resource(database, chosen, key, actor=f"cli:{getuser()}")
    done = "disabled" if chosen.archived else "deleted"
    click.echo(f"{done} {chosen.name.replace('_', ' ')} {key}")


def _as_json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _fields(fields: Sequence[str], text: str | None) -> Node:
    """The mapping of a file, with the fields of the command line in place of its own."""
    mapping = Mapping(1, 1)
    if text is not None:
        read = yaml_node(text)
        if not isinstance(read, Mapping):
            message = "the file holds no mapping of fields"
            raise InvalidInputError(message)
        mapping = read
    for field in fields:
        name, equals, value = field.partition("=")
        if not equals or not name:
            message = f"{field[:60]!r}: write FIELD=VALUE"
            raise InvalidInputError(message)
        mapping.items = [one for one in mapping.items if one[0].text != name]
        mapping.items.append((Scalar(name, 1, 1, plain=False), yaml_node(value)))
    return mapping
