"""Table of channels."""

from piccolo.columns import UUID, ForeignKey, Timestamptz, Varchar
from piccolo.columns.base import OnDelete, OnUpdate
from piccolo.constraints import Unique
from piccolo.table import Table

from fc.tables.evaluations import Evaluation
from fc.tables.projects import Jobset, Project


class Channel(Table, tablename="channels"):
    """A name for the newest good evaluation of a jobset. Declared by config, moved by cache."""

    id = UUID(primary_key=True)
    project_id = ForeignKey(Project, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action)
    """The project."""
    name = Varchar(length=255, default=None)
    """Its key within the project."""
    jobset_id = ForeignKey(Jobset, null=False, on_delete=OnDelete.cascade, on_update=OnUpdate.no_action)
    """The jobset it follows."""
    current_evaluation_id = ForeignKey(
        Evaluation, null=True, on_delete=OnDelete.set_null, on_update=OnUpdate.no_action
    )
    """What it stands for now; none: no good evaluation yet. Written by cache alone."""
    created_at = Timestamptz()
    """When configuration first named it."""
    updated_at = Timestamptz()
    """When it was last declared anew or moved; whoever writes sets it."""

    channels_project_id_name_key = Unique([project_id, name])
