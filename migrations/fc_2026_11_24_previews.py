"""Pull requests on configuration repositories, previewed, and what is reported to the forges of these repositories.

- ``config_previews`` has one row for each pull request: what it would change if it were merged now;
- a notification task may be about a configuration source, whose target stands in the settings: then ``config_source``
  names it, and no notification of a project does; check runs are a kind of task of their own.
"""

from fc.tables.migration import SqlMigration

FORWARDS = """
-- config_previews: what pull requests on configuration repositories would change
CREATE TABLE config_previews (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    source VARCHAR(255) NOT NULL,
    number INTEGER NOT NULL,
    title TEXT,
    author TEXT,
    url TEXT,
    head_hash VARCHAR(64) NOT NULL,
    base_hash VARCHAR(64),
    base_revision_id UUID REFERENCES config_revisions (id) ON DELETE SET NULL,
    status TEXT NOT NULL DEFAULT 'pending',
    message TEXT,
    plan JSONB NOT NULL DEFAULT '{}',
    errors JSONB NOT NULL DEFAULT '[]',
    failures INTEGER NOT NULL DEFAULT 0,
    requested_at TIMESTAMP WITH TIME ZONE DEFAULT NOW(),
    next_plan_at TIMESTAMP WITH TIME ZONE,
    planned_at TIMESTAMP WITH TIME ZONE,
    claim_token UUID,
    lease_until TIMESTAMP WITH TIME ZONE,
    report_pending_since TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    closed_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT config_previews_source_number_key UNIQUE (source, number),
    CONSTRAINT config_previews_status_check CHECK (status IN ('pending', 'planned', 'held', 'failed', 'closed'))
);
CREATE INDEX idx_config_previews_open ON config_previews (source, number) WHERE status <> 'closed';
CREATE INDEX idx_config_previews_report_pending ON config_previews (report_pending_since) WHERE report_pending_since IS NOT NULL;
CREATE TRIGGER trg_config_previews_notify AFTER INSERT OR UPDATE ON config_previews FOR EACH ROW EXECUTE FUNCTION notify_fc_changed ('fc_config_changed');
CREATE TRIGGER trg_config_previews_report_notify AFTER INSERT OR UPDATE ON config_previews FOR EACH ROW WHEN (NEW.report_pending_since IS NOT NULL) EXECUTE FUNCTION notify_fc_changed ('fc_notifications_pending');

ALTER TABLE notification_tasks ADD COLUMN config_source VARCHAR(255);
CREATE UNIQUE INDEX idx_notification_tasks_source_subject ON notification_tasks (config_source, subject) WHERE status = 'pending' AND config_source IS NOT NULL;
ALTER TABLE notification_tasks DROP CONSTRAINT notification_tasks_notification_type_check;
ALTER TABLE notification_tasks ADD CONSTRAINT notification_tasks_notification_type_check CHECK (notification_type IN ('webhook', 'github_status', 'github_check', 'gitea_status', 'forgejo_status', 'gitlab_status', 'email'));
"""

BACKWARDS = """
DELETE FROM notification_tasks WHERE config_source IS NOT NULL OR notification_type = 'github_check';
ALTER TABLE notification_tasks DROP CONSTRAINT notification_tasks_notification_type_check;
ALTER TABLE notification_tasks ADD CONSTRAINT notification_tasks_notification_type_check CHECK (notification_type IN ('webhook', 'github_status', 'gitea_status', 'forgejo_status', 'gitlab_status', 'email'));
ALTER TABLE notification_tasks DROP COLUMN config_source;
DROP TABLE config_previews;
"""

ID = "2026-11-24T10:30:00"

forwards = SqlMigration(ID, "Previews of configuration", forwards=FORWARDS, backwards=BACKWARDS).manager
