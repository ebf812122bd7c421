"""Rows made by hand that git may take over, because somebody said so (``fcctl adopt``)."""

from fc.tables.migration import SqlMigration

FORWARDS = """
CREATE TABLE config_adoptions (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    kind VARCHAR(50) NOT NULL,
    key TEXT NOT NULL,
    actor TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT now(),
    UNIQUE (kind, key)
);
"""

BACKWARDS = """
DROP TABLE config_adoptions;
"""

ID = "2026-11-22T06:20:00"

forwards = SqlMigration(
    ID,
    "Adoptions",
    forwards=FORWARDS,
    backwards=BACKWARDS,
).manager
