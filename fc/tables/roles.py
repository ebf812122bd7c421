"""Taskcluster's table of roles."""

from piccolo.columns import JSONB, UUID, Text, Timestamptz
from piccolo.table import Table


class Role(Table, tablename="roles"):
    """A named set of scopes, granted by ``assume:<role>``. Written by config."""

    id = UUID(primary_key=True)
    role_id = Text(default=None, unique=True)
    """Its key; one that ends in ``*`` stands for every name it begins."""
    scopes = JSONB(default=None)
    """List of the scopes; ``<..>`` stands for what the star matched."""
    created = Timestamptz(default=None)
    """When configuration first named it."""
    description = Text(default=None)
    """For people."""
    last_modified = Timestamptz(default=None)
    """When its declaration last changed."""
    etag = UUID(default=None)
    """Changes with every write; whoever writes gives it."""
