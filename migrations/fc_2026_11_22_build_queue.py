"""The build queue: which jobset wants which derivation, which process builds it.

- ``builds.queued_at``: an evaluation inserts builds, the build stage takes them in; this is the flag between the two;
- ``builds.global_priority``: weighs before every jobset's share, while ``priority`` weighs within a jobset;
- ``derivations.worker``: names the process of a claim so exactly that the next process on the same machine knows
  at once whether it lives;
- ``derivation_demands``: what a walk over the graph has found to be needed, and for whom. Scheduling reads it
  instead of walking again.
"""

from fc.tables.migration import SqlMigration

FORWARDS = """
ALTER TABLE builds ADD COLUMN queued_at TIMESTAMP WITH TIME ZONE;
ALTER TABLE builds ADD COLUMN global_priority INTEGER NOT NULL DEFAULT 0;
ALTER TABLE derivations ADD COLUMN worker TEXT;

-- derivation_demands: the unfinished derivations that a jobset needs
CREATE TABLE derivation_demands (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    derivation_id UUID NOT NULL REFERENCES derivations (id) ON DELETE CASCADE,
    jobset_id UUID NOT NULL REFERENCES jobsets (id) ON DELETE CASCADE,
    build_id UUID REFERENCES builds (id) ON DELETE SET NULL,
    global_priority INTEGER NOT NULL DEFAULT 0,
    local_priority INTEGER NOT NULL DEFAULT 0,
    wanted_since TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    UNIQUE (derivation_id, jobset_id)
);

CREATE INDEX idx_derivation_demands_jobset ON derivation_demands (jobset_id);
CREATE INDEX idx_builds_unqueued ON builds (created_at, id) WHERE queued_at IS NULL AND status = 'pending';
CREATE INDEX idx_builds_recent ON builds (created_at DESC, id DESC);
CREATE INDEX idx_build_steps_unfinished ON build_steps (derivation_id) WHERE completed_at IS NULL;

-- The build stage is woken by builds it has to take in, not by every change of one: most are its own doing.
CREATE TRIGGER trg_builds_unqueued_notify AFTER INSERT OR UPDATE ON builds FOR EACH ROW WHEN (NEW.queued_at IS NULL AND NEW.status = 'pending') EXECUTE FUNCTION notify_fc_changed ('fc_derivations_ready');
"""

BACKWARDS = """
DROP TRIGGER trg_builds_unqueued_notify ON builds;
DROP INDEX idx_build_steps_unfinished;
DROP INDEX idx_builds_recent;
DROP INDEX idx_builds_unqueued;
DROP TABLE derivation_demands;
ALTER TABLE derivations DROP COLUMN worker;
ALTER TABLE builds DROP COLUMN global_priority;
ALTER TABLE builds DROP COLUMN queued_at;
"""

ID = "2026-11-22T05:00:00"

forwards = SqlMigration(ID, "The build queue", forwards=FORWARDS, backwards=BACKWARDS).manager
