"""Forges are asked now and then how pull requests that count as open stand: a hook that says so can be lost.

``looked_at`` says when that was last known, so who is asked about next; ``found_closed_at`` hands over what was found.
"""

from fc.tables.migration import SqlMigration

FORWARDS = """
ALTER TABLE config_previews
    ADD COLUMN looked_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    ADD COLUMN found_closed_at TIMESTAMP WITH TIME ZONE;
CREATE INDEX idx_config_previews_looked_at ON config_previews (source, looked_at) WHERE status <> 'closed';
"""

BACKWARDS = "ALTER TABLE config_previews DROP COLUMN looked_at, DROP COLUMN found_closed_at;"

ID = "2026-11-26T10:10:00"

forwards = SqlMigration(ID, "Looking after pull requests", forwards=FORWARDS, backwards=BACKWARDS).manager
