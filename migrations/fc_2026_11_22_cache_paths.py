"""What the binary cache serves, decided once when a derivation is built and not at every request.

- ``cache_paths``: the closures of built outputs. Whatever is not in it does not exist for a client; a request for
  one of the many paths of other caches costs one look at an index;
- ``derivations.cached_at``: the ``completed_at`` of the result whose closure is recorded there. The partial index
  holds what is still to be recorded, also after a rebuild;
- an output is looked for by the hash part of its path, which is all that a client sends;
- channels ask whether an evaluation has a build that has not succeeded.
"""

from fc.tables.migration import SqlMigration

FORWARDS = """
-- cache_paths: store paths that the binary cache serves
CREATE TABLE cache_paths (
    hash_part VARCHAR(32) PRIMARY KEY,
    path TEXT NOT NULL,
    deriver TEXT,
    reference_paths TEXT[] NOT NULL DEFAULT '{}',
    nar_hash TEXT NOT NULL,
    nar_size BIGINT NOT NULL,
    content_address TEXT NOT NULL DEFAULT '',
    signatures TEXT[] NOT NULL DEFAULT '{}',
    recorded_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW()
);

ALTER TABLE derivations ADD COLUMN cached_at TIMESTAMP WITH TIME ZONE;

CREATE INDEX idx_derivations_uncached ON derivations (completed_at) WHERE status = 'built' AND (cached_at IS NULL OR cached_at < completed_at);
CREATE INDEX idx_derivation_outputs_hash_part ON derivation_outputs (substr(path, 12, 32));
CREATE INDEX idx_builds_unsuccessful ON builds (evaluation_id) WHERE status <> 'succeeded';
"""

BACKWARDS = """
DROP INDEX idx_builds_unsuccessful, idx_derivation_outputs_hash_part, idx_derivations_uncached;
ALTER TABLE derivations DROP COLUMN cached_at;
DROP TABLE cache_paths;
"""

ID = "2026-11-22T06:00:00"

forwards = SqlMigration(ID, "The paths of the binary cache", forwards=FORWARDS, backwards=BACKWARDS).manager
