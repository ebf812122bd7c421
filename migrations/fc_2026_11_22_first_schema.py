"""The first schema: projects to notification tasks, the build graph, configuration, worker pools.

Where it differs from the schema it implements, on purpose:

- commit hashes hold 64 characters (SHA-256 repositories);
- ``evaluations`` is unique on (jobset, commit, inputs hash), so a changed expression or input is
  evaluated at the same commit; ``inputs_hash`` is never null, or the constraint would not bind;
- evaluations also end as cancelled or timed_out;
- ``builds.builder_id`` and ``channels.current_evaluation_id`` are set to null when what they name goes,
  instead of blocking its deletion;
- a project may have several notification targets of one kind: they are told apart by name;
- ``notification_tasks`` knows forgejo_status;
- ``api_keys.name`` is unique: configuration names keys by it;
- ``active_jobsets`` respects ``enabled``; ``build_stats`` counts pending builds too;
- UUIDs come from gen_random_uuid(), which is part of PostgreSQL, not from the uuid-ossp extension.

Columns with a claim token and a lease are how stages claim rows.
"""

from fc.tables.migration import SqlMigration

TABLES = """
-- projects: stores repository configurations
CREATE TABLE projects (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    name VARCHAR(255) NOT NULL UNIQUE,
    description TEXT,
    repository_url TEXT NOT NULL,
    enabled BOOLEAN NOT NULL DEFAULT true,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW()
);

-- users: accounts for authentication and personalization
CREATE TABLE users (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    username VARCHAR(255) NOT NULL UNIQUE,
    email VARCHAR(255) NOT NULL UNIQUE,
    full_name VARCHAR(255),
    password_hash VARCHAR(255),
    user_type VARCHAR(50) NOT NULL DEFAULT 'local',
    role VARCHAR(50) NOT NULL DEFAULT 'read-only',
    enabled BOOLEAN NOT NULL DEFAULT true,
    email_verified BOOLEAN NOT NULL DEFAULT false,
    public_dashboard BOOLEAN NOT NULL DEFAULT false,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    last_login_at TIMESTAMP WITH TIME ZONE
);

-- remote_builders: multi-machine / multi-arch build agents
CREATE TABLE remote_builders (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    name VARCHAR(255) NOT NULL UNIQUE,
    ssh_uri TEXT NOT NULL,
    systems TEXT[] NOT NULL DEFAULT '{}',
    max_jobs INTEGER NOT NULL DEFAULT 1,
    speed_factor INTEGER NOT NULL DEFAULT 1,
    supported_features TEXT[] NOT NULL DEFAULT '{}',
    mandatory_features TEXT[] NOT NULL DEFAULT '{}',
    enabled BOOLEAN NOT NULL DEFAULT true,
    public_host_key TEXT,
    ssh_key_file TEXT,
    consecutive_failures INTEGER NOT NULL DEFAULT 0,
    disabled_until TIMESTAMP WITH TIME ZONE,
    last_failure TIMESTAMP WITH TIME ZONE,
    last_error TEXT,
    last_seen_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW()
);

-- jobsets: build configurations for each project
CREATE TABLE jobsets (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    project_id UUID NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name VARCHAR(255) NOT NULL,
    nix_expression TEXT NOT NULL,
    enabled BOOLEAN NOT NULL DEFAULT true,
    flake_mode BOOLEAN NOT NULL DEFAULT true,
    check_interval INTEGER NOT NULL DEFAULT 60,
    branch VARCHAR(255),
    scheduling_shares INTEGER NOT NULL DEFAULT 100,
    state VARCHAR(50) NOT NULL DEFAULT 'enabled' CHECK ( state IN ( 'disabled', 'enabled', 'one_shot', 'one_at_a_time' ) ),
    last_checked_at TIMESTAMP WITH TIME ZONE,
    keep_nr INTEGER NOT NULL DEFAULT 3,
    description TEXT,
    restrict_eval BOOLEAN NOT NULL DEFAULT true,
    allow_import_from_derivation BOOLEAN NOT NULL DEFAULT false,
    evaluation_timeout INTEGER NOT NULL DEFAULT 600 CHECK (evaluation_timeout > 0),
    check_requested_at TIMESTAMP WITH TIME ZONE,
    next_check_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    check_failures INTEGER NOT NULL DEFAULT 0,
    last_error TEXT,
    last_commit VARCHAR(64),
    claim_token UUID,
    lease_until TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    UNIQUE (project_id, name)
);

-- api_keys: authentication tokens with role-based access control
CREATE TABLE api_keys (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    name VARCHAR(255) NOT NULL UNIQUE,
    key_hash VARCHAR(128) NOT NULL UNIQUE,
    role VARCHAR(50) NOT NULL DEFAULT 'read-only' CHECK ( role IN ( 'admin', 'create-projects', 'restart-jobs', 'cancel-build', 'bump-to-front', 'eval-jobset', 'read-only' ) ),
    user_id UUID REFERENCES users (id) ON DELETE SET NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    last_used_at TIMESTAMP WITH TIME ZONE
);

-- evaluations: Nix evaluation results for each jobset commit
CREATE TABLE evaluations (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    jobset_id UUID NOT NULL REFERENCES jobsets (id) ON DELETE CASCADE,
    commit_hash VARCHAR(64) NOT NULL,
    evaluation_time TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    status TEXT NOT NULL CHECK ( status IN ('pending', 'running', 'completed', 'failed', 'cancelled', 'timed_out') ),
    error_message TEXT,
    inputs_hash VARCHAR(128) NOT NULL DEFAULT '',
    pr_number INTEGER,
    pr_head_branch TEXT,
    pr_base_branch TEXT,
    pr_action TEXT,
    cause TEXT NOT NULL DEFAULT 'poll' CHECK ( cause IN ('poll', 'push', 'pull_request', 'input', 'configuration', 'manual') ),
    commit_subject TEXT,
    commit_author TEXT,
    committed_at TIMESTAMP WITH TIME ZONE,
    inputs JSONB NOT NULL DEFAULT '{}',
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    claim_token UUID,
    lease_until TIMESTAMP WITH TIME ZONE,
    started_at TIMESTAMP WITH TIME ZONE,
    completed_at TIMESTAMP WITH TIME ZONE,
    UNIQUE (jobset_id, commit_hash, inputs_hash)
);

-- evaluation_errors: what went wrong with single jobs of an evaluation
CREATE TABLE evaluation_errors (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    evaluation_id UUID NOT NULL REFERENCES evaluations (id) ON DELETE CASCADE,
    job_name TEXT NOT NULL,
    message TEXT NOT NULL,
    UNIQUE (evaluation_id, job_name)
);

-- derivations: one row for each .drv that a build wants or needs, however many builds share it
CREATE TABLE derivations (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    drv_path TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    system VARCHAR(50) NOT NULL,
    required_features TEXT[] NOT NULL DEFAULT '{}',
    prefer_local BOOLEAN NOT NULL DEFAULT false,
    fixed_output BOOLEAN NOT NULL DEFAULT false,
    timeout INTEGER,
    max_silent INTEGER,
    status TEXT NOT NULL DEFAULT 'pending' CHECK ( status IN ( 'pending', 'ready', 'running', 'built', 'failed', 'dependency_failed', 'aborted', 'cancelled', 'failed_with_output', 'timeout', 'cached_failure', 'unsupported_system', 'log_limit_exceeded', 'nar_size_limit_exceeded', 'non_deterministic' ) ),
    missing_inputs INTEGER NOT NULL DEFAULT 0 CHECK (missing_inputs >= 0),
    path_length INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    next_attempt_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    claim_token UUID,
    lease_until TIMESTAMP WITH TIME ZONE,
    builder_id UUID REFERENCES remote_builders (id) ON DELETE SET NULL,
    builder_name TEXT,
    error_message TEXT,
    log_path TEXT,
    started_at TIMESTAMP WITH TIME ZONE,
    completed_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW()
);

-- derivation_inputs: the edges of the build graph
CREATE TABLE derivation_inputs (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    derivation_id UUID NOT NULL REFERENCES derivations (id) ON DELETE CASCADE,
    input_id UUID NOT NULL REFERENCES derivations (id) ON DELETE CASCADE,
    UNIQUE (derivation_id, input_id)
);

-- derivation_outputs: the store paths a derivation makes
CREATE TABLE derivation_outputs (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    derivation_id UUID NOT NULL REFERENCES derivations (id) ON DELETE CASCADE,
    name VARCHAR(255) NOT NULL,
    path TEXT,
    nar_hash TEXT,
    nar_size BIGINT,
    UNIQUE (derivation_id, name)
);

-- builds: individual build jobs
CREATE TABLE builds (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    evaluation_id UUID NOT NULL REFERENCES evaluations (id) ON DELETE CASCADE,
    job_name VARCHAR(255) NOT NULL,
    drv_path TEXT NOT NULL,
    status TEXT NOT NULL CHECK ( status IN ( 'pending', 'running', 'succeeded', 'failed', 'dependency_failed', 'aborted', 'cancelled', 'failed_with_output', 'timeout', 'cached_failure', 'unsupported_system', 'log_limit_exceeded', 'nar_size_limit_exceeded', 'non_deterministic' ) ),
    started_at TIMESTAMP WITH TIME ZONE,
    completed_at TIMESTAMP WITH TIME ZONE,
    log_path TEXT,
    build_output_path TEXT,
    error_message TEXT,
    priority INTEGER NOT NULL DEFAULT 0,
    retry_count INTEGER NOT NULL DEFAULT 0,
    max_retries INTEGER NOT NULL DEFAULT 3,
    notification_pending_since TIMESTAMP WITH TIME ZONE,
    log_url TEXT,
    outputs JSONB,
    is_aggregate BOOLEAN NOT NULL DEFAULT false,
    constituents JSONB,
    builder_id UUID REFERENCES remote_builders (id) ON DELETE SET NULL,
    signed BOOLEAN NOT NULL DEFAULT false,
    system VARCHAR(50),
    keep BOOLEAN NOT NULL DEFAULT false,
    derivation_id UUID REFERENCES derivations (id) ON DELETE SET NULL,
    meta JSONB NOT NULL DEFAULT '{}',
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    UNIQUE (evaluation_id, job_name)
);

-- build_products: output artifacts and metadata
CREATE TABLE build_products (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    build_id UUID NOT NULL REFERENCES builds (id) ON DELETE CASCADE,
    name VARCHAR(255) NOT NULL,
    path TEXT NOT NULL,
    sha256_hash VARCHAR(64),
    file_size BIGINT,
    content_type VARCHAR(100),
    is_directory BOOLEAN NOT NULL DEFAULT false,
    gc_root_path TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW()
);

-- build_steps: detailed build execution logs and timing
CREATE TABLE build_steps (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    build_id UUID NOT NULL REFERENCES builds (id) ON DELETE CASCADE,
    step_number INTEGER NOT NULL,
    command TEXT NOT NULL,
    output TEXT,
    error_output TEXT,
    started_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    completed_at TIMESTAMP WITH TIME ZONE,
    exit_code INTEGER,
    derivation_id UUID REFERENCES derivations (id) ON DELETE SET NULL,
    builder_id UUID REFERENCES remote_builders (id) ON DELETE SET NULL,
    builder_name TEXT,
    status TEXT,
    log_path TEXT,
    UNIQUE (build_id, step_number)
);

-- build_dependencies: tracks inter-build dependency relationships
CREATE TABLE build_dependencies (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    build_id UUID NOT NULL REFERENCES builds (id) ON DELETE CASCADE,
    dependency_build_id UUID NOT NULL REFERENCES builds (id) ON DELETE CASCADE,
    UNIQUE (build_id, dependency_build_id)
);

-- webhook_configs: incoming push event configuration per project
CREATE TABLE webhook_configs (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    project_id UUID NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    forge_type VARCHAR(50) NOT NULL CHECK ( forge_type IN ('github', 'gitea', 'forgejo', 'gitlab') ),
    secret_hash VARCHAR(128),
    secret JSONB,
    enabled BOOLEAN NOT NULL DEFAULT true,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    UNIQUE (project_id, forge_type)
);

-- notification_configs: outgoing notification configuration per project
CREATE TABLE notification_configs (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    project_id UUID NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    notification_type VARCHAR(50) NOT NULL CHECK ( notification_type IN ( 'github_status', 'gitea_status', 'forgejo_status', 'gitlab_status', 'webhook', 'email' ) ),
    config JSONB NOT NULL DEFAULT '{}',
    enabled BOOLEAN NOT NULL DEFAULT true,
    name VARCHAR(255) NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    UNIQUE (project_id, name)
);

-- jobset_inputs: parameterized inputs for jobsets
CREATE TABLE jobset_inputs (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    jobset_id UUID NOT NULL REFERENCES jobsets (id) ON DELETE CASCADE,
    name VARCHAR(255) NOT NULL,
    input_type VARCHAR(50) NOT NULL CHECK ( input_type IN ('git', 'string', 'boolean', 'path', 'build') ),
    value TEXT NOT NULL,
    revision TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    UNIQUE (jobset_id, name)
);

-- channels: release management, tracks the latest good evaluation per jobset
CREATE TABLE channels (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    project_id UUID NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    name VARCHAR(255) NOT NULL,
    jobset_id UUID NOT NULL REFERENCES jobsets (id) ON DELETE CASCADE,
    current_evaluation_id UUID REFERENCES evaluations (id) ON DELETE SET NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    UNIQUE (project_id, name)
);

-- starred_jobs: personalized dashboard bookmarks per user
CREATE TABLE starred_jobs (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    project_id UUID NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    jobset_id UUID REFERENCES jobsets (id) ON DELETE CASCADE,
    job_name VARCHAR(255) NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    UNIQUE (user_id, project_id, jobset_id, job_name)
);

-- user_sessions: persistent authentication tokens
CREATE TABLE user_sessions (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    session_token_hash VARCHAR(255) NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    last_used_at TIMESTAMP WITH TIME ZONE
);

-- project_members: per-project permission assignments
CREATE TABLE project_members (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    project_id UUID NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    user_id UUID NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role VARCHAR(50) NOT NULL DEFAULT 'member',
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    UNIQUE (project_id, user_id)
);

-- build_metrics: timing, size, and performance metrics per build
CREATE TABLE build_metrics (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    build_id UUID NOT NULL REFERENCES builds (id) ON DELETE CASCADE,
    metric_name VARCHAR(100) NOT NULL,
    metric_value DOUBLE PRECISION NOT NULL,
    unit VARCHAR(50) NOT NULL,
    collected_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    UNIQUE (build_id, metric_name)
);

-- failed_paths_cache: prevents rebuilding known-failing derivations
CREATE TABLE failed_paths_cache (
    drv_path TEXT PRIMARY KEY,
    source_build_id UUID,
    failure_status TEXT,
    failed_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW()
);

-- notification_tasks: persistent notification retry queue

-- Stores notification delivery tasks with automatic retry and exponential backoff
CREATE TABLE notification_tasks (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    notification_type VARCHAR(50) NOT NULL CHECK ( notification_type IN ( 'webhook', 'github_status', 'gitea_status', 'forgejo_status', 'gitlab_status', 'email' ) ),
    payload JSONB NOT NULL,
    status VARCHAR(20) NOT NULL DEFAULT 'pending' CHECK ( status IN ('pending', 'running', 'completed', 'failed') ),
    attempts INTEGER NOT NULL DEFAULT 0,
    max_attempts INTEGER NOT NULL DEFAULT 5,
    next_retry_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    last_error TEXT,
    notification_config_id UUID REFERENCES notification_configs (id) ON DELETE SET NULL,
    build_id UUID REFERENCES builds (id) ON DELETE CASCADE,
    evaluation_id UUID REFERENCES evaluations (id) ON DELETE CASCADE,
    claim_token UUID,
    lease_until TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    completed_at TIMESTAMP WITH TIME ZONE
);

-- roles, worker_pools, workers, worker_pool_errors: Taskcluster's tables. Piccolo knows no composite
-- primary key, so each has a surrogate id and its original key as a unique constraint.
CREATE TABLE roles (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    role_id TEXT NOT NULL UNIQUE,
    scopes JSONB NOT NULL,
    created TIMESTAMP WITH TIME ZONE NOT NULL,
    description TEXT NOT NULL,
    last_modified TIMESTAMP WITH TIME ZONE NOT NULL,
    etag UUID NOT NULL
);

CREATE TABLE worker_pools (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    worker_pool_id TEXT NOT NULL UNIQUE,
    provider_id TEXT NOT NULL,
    owner TEXT NOT NULL,
    description TEXT NOT NULL,
    email_on_error BOOLEAN NOT NULL,
    created TIMESTAMP WITH TIME ZONE NOT NULL,
    last_modified TIMESTAMP WITH TIME ZONE NOT NULL,
    config JSONB NOT NULL,
    provider_data JSONB NOT NULL,
    previous_provider_ids JSONB NOT NULL,
    etag UUID NOT NULL DEFAULT gen_random_uuid()
);

CREATE TABLE workers (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    worker_pool_id TEXT NOT NULL,
    worker_group TEXT NOT NULL,
    worker_id TEXT NOT NULL,
    provider_id TEXT NOT NULL,
    created TIMESTAMP WITH TIME ZONE NOT NULL,
    expires TIMESTAMP WITH TIME ZONE NOT NULL,
    state TEXT NOT NULL,
    provider_data JSONB NOT NULL,
    capacity INTEGER NOT NULL,
    last_modified TIMESTAMP WITH TIME ZONE NOT NULL,
    last_checked TIMESTAMP WITH TIME ZONE NOT NULL,
    etag UUID NOT NULL DEFAULT gen_random_uuid(),
    secret JSONB,
    UNIQUE (worker_pool_id, worker_group, worker_id)
);

CREATE TABLE worker_pool_errors (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    error_id TEXT NOT NULL UNIQUE,
    worker_pool_id TEXT NOT NULL,
    reported TIMESTAMP WITH TIME ZONE NOT NULL,
    kind TEXT NOT NULL,
    title TEXT NOT NULL,
    description TEXT NOT NULL,
    extra JSONB,
    etag UUID NOT NULL DEFAULT gen_random_uuid()
);

-- config_sources: the configuration repositories and how their last synchronisation went
CREATE TABLE config_sources (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    name VARCHAR(255) NOT NULL UNIQUE,
    url TEXT NOT NULL,
    branch VARCHAR(255) NOT NULL,
    path TEXT NOT NULL DEFAULT '.',
    status TEXT NOT NULL DEFAULT 'pending' CHECK ( status IN ('pending', 'synced', 'failed') ),
    error_message TEXT,
    errors JSONB NOT NULL DEFAULT '[]',
    failures INTEGER NOT NULL DEFAULT 0,
    last_seen_commit VARCHAR(64),
    last_synced_at TIMESTAMP WITH TIME ZONE,
    sync_requested_at TIMESTAMP WITH TIME ZONE,
    next_sync_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    claim_token UUID,
    lease_until TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW()
);

-- config_revisions: every commit of a configuration repository that was tried, and its result
CREATE TABLE config_revisions (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    source VARCHAR(255) NOT NULL,
    commit_hash VARCHAR(64),
    author TEXT,
    subject TEXT,
    committed_at TIMESTAMP WITH TIME ZONE,
    status TEXT NOT NULL CHECK ( status IN ('applied', 'failed') ),
    plan JSONB NOT NULL DEFAULT '{}',
    errors JSONB NOT NULL DEFAULT '[]',
    duration_seconds DOUBLE PRECISION NOT NULL DEFAULT 0,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW()
);

-- config_changes: every change that configuration has ever made
CREATE TABLE config_changes (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    revision_id UUID NOT NULL REFERENCES config_revisions (id) ON DELETE CASCADE,
    kind VARCHAR(50) NOT NULL,
    key TEXT NOT NULL,
    action TEXT NOT NULL CHECK ( action IN ('create', 'update', 'delete') ),
    before JSONB,
    after JSONB,
    file TEXT,
    line INTEGER,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW()
);

-- config_resources: the inventory; which file and line owns which row
CREATE TABLE config_resources (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    source VARCHAR(255) NOT NULL,
    kind VARCHAR(50) NOT NULL,
    key TEXT NOT NULL,
    content JSONB NOT NULL,
    content_hash VARCHAR(128) NOT NULL,
    file TEXT NOT NULL,
    line INTEGER NOT NULL,
    revision_id UUID REFERENCES config_revisions (id) ON DELETE SET NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW(),
    UNIQUE (kind, key)
);

-- webhook_deliveries: every incoming webhook, for deduplication and as a log
CREATE TABLE webhook_deliveries (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    forge_type VARCHAR(50) NOT NULL CHECK ( forge_type IN ('github', 'gitea', 'forgejo', 'gitlab') ),
    target TEXT NOT NULL,
    delivery_id TEXT NOT NULL,
    event TEXT NOT NULL,
    status TEXT NOT NULL CHECK ( status IN ('accepted', 'ignored', 'refused') ),
    detail TEXT,
    received_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW()
);

-- audit_events: who did what through the API or the command line
CREATE TABLE audit_events (
    id UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    kind VARCHAR(50) NOT NULL,
    key TEXT NOT NULL,
    details JSONB NOT NULL DEFAULT '{}',
    created_at TIMESTAMP WITH TIME ZONE NOT NULL DEFAULT NOW()
);
"""

INDEXES = """
-- Indexes: projects
CREATE INDEX idx_projects_name ON projects (name);
CREATE INDEX idx_projects_created_at ON projects (created_at);

-- Indexes: users
CREATE INDEX idx_users_username ON users (username);
CREATE INDEX idx_users_email ON users (email);
CREATE INDEX idx_users_role ON users (role);
CREATE INDEX idx_users_enabled ON users (enabled);

-- Indexes: remote_builders
CREATE INDEX idx_remote_builders_enabled ON remote_builders (enabled) WHERE enabled = true;

-- Indexes: jobsets
CREATE INDEX idx_jobsets_project_id ON jobsets (project_id);
CREATE INDEX idx_jobsets_enabled ON jobsets (enabled);
CREATE INDEX idx_jobsets_name ON jobsets (name);
CREATE INDEX idx_jobsets_state ON jobsets (state);
CREATE INDEX idx_jobsets_last_checked_at ON jobsets (last_checked_at);

-- Indexes: api_keys
CREATE INDEX idx_api_keys_key_hash ON api_keys (key_hash);
CREATE INDEX idx_api_keys_user_id ON api_keys (user_id);

-- Indexes: evaluations
CREATE INDEX idx_evaluations_jobset_id ON evaluations (jobset_id);
CREATE INDEX idx_evaluations_commit_hash ON evaluations (commit_hash);
CREATE INDEX idx_evaluations_status ON evaluations (status);
CREATE INDEX idx_evaluations_evaluation_time ON evaluations (evaluation_time);
CREATE INDEX idx_evaluations_inputs_hash ON evaluations (jobset_id, inputs_hash);
CREATE INDEX idx_evaluations_pr ON evaluations (jobset_id, pr_number) WHERE pr_number IS NOT NULL;

-- Indexes: builds
CREATE INDEX idx_builds_evaluation_id ON builds (evaluation_id);
CREATE INDEX idx_builds_status ON builds (status);
CREATE INDEX idx_builds_job_name ON builds (job_name);
CREATE INDEX idx_builds_started_at ON builds (started_at);
CREATE INDEX idx_builds_completed_at ON builds (completed_at);
CREATE INDEX idx_builds_priority ON builds (priority DESC, created_at ASC);
CREATE INDEX idx_builds_notification_pending ON builds (notification_pending_since) WHERE notification_pending_since IS NOT NULL;
CREATE INDEX idx_builds_drv_path ON builds (drv_path);
CREATE INDEX idx_builds_builder ON builds (builder_id) WHERE builder_id IS NOT NULL;
CREATE INDEX idx_builds_system ON builds (system) WHERE system IS NOT NULL;
CREATE INDEX idx_builds_pending_priority ON builds (status, priority DESC, created_at ASC) WHERE status = 'pending';
CREATE INDEX idx_builds_drv_completed ON builds (drv_path) WHERE status = 'succeeded';

-- Indexes: build_products
CREATE INDEX idx_build_products_build_id ON build_products (build_id);
CREATE INDEX idx_build_products_name ON build_products (name);
CREATE INDEX idx_build_products_path_prefix ON build_products (path text_pattern_ops);

-- Indexes: build_steps
CREATE INDEX idx_build_steps_build_id ON build_steps (build_id);
CREATE INDEX idx_build_steps_started_at ON build_steps (started_at);

-- Indexes: build_dependencies
CREATE INDEX idx_build_deps_build ON build_dependencies (build_id);
CREATE INDEX idx_build_deps_dep ON build_dependencies (dependency_build_id);

-- Indexes: webhook/notification/jobset_inputs/channels
CREATE INDEX idx_webhook_configs_project ON webhook_configs (project_id);
CREATE INDEX idx_notification_configs_project ON notification_configs (project_id);
CREATE INDEX idx_jobset_inputs_jobset ON jobset_inputs (jobset_id);
CREATE INDEX idx_channels_project ON channels (project_id);
CREATE INDEX idx_channels_jobset ON channels (jobset_id);

-- Indexes: users/sessions/members
CREATE INDEX idx_starred_jobs_user_id ON starred_jobs (user_id);
CREATE INDEX idx_starred_jobs_project_id ON starred_jobs (project_id);
CREATE INDEX idx_user_sessions_token ON user_sessions (session_token_hash);
CREATE INDEX idx_user_sessions_user_id ON user_sessions (user_id);
CREATE INDEX idx_user_sessions_expires ON user_sessions (expires_at);
CREATE INDEX idx_project_members_project_id ON project_members (project_id);
CREATE INDEX idx_project_members_user_id ON project_members (user_id);

-- Indexes: build_metrics / failed_paths_cache
CREATE INDEX idx_build_metrics_build_id ON build_metrics (build_id);
CREATE INDEX idx_build_metrics_collected_at ON build_metrics (collected_at);
CREATE INDEX idx_build_metrics_name ON build_metrics (metric_name);
CREATE INDEX idx_failed_paths_cache_failed_at ON failed_paths_cache (failed_at);

-- Indexes: notification_tasks
CREATE INDEX idx_notification_tasks_status_next_retry ON notification_tasks ( status, next_retry_at ) WHERE status IN ('pending', 'running');
CREATE INDEX idx_notification_tasks_created_at ON notification_tasks (created_at);

-- Indexes: what the loops claim
CREATE INDEX idx_jobsets_next_check ON jobsets (next_check_at) WHERE enabled;
CREATE INDEX idx_evaluations_waiting ON evaluations (next_attempt_at) WHERE status IN ('pending', 'running');
CREATE INDEX idx_derivations_ready ON derivations (next_attempt_at) WHERE status = 'ready';
CREATE INDEX idx_derivations_running ON derivations (lease_until) WHERE status = 'running';
CREATE INDEX idx_derivation_inputs_input ON derivation_inputs (input_id);
CREATE INDEX idx_derivation_outputs_path ON derivation_outputs (path);
CREATE INDEX idx_builds_derivation ON builds (derivation_id) WHERE derivation_id IS NOT NULL;
CREATE INDEX idx_builds_unfinished ON builds (derivation_id) WHERE status IN ('pending', 'running');
CREATE INDEX idx_build_steps_derivation ON build_steps (derivation_id) WHERE derivation_id IS NOT NULL;
CREATE INDEX idx_evaluations_jobset_time ON evaluations (jobset_id, evaluation_time DESC);
CREATE INDEX idx_notification_tasks_build ON notification_tasks (build_id) WHERE build_id IS NOT NULL;
CREATE INDEX idx_notification_tasks_evaluation ON notification_tasks (evaluation_id) WHERE evaluation_id IS NOT NULL;

-- Indexes: configuration, deliveries, audit
CREATE INDEX idx_config_revisions_source ON config_revisions (source, created_at DESC);
CREATE INDEX idx_config_changes_revision ON config_changes (revision_id);
CREATE INDEX idx_config_changes_resource ON config_changes (kind, key, created_at DESC);
CREATE INDEX idx_config_resources_source ON config_resources (source);
CREATE UNIQUE INDEX idx_webhook_deliveries_once ON webhook_deliveries (forge_type, target, delivery_id) WHERE status <> 'refused';
CREATE INDEX idx_webhook_deliveries_received_at ON webhook_deliveries (received_at);
CREATE INDEX idx_audit_events_created_at ON audit_events (created_at);
CREATE INDEX idx_audit_events_resource ON audit_events (kind, key, created_at DESC);
CREATE INDEX worker_pool_errors_reported_idx ON worker_pool_errors USING btree (reported);
"""

TRIGGERS = """
-- Trigger function: auto-update updated_at on mutation
CREATE OR REPLACE FUNCTION update_updated_at_column () RETURNS TRIGGER AS $$ BEGIN NEW.updated_at = NOW(); RETURN NEW; END; $$ LANGUAGE plpgsql;
CREATE TRIGGER update_projects_updated_at BEFORE UPDATE ON projects FOR EACH ROW EXECUTE FUNCTION update_updated_at_column ();
CREATE TRIGGER update_jobsets_updated_at BEFORE UPDATE ON jobsets FOR EACH ROW EXECUTE FUNCTION update_updated_at_column ();
CREATE TRIGGER update_users_updated_at BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION update_updated_at_column ();

-- Trigger functions: LISTEN/NOTIFY for event-driven daemon wakeup
CREATE OR REPLACE FUNCTION notify_builds_changed () RETURNS trigger AS $$ BEGIN PERFORM pg_notify('fc_builds_changed', json_build_object( 'op', TG_OP, 'table', TG_TABLE_NAME )::text); RETURN NULL; END; $$ LANGUAGE plpgsql;
CREATE OR REPLACE FUNCTION notify_jobsets_changed () RETURNS trigger AS $$ BEGIN PERFORM pg_notify('fc_jobsets_changed', json_build_object( 'op', TG_OP, 'table', TG_TABLE_NAME )::text); RETURN NULL; END; $$ LANGUAGE plpgsql;
CREATE TRIGGER trg_builds_insert_notify AFTER INSERT ON builds FOR EACH ROW EXECUTE FUNCTION notify_builds_changed ();
CREATE TRIGGER trg_builds_status_notify AFTER UPDATE ON builds FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION notify_builds_changed ();
CREATE TRIGGER trg_jobsets_insert_notify AFTER INSERT ON jobsets FOR EACH ROW EXECUTE FUNCTION notify_jobsets_changed ();
CREATE TRIGGER trg_jobsets_update_notify AFTER UPDATE ON jobsets FOR EACH ROW WHEN ( OLD.enabled IS DISTINCT FROM NEW.enabled OR OLD.state IS DISTINCT FROM NEW.state OR OLD.nix_expression IS DISTINCT FROM NEW.nix_expression OR OLD.check_interval IS DISTINCT FROM NEW.check_interval ) EXECUTE FUNCTION notify_jobsets_changed ();
CREATE TRIGGER trg_jobsets_delete_notify AFTER DELETE ON jobsets FOR EACH ROW EXECUTE FUNCTION notify_jobsets_changed ();

-- Notices for what the schema has added: a stage wakes the next one, pages refresh.
CREATE OR REPLACE FUNCTION notify_fc_changed () RETURNS trigger AS $$ BEGIN PERFORM pg_notify(TG_ARGV[0], json_build_object( 'op', TG_OP, 'table', TG_TABLE_NAME )::text); RETURN NULL; END; $$ LANGUAGE plpgsql;
CREATE TRIGGER trg_jobsets_check_notify AFTER UPDATE ON jobsets FOR EACH ROW WHEN (NEW.check_requested_at IS DISTINCT FROM OLD.check_requested_at AND NEW.check_requested_at IS NOT NULL) EXECUTE FUNCTION notify_jobsets_changed ();
CREATE TRIGGER trg_evaluations_insert_notify AFTER INSERT ON evaluations FOR EACH ROW EXECUTE FUNCTION notify_fc_changed ('fc_evaluations_changed');
CREATE TRIGGER trg_evaluations_status_notify AFTER UPDATE ON evaluations FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION notify_fc_changed ('fc_evaluations_changed');
CREATE TRIGGER trg_derivations_insert_notify AFTER INSERT ON derivations FOR EACH ROW WHEN (NEW.status = 'ready') EXECUTE FUNCTION notify_fc_changed ('fc_derivations_ready');
CREATE TRIGGER trg_derivations_ready_notify AFTER UPDATE ON derivations FOR EACH ROW WHEN (OLD.status IS DISTINCT FROM NEW.status AND NEW.status = 'ready') EXECUTE FUNCTION notify_fc_changed ('fc_derivations_ready');
CREATE TRIGGER trg_remote_builders_notify AFTER INSERT OR UPDATE OR DELETE ON remote_builders FOR EACH ROW EXECUTE FUNCTION notify_fc_changed ('fc_builders_changed');
CREATE TRIGGER trg_config_sources_notify AFTER INSERT OR UPDATE ON config_sources FOR EACH ROW EXECUTE FUNCTION notify_fc_changed ('fc_config_changed');
CREATE TRIGGER trg_builds_notification_notify AFTER UPDATE ON builds FOR EACH ROW WHEN (NEW.notification_pending_since IS NOT NULL AND OLD.notification_pending_since IS DISTINCT FROM NEW.notification_pending_since) EXECUTE FUNCTION notify_fc_changed ('fc_notifications_pending');
CREATE TRIGGER trg_notification_tasks_notify AFTER INSERT ON notification_tasks FOR EACH ROW EXECUTE FUNCTION notify_fc_changed ('fc_notifications_pending');
"""

VIEWS = """
-- Views
CREATE VIEW active_jobsets AS SELECT j.id, j.project_id, j.name, j.nix_expression, j.enabled, j.flake_mode, j.check_interval, j.branch, j.scheduling_shares, j.created_at, j.updated_at, j.state, j.last_checked_at, j.keep_nr, p.name as project_name, p.repository_url FROM jobsets j JOIN projects p ON j.project_id = p.id WHERE j.enabled AND p.enabled AND j.state IN ('enabled', 'one_shot', 'one_at_a_time');
CREATE VIEW build_stats AS SELECT COUNT(*) as total_builds, COUNT( CASE WHEN status = 'succeeded' THEN 1 END ) as completed_builds, COUNT( CASE WHEN status = 'failed' THEN 1 END ) as failed_builds, COUNT( CASE WHEN status = 'running' THEN 1 END ) as running_builds, COUNT( CASE WHEN status = 'pending' THEN 1 END ) as pending_builds, AVG( EXTRACT( EPOCH FROM (completed_at - started_at) ) )::double precision as avg_duration_seconds FROM builds;
CREATE VIEW build_metrics_summary AS SELECT b.id as build_id, b.job_name, b.status, b.system, e.jobset_id, j.project_id, b.started_at, b.completed_at, EXTRACT( EPOCH FROM (b.completed_at - b.started_at) ) as duration_seconds, MAX( CASE WHEN bm.metric_name = 'output_size_bytes' THEN bm.metric_value END ) as output_size_bytes, MAX( CASE WHEN bm.metric_name = 'peak_memory_bytes' THEN bm.metric_value END ) as peak_memory_bytes, MAX( CASE WHEN bm.metric_name = 'nar_size_bytes' THEN bm.metric_value END ) as nar_size_bytes FROM builds b JOIN evaluations e ON b.evaluation_id = e.id JOIN jobsets j ON e.jobset_id = j.id LEFT JOIN build_metrics bm ON b.id = bm.build_id GROUP BY b.id, b.job_name, b.status, b.system, e.jobset_id, j.project_id, b.started_at, b.completed_at;
"""

BACKWARDS = """
DROP VIEW build_metrics_summary, build_stats, active_jobsets;
DROP TABLE
    config_changes,
    config_resources,
    config_revisions,
    config_sources,
    webhook_deliveries,
    audit_events,
    worker_pool_errors,
    workers,
    worker_pools,
    roles,
    notification_tasks,
    failed_paths_cache,
    build_metrics,
    project_members,
    user_sessions,
    starred_jobs,
    channels,
    jobset_inputs,
    notification_configs,
    webhook_configs,
    build_dependencies,
    build_steps,
    build_products,
    builds,
    derivation_outputs,
    derivation_inputs,
    derivations,
    evaluation_errors,
    evaluations,
    api_keys,
    jobsets,
    remote_builders,
    users,
    projects;
DROP FUNCTION notify_fc_changed (), notify_jobsets_changed (), notify_builds_changed (), update_updated_at_column ();
"""

ID = "2026-11-22T04:00:00"

forwards = SqlMigration(
    ID,
    "The first schema",
    forwards=TABLES + INDEXES + TRIGGERS + VIEWS,
    backwards=BACKWARDS,
).manager
