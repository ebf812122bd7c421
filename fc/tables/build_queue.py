"""Table of the build queue: what is needed, and for whom."""

from piccolo.columns import UUID, ForeignKey, Integer, Timestamptz
from piccolo.columns.base import OnDelete, OnUpdate
from piccolo.constraints import Unique
from piccolo.table import Table

from fc.tables.builds import Build
from fc.tables.derivations import Derivation
from fc.tables.projects import Jobset


class DerivationDemand(Table, tablename="derivation_demands"):
    """An unfinished derivation that a jobset needs. Written by build; gone when the derivation is finished."""

    id = UUID(primary_key=True)
    derivation_id = ForeignKey(
        Derivation, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action
    )
    """The derivation."""
    jobset_id = ForeignKey(Jobset, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action)
    """The jobset that needs it, and whose share its building takes."""
    build_id = ForeignKey(Build, null=True, on_delete=OnDelete.set_null, on_update=OnUpdate.no_action)
    """The first build of that jobset found to need it; its steps are shown there."""
    global_priority = Integer(default=0)
    """The greatest of the builds that need it."""
    local_priority = Integer(default=0)
    """The greatest of the builds that need it."""
    wanted_since = Timestamptz()
    """When the oldest of the builds that need it was recorded."""

    derivation_demands_derivation_id_jobset_id_key = Unique([derivation_id, jobset_id])
