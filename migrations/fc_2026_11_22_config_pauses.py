"""Pauses of configuration: while one lasts, a source is not synchronised.

A pause may end by itself, is ended by a person, or pins the source to an earlier revision that was put back. Pauses
that ended stay as a record of who stopped what, and why.
"""

from fc.tables.migration import SqlMigration

FORWARDS = """
-- config_pauses: when a configuration repository is not to be followed, and why
CREATE TABLE config_pauses (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    source VARCHAR(255) NOT NULL,
    reason TEXT NOT NULL,
    paused_by TEXT NOT NULL,
    paused_until TIMESTAMP WITH TIME ZONE,
    pinned_revision_id UUID REFERENCES config_revisions (id) ON DELETE SET NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    ended_at TIMESTAMP WITH TIME ZONE
);

CREATE UNIQUE INDEX idx_config_pauses_standing ON config_pauses (source) WHERE ended_at IS NULL;
CREATE TRIGGER trg_config_pauses_notify AFTER INSERT OR UPDATE ON config_pauses FOR EACH ROW EXECUTE FUNCTION notify_fc_changed ('fc_config_changed');
"""

BACKWARDS = """
DROP TABLE config_pauses;
"""

ID = "2026-11-22T06:30:00"

forwards = SqlMigration(ID, "Pauses of configuration", forwards=FORWARDS, backwards=BACKWARDS).manager
