"""Counts of builds by status, for pages: answered from an index alone, however many builds an evaluation has."""

from fc.tables.migration import SqlMigration

FORWARDS = """
CREATE INDEX idx_builds_evaluation_status ON builds (evaluation_id, status);
"""

BACKWARDS = """
DROP INDEX idx_builds_evaluation_status;
"""

ID = "2026-11-22T08:00:00"

forwards = SqlMigration(ID, "Counts of builds", forwards=FORWARDS, backwards=BACKWARDS).manager
