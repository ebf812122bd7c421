"""What a project's repository may declare itself.

What git says of it already, from before the column went, is taken from the inventory.
"""

from fc.tables.migration import SqlMigration

FORWARDS = """
ALTER TABLE projects ADD COLUMN delegate JSONB;
UPDATE projects p SET delegate = c.content -> 'delegate' FROM config_resources c
WHERE c.kind = 'project' AND c.key = p.name AND jsonb_typeof(c.content -> 'delegate') = 'object';
"""

BACKWARDS = """
ALTER TABLE projects DROP COLUMN delegate;
"""

ID = "2026-11-24T10:40:00"

forwards = SqlMigration(ID, "Delegation", forwards=FORWARDS, backwards=BACKWARDS).manager
