"""Several configuration repositories, each trusted as far as the settings say.

- a source of a project (``project_id``) is the project's own file of jobsets; the others are those of the settings, and
  ``active`` says whether these name it still;
- ``scope`` is what a source may declare, for readers;
- ``forced_from`` is the commit that was in force when the branch was last moved to one that does not contain it;
- ``synced_commit`` is the newest commit that was found to be in force: what comes after it is new, and the branch must hold it;
- a plan may be ``waiting`` for a sync window, which opens at ``opens_at``;
- revisions name who signed them, and are flagged (``report_pending_since``) until their commit status is planned;
- indexes for pages: all revisions by time, and the resources of a kind whose key begins with a text.
"""

from fc.tables.migration import SqlMigration

FORWARDS = """
ALTER TABLE config_sources
    ADD COLUMN project_id UUID REFERENCES projects (id) ON DELETE CASCADE,
    ADD COLUMN active BOOLEAN NOT NULL DEFAULT true,
    ADD COLUMN scope JSONB NOT NULL DEFAULT '[]',
    ADD COLUMN synced_commit VARCHAR(64),
    ADD COLUMN forced_from VARCHAR(64),
    ADD COLUMN forced_at TIMESTAMP WITH TIME ZONE,
    ADD COLUMN opens_at TIMESTAMP WITH TIME ZONE;
UPDATE config_sources SET synced_commit = last_seen_commit WHERE status = 'synced';
CREATE UNIQUE INDEX idx_config_sources_project ON config_sources (project_id) WHERE project_id IS NOT NULL;
ALTER TABLE config_sources DROP CONSTRAINT config_sources_status_check;
ALTER TABLE config_sources ADD CONSTRAINT config_sources_status_check CHECK (status IN ('pending', 'synced', 'failed', 'held', 'waiting'));
ALTER TABLE config_revisions
    ADD COLUMN signer TEXT,
    ADD COLUMN report_pending_since TIMESTAMP WITH TIME ZONE;
CREATE INDEX idx_config_revisions_created_at ON config_revisions (created_at DESC, id DESC);
CREATE INDEX idx_config_resources_key ON config_resources (kind, key text_pattern_ops);
CREATE INDEX idx_config_resources_source_key ON config_resources (source, kind, key text_pattern_ops);
CREATE INDEX idx_config_revisions_report_pending ON config_revisions (report_pending_since) WHERE report_pending_since IS NOT NULL;
ALTER TABLE config_revisions DROP CONSTRAINT config_revisions_status_check;
ALTER TABLE config_revisions ADD CONSTRAINT config_revisions_status_check CHECK (status IN ('applied', 'failed', 'held', 'waiting'));
CREATE TRIGGER trg_config_revisions_report_notify AFTER INSERT OR UPDATE ON config_revisions FOR EACH ROW WHEN (NEW.report_pending_since IS NOT NULL) EXECUTE FUNCTION notify_fc_changed ('fc_notifications_pending');
"""

BACKWARDS = """
DROP TRIGGER trg_config_revisions_report_notify ON config_revisions;
DROP INDEX idx_config_revisions_created_at;
DROP INDEX idx_config_resources_key;
DROP INDEX idx_config_resources_source_key;
DELETE FROM config_revisions WHERE status = 'waiting';
ALTER TABLE config_revisions DROP CONSTRAINT config_revisions_status_check;
ALTER TABLE config_revisions ADD CONSTRAINT config_revisions_status_check CHECK (status IN ('applied', 'failed', 'held'));
ALTER TABLE config_revisions DROP COLUMN report_pending_since, DROP COLUMN signer;
UPDATE config_sources SET status = 'pending' WHERE status = 'waiting';
ALTER TABLE config_sources DROP CONSTRAINT config_sources_status_check;
ALTER TABLE config_sources ADD CONSTRAINT config_sources_status_check CHECK (status IN ('pending', 'synced', 'failed', 'held'));
ALTER TABLE config_sources
    DROP COLUMN opens_at, DROP COLUMN forced_at, DROP COLUMN forced_from, DROP COLUMN synced_commit, DROP COLUMN scope,
    DROP COLUMN active, DROP COLUMN project_id;
"""

ID = "2026-11-24T10:10:00"

forwards = SqlMigration(ID, "Several configuration sources", forwards=FORWARDS, backwards=BACKWARDS).manager
