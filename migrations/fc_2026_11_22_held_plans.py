"""Plans that remove much are held until somebody confirms them, and changes know more actions.

- ``config_sources.held`` is the plan that waits: its digest, its commit, and why;
- ``config_sources.confirmed_digest`` is the plan somebody said yes to: that one is applied, no other;
- a revision may be ``held``, a change may be ``rename`` or ``adopt``.
"""

from fc.tables.migration import SqlMigration

FORWARDS = """
ALTER TABLE config_sources
    ADD COLUMN held JSONB,
    ADD COLUMN confirmed_digest VARCHAR(64);
ALTER TABLE config_sources DROP CONSTRAINT config_sources_status_check;
ALTER TABLE config_sources ADD CONSTRAINT config_sources_status_check CHECK (status IN ('pending', 'synced', 'failed', 'held'));
ALTER TABLE config_revisions DROP CONSTRAINT config_revisions_status_check;
ALTER TABLE config_revisions ADD CONSTRAINT config_revisions_status_check CHECK (status IN ('applied', 'failed', 'held'));
ALTER TABLE config_changes DROP CONSTRAINT config_changes_action_check;
ALTER TABLE config_changes ADD CONSTRAINT config_changes_action_check CHECK (action IN ('create', 'update', 'delete', 'rename', 'adopt'));
"""

BACKWARDS = """
DELETE FROM config_changes WHERE action IN ('rename', 'adopt');
ALTER TABLE config_changes DROP CONSTRAINT config_changes_action_check;
ALTER TABLE config_changes ADD CONSTRAINT config_changes_action_check CHECK (action IN ('create', 'update', 'delete'));
DELETE FROM config_revisions WHERE status = 'held';
ALTER TABLE config_revisions DROP CONSTRAINT config_revisions_status_check;
ALTER TABLE config_revisions ADD CONSTRAINT config_revisions_status_check CHECK (status IN ('applied', 'failed'));
UPDATE config_sources SET status = 'pending' WHERE status = 'held';
ALTER TABLE config_sources DROP CONSTRAINT config_sources_status_check;
ALTER TABLE config_sources ADD CONSTRAINT config_sources_status_check CHECK (status IN ('pending', 'synced', 'failed'));
ALTER TABLE config_sources DROP COLUMN confirmed_digest, DROP COLUMN held;
"""

ID = "2026-11-22T06:10:00"

forwards = SqlMigration(
    ID,
    "Held plans",
    forwards=FORWARDS,
    backwards=BACKWARDS,
).manager
