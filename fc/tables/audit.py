"""Table of what people and programs did."""

from piccolo.columns import JSONB, UUID, Text, Timestamptz, Varchar
from piccolo.table import Table


class AuditEvent(Table, tablename="audit_events"):
    """Someone did something through the API or the command line. Written by access, never changed."""

    id = UUID(primary_key=True)
    actor = Text(default=None)
    """Who: a user, a key, or a person on the command line."""
    action = Text(default=None)
    """What was done."""
    kind = Varchar(length=50, default=None)
    """Kind of what it was done to."""
    key = Text(default=None)
    """Key of what it was done to."""
    details = JSONB(default="{}")
    """What else is worth knowing. Never a secret."""
    created_at = Timestamptz()
    """When."""
