"""What a project's repository may declare itself.

What git says of it already, from before the column went, is taken from the inventory. The trigger that notes writes by
hand names the columns it looks at, so it is made anew.
"""

from fc.tables.migration import SqlMigration

_DECLARED = ("name", "repository_url", "description", "enabled")
_FORGET = "DROP TRIGGER trg_projects_hand_update ON projects;"
_KEY = "SELECT $1 ->> ''name''"


def _noting(*columns: str) -> str:
    """The trigger on projects, for these columns."""
    old, new = (", ".join(f"{row}.{column}" for column in columns) for row in ("OLD", "NEW"))
    return f"""
CREATE TRIGGER trg_projects_hand_update AFTER UPDATE OF {", ".join(columns)} ON projects FOR EACH ROW WHEN (current_setting('application_name') <> 'fc' AND ({old}) IS DISTINCT FROM ({new})) EXECUTE FUNCTION note_hand_write ('project', '{_KEY}');
"""


FORWARDS = f"""
{_FORGET}
ALTER TABLE projects ADD COLUMN delegate JSONB;
UPDATE projects p SET delegate = c.content -> 'delegate' FROM config_resources c
WHERE c.kind = 'project' AND c.key = p.name AND jsonb_typeof(c.content -> 'delegate') = 'object';
{_noting(*_DECLARED, "delegate")}
"""  # noqa: S608 - constants only

BACKWARDS = f"""
{_FORGET}
ALTER TABLE projects DROP COLUMN delegate;
{_noting(*_DECLARED)}
"""

ID = "2026-11-24T10:40:00"

forwards = SqlMigration(ID, "Delegation", forwards=FORWARDS, backwards=BACKWARDS).manager
