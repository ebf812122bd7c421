"""Tables of drift: rows that are not as git says, and when they were last compared."""

from piccolo.columns import JSONB, UUID, Boolean, Integer, Text, Timestamptz, Varchar
from piccolo.constraints import Check
from piccolo.table import Table


class ConfigDrift(Table, tablename="config_drift"):
    """A resource whose row differs, or differed, from what git says. Written by config."""

    id = UUID(primary_key=True)
    source = Varchar(length=255, default=None)
    """Name of the configuration repository that owns it."""
    kind = Varchar(length=50, default=None)
    """Kind of the resource, such as ``jobset``."""
    key = Text(default=None)
    """Key of the resource, such as ``hello/main``."""
    file = Text(default=None)
    """File that declares it."""
    line = Integer(default=None)
    """Line in that file, from 1."""
    missing = Boolean(default=None)
    """There is no such row."""
    fields = JSONB(default="[]")
    """Each field that differs: its name, what is declared, what was found. Never a secret."""
    since = Timestamptz()
    """When it was changed, if the audit trail knows; else when that was first seen."""
    actor = Text(default=None, null=True)
    """Who changed it, as in the audit trail; none: nobody knows."""
    seen_at = Timestamptz()
    """When what differs was first seen to be this."""
    message = Text(default=None, null=True)
    """Why it could not be healed."""
    tried_at = Timestamptz(default=None, null=True)
    """When that was last tried."""
    ended_at = Timestamptz(default=None, null=True)
    """When it was over; none: it lasts."""
    outcome = Text(default=None, null=True)
    """How it ended: FC healed it, or it was gone, because the row agreed again or git changed it."""

    config_drift_outcome_check = Check("outcome IN ('healed', 'gone')")
    config_drift_check = Check("(ended_at IS NULL) = (outcome IS NULL)")


class ConfigTurn(Table, tablename="config_turns"):
    """Work of configuration that comes round. Written by config."""

    id = UUID(primary_key=True)
    name = Varchar(length=50, default=None, unique=True)
    """Which work."""
    done_at = Timestamptz(default=None, null=True)
    """When it was last done; none: never."""
