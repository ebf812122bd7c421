"""Drift that is remembered: what differs from git, since when, and by whom, as far as the audit trail knows.

Triggers on every table that configuration writes note a change that does not come from a connection of FC's own
(``application_name`` ``fc``): in the audit trail, and as a notice. Only declared columns count, since other stages
write the others all the time. What passes the triggers by (``session_replication_role``, or a session that calls
itself ``fc``) is found by the comparison that comes round.
"""

from fc.tables.migration import SqlMigration

_IN_PROJECT = (
    "SELECT p.name || '/' || ($1 ->> '{name}') FROM projects p WHERE p.id = ($1 ->> 'project_id')::uuid"
)
_KEYS = {
    "input": "SELECT p.name || '/' || j.name || '/' || ($1 ->> 'name') FROM jobsets j "
    "JOIN projects p ON p.id = j.project_id WHERE j.id = ($1 ->> 'jobset_id')::uuid",
    "member": "SELECT p.name || '/' || u.username FROM projects p, users u "
    "WHERE p.id = ($1 ->> 'project_id')::uuid AND u.id = ($1 ->> 'user_id')::uuid",
}
"""The key of a row, given as JSON, where it is neither a column nor the project's name with one."""

_DECLARED = (
    ("user", "users", "username email full_name role enabled public_dashboard"),
    ("role", "roles", "role_id description scopes"),
    (
        "remote_builder",
        "remote_builders",
        (
            "name ssh_uri systems max_jobs speed_factor supported_features mandatory_features enabled public_host_key "
            "ssh_key_file"
        ),
    ),
    ("worker_pool", "worker_pools", "worker_pool_id provider_id owner description email_on_error config"),
    ("api_key", "api_keys", "name key_hash role user_id"),
    ("project", "projects", "name repository_url description enabled"),
    (
        "jobset",
        "jobsets",
        (
            "name project_id nix_expression description enabled flake_mode branch check_interval scheduling_shares state "
            "keep_nr restrict_eval allow_import_from_derivation evaluation_timeout"
        ),
    ),
    ("input", "jobset_inputs", "name jobset_id input_type value revision"),
    ("channel", "channels", "name project_id jobset_id"),
    ("webhook", "webhook_configs", "forge_type project_id secret secret_hash enabled"),
    ("notification", "notification_configs", "name project_id notification_type config enabled"),
    ("member", "project_members", "project_id user_id role"),
)
"""Kind, table and declared columns; the first one is the name."""

TABLES = """
-- config_drift: a resource whose row is not, or was not, as git says
CREATE TABLE config_drift (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    source VARCHAR(255) NOT NULL,
    kind VARCHAR(50) NOT NULL,
    key TEXT NOT NULL,
    file TEXT NOT NULL,
    line INTEGER NOT NULL,
    missing BOOLEAN NOT NULL,
    fields JSONB NOT NULL DEFAULT '[]',
    since TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    actor TEXT,
    seen_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    message TEXT,
    tried_at TIMESTAMP WITH TIME ZONE,
    ended_at TIMESTAMP WITH TIME ZONE,
    outcome TEXT CHECK (outcome IN ('healed', 'gone')),
    CHECK ((ended_at IS NULL) = (outcome IS NULL))
);

CREATE UNIQUE INDEX idx_config_drift_open ON config_drift (kind, key) WHERE ended_at IS NULL;
CREATE INDEX idx_config_drift_ended ON config_drift (ended_at DESC, id DESC) WHERE ended_at IS NOT NULL;
CREATE INDEX idx_config_drift_resource ON config_drift (kind, key, ended_at);
CREATE TRIGGER trg_config_drift_notify AFTER INSERT OR UPDATE ON config_drift FOR EACH ROW EXECUTE FUNCTION notify_fc_changed ('fc_config_changed');

-- config_turns: work of configuration that comes round, and when it was last done
CREATE TABLE config_turns (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    name VARCHAR(50) NOT NULL UNIQUE,
    done_at TIMESTAMP WITH TIME ZONE
);
INSERT INTO config_turns (name) VALUES ('drift'), ('retention');

CREATE INDEX idx_audit_events_sql ON audit_events (kind, key, created_at DESC) WHERE action = 'sql';

CREATE FUNCTION note_hand_write () RETURNS trigger AS $$
DECLARE
    resource TEXT := '*';
    program TEXT := left(current_setting('application_name'), 64);
BEGIN
    IF TG_OP <> 'TRUNCATE' THEN
        EXECUTE TG_ARGV[1] INTO resource USING to_jsonb(OLD);
    END IF;
    -- What goes with what contains it has no whole key any more; that one is noted.
    IF resource IS NOT NULL THEN
        INSERT INTO audit_events (actor, action, kind, key, details, created_at) VALUES (
            'sql:' || session_user || CASE WHEN program <> '' THEN ' (' || program || ')' ELSE '' END,
            'sql', TG_ARGV[0], resource, jsonb_build_object('statement', lower(TG_OP)), clock_timestamp()
        );
    END IF;
    PERFORM pg_notify('fc_hand_writes', '');
    RETURN NULL;
END;
$$ LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp;
"""

_BY_HAND = "current_setting('application_name') <> 'fc'"


def _key(kind: str, columns: list[str]) -> str:
    if kind in _KEYS:
        return _KEYS[kind]
    if "project_id" in columns:
        return _IN_PROJECT.format(name=columns[0])
    return f"SELECT $1 ->> '{columns[0]}'"


def _triggers(kind: str, table: str, columns: list[str]) -> str:
    key = _key(kind, columns).replace("'", "''")
    old, new = (", ".join(f"{row}.{column}" for column in columns) for row in ("OLD", "NEW"))
    call = f"EXECUTE FUNCTION note_hand_write ('{kind}', '{key}')"
    return f"""
CREATE TRIGGER trg_{table}_hand_update AFTER UPDATE OF {", ".join(columns)} ON {table} FOR EACH ROW WHEN ({_BY_HAND} AND ({old}) IS DISTINCT FROM ({new})) {call};
CREATE TRIGGER trg_{table}_hand_delete AFTER DELETE ON {table} FOR EACH ROW WHEN ({_BY_HAND}) {call};
CREATE TRIGGER trg_{table}_hand_truncate AFTER TRUNCATE ON {table} FOR EACH STATEMENT WHEN ({_BY_HAND}) {call};
"""


FORWARDS = TABLES + "".join(_triggers(kind, table, columns.split()) for kind, table, columns in _DECLARED)

BACKWARDS = (
    "".join(
        f"DROP TRIGGER trg_{table}_hand_{what} ON {table};\n"
        for _, table, _ in _DECLARED
        for what in ("update", "delete", "truncate")
    )
    + """
DROP FUNCTION note_hand_write ();
DROP INDEX idx_audit_events_sql;
DROP TABLE config_turns;
DROP TABLE config_drift;
"""
)

ID = "2026-11-24T10:20:00"

forwards = SqlMigration(
    ID, "Drift that is remembered, and writes by hand", forwards=FORWARDS, backwards=BACKWARDS
).manager
