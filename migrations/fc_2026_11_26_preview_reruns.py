"""Previews count how often somebody asked for their check to be made again, so that each time gets an answer."""

from fc.tables.migration import SqlMigration

FORWARDS = "ALTER TABLE config_previews ADD COLUMN reruns INTEGER NOT NULL DEFAULT 0;"

BACKWARDS = "ALTER TABLE config_previews DROP COLUMN reruns;"

ID = "2026-11-26T10:00:00"

forwards = SqlMigration(ID, "Checks made again", forwards=FORWARDS, backwards=BACKWARDS).manager
