"""Table of pauses: when configuration is not to be followed."""

from piccolo.columns import UUID, ForeignKey, Text, Timestamptz, Varchar
from piccolo.columns.base import OnDelete, OnUpdate
from piccolo.table import Table

from fc.tables.configuration import ConfigRevision


class ConfigPause(Table, tablename="config_pauses"):
    """Somebody stopped the synchronisation of a source, for a while or until further notice. Written by config."""

    id = UUID(primary_key=True)
    source = Varchar(length=255, default=None)
    """Name of the configuration repository."""
    reason = Text(default=None)
    """Why, in the words of who did it."""
    paused_by = Text(default=None)
    """Who: ``cli:<user>``."""
    paused_until = Timestamptz(default=None, null=True)
    """When it ends by itself; none: when somebody ends it."""
    pinned_revision_id = ForeignKey(
        ConfigRevision, null=True, on_delete=OnDelete.set_null, on_update=OnUpdate.no_action
    )
    """The earlier revision that was put back; none: only paused."""
    created_at = Timestamptz()
    """When it began."""
    ended_at = Timestamptz(default=None, null=True)
    """When somebody ended it, or another took its place; none: it stands."""
