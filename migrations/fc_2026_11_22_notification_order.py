"""The order of notifications: one message to each target about each subject waits, and they are sent in order.

- ``notification_tasks.subject`` is what a message is about (at a forge: a commit and a context); a newer message
  replaces one that still waits, and while one is sent no other about the same subject is;
- ``notification_tasks.sequence`` orders what was planned, however clocks stand;
- ``notification_tasks.destination`` is the host it goes to, so that a slow one holds up nobody else;
- ``evaluations.notification_pending_since`` flags an evaluation whose status is to be reported, as builds have it.
  A trigger sets it, so that no way of changing the status can forget it.
"""

from fc.tables.migration import SqlMigration

FORWARDS = """
ALTER TABLE notification_tasks
    ADD COLUMN subject TEXT,
    ADD COLUMN destination TEXT NOT NULL DEFAULT '',
    ADD COLUMN sequence BIGSERIAL NOT NULL;
ALTER TABLE evaluations
    ADD COLUMN notification_pending_since TIMESTAMP WITH TIME ZONE;

CREATE UNIQUE INDEX idx_notification_tasks_waiting ON notification_tasks (notification_config_id, subject) WHERE status = 'pending';
CREATE INDEX idx_notification_tasks_subject ON notification_tasks (notification_config_id, subject, sequence DESC);
CREATE INDEX idx_notification_tasks_due ON notification_tasks (destination, next_retry_at) WHERE status = 'pending';
CREATE INDEX idx_notification_tasks_leases ON notification_tasks (lease_until) WHERE status = 'running';
CREATE INDEX idx_notification_tasks_sequence ON notification_tasks (sequence DESC);
CREATE INDEX idx_evaluations_notification_pending ON evaluations (notification_pending_since) WHERE notification_pending_since IS NOT NULL;

CREATE FUNCTION flag_notification () RETURNS trigger AS $$ BEGIN NEW.notification_pending_since = clock_timestamp(); RETURN NEW; END; $$ LANGUAGE plpgsql;
CREATE TRIGGER trg_evaluations_insert_flag BEFORE INSERT ON evaluations FOR EACH ROW EXECUTE FUNCTION flag_notification ();
CREATE TRIGGER trg_evaluations_status_flag BEFORE UPDATE ON evaluations FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION flag_notification ();
"""

BACKWARDS = """
DROP TRIGGER trg_evaluations_status_flag ON evaluations;
DROP TRIGGER trg_evaluations_insert_flag ON evaluations;
DROP FUNCTION flag_notification ();
DROP INDEX idx_evaluations_notification_pending, idx_notification_tasks_sequence, idx_notification_tasks_leases, idx_notification_tasks_due, idx_notification_tasks_subject, idx_notification_tasks_waiting;
ALTER TABLE evaluations DROP COLUMN notification_pending_since;
ALTER TABLE notification_tasks DROP COLUMN sequence, DROP COLUMN destination, DROP COLUMN subject;
"""

ID = "2026-11-22T05:30:00"

forwards = SqlMigration(
    ID,
    "The order of notifications",
    forwards=FORWARDS,
    backwards=BACKWARDS,
).manager
