"""The migrated database against the schemas FC implements: every difference is deliberate and listed here."""

import re
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from tests.support.catalogue import Catalogue, differences, read_catalogue, table_of

HERE = Path(__file__).parent

EXTENSION = 'CREATE EXTENSION IF NOT EXISTS "uuid-ossp";'
SHIM = """
CREATE SCHEMA shim;
CREATE FUNCTION shim.uuid_generate_v4 () RETURNS uuid LANGUAGE sql AS 'SELECT gen_random_uuid()';
SET search_path = public, shim;
"""
"""In place of the extension, whose library an embedded PostgreSQL need not have."""

UUID_DEFAULT = ("shim.uuid_generate_v4()", "gen_random_uuid()")
"""UUIDs come from PostgreSQL's own function, which needs no extension, nor the right to install one."""


@dataclass(frozen=True)
class Change:
    """An object that both have: exactly this piece of its definition was replaced."""

    before: str
    after: str
    reason: str


ADDED_TABLES = {
    "evaluation_errors": "errors of single jobs are rows, shown and reported, not a number",
    "derivations": "the build graph has one row for each .drv, however many builds want it",
    "derivation_inputs": "edges of the build graph",
    "derivation_outputs": "what a derivation makes, known before and after it is built",
    "cache_paths": "the closures of built outputs: what the binary cache serves, and nothing else",
    "derivation_demands": "what is needed and for whom, found once, not at every turn of the scheduler",
    "config_sources": "the configuration repositories and how their last synchronisation went",
    "config_pauses": "when a configuration repository is not to be followed, and why",
    "config_revisions": "every commit of configuration that was tried",
    "config_changes": "every change configuration has made",
    "config_resources": "which file and line owns which row",
    "config_previews": "what pull requests on configuration repositories would change",
    "config_adoptions": "which rows made by hand git may take over",
    "config_drift": "which rows are not as git says, since when and by whom",
    "config_turns": "when work of configuration that comes round was last done",
    "webhook_deliveries": "deduplication and log of incoming hooks",
    "audit_events": "who did what through the API or the command line",
    "migration": "Piccolo's record of the migrations that ran",
}

ADDED = {
    "a stage claims a row with a token and a lease, and tries again later when it fails": (
        "column jobsets.claim_token",
        "column jobsets.lease_until",
        "column evaluations.claim_token",
        "column evaluations.lease_until",
        "column evaluations.attempts",
        "column evaluations.next_attempt_at",
        "column notification_tasks.claim_token",
        "column notification_tasks.lease_until",
        "index evaluations.idx_evaluations_waiting",
    ),
    "checks are due at a time, at once after a push, and later and later while they fail": (
        "column jobsets.check_requested_at",
        "column jobsets.next_check_at",
        "column jobsets.check_failures",
        "column jobsets.last_error",
        "column jobsets.last_commit",
        "index jobsets.idx_jobsets_next_check",
        "trigger jobsets.trg_jobsets_check_notify",
    ),
    "how far an evaluation may go is decided for each jobset": (
        "column jobsets.restrict_eval",
        "column jobsets.allow_import_from_derivation",
        "column jobsets.evaluation_timeout",
        "constraint jobsets.jobsets_evaluation_timeout_check",
    ),
    "an evaluation says why it was made, of what exactly, and how long it took": (
        "column evaluations.cause",
        "constraint evaluations.evaluations_cause_check",
        "column evaluations.commit_subject",
        "column evaluations.commit_author",
        "column evaluations.committed_at",
        "column evaluations.inputs",
        "column evaluations.started_at",
        "column evaluations.completed_at",
    ),
    "a changed expression or input is evaluated at the same commit": (
        "constraint evaluations.evaluations_jobset_id_commit_hash_inputs_hash_key",
    ),
    "the newest evaluations of a jobset are what pages ask for most": (
        "index evaluations.idx_evaluations_jobset_time",
    ),
    "builds are settled through their derivation, and carry what the job said of itself": (
        "column builds.derivation_id",
        "constraint builds.builds_derivation_id_fkey",
        "column builds.meta",
        "index builds.idx_builds_derivation",
        "index builds.idx_builds_unfinished",
    ),
    "builds wait in one queue: flagged until taken in, weighed among all, listed newest first": (
        "column builds.queued_at",
        "column builds.global_priority",
        "index builds.idx_builds_unqueued",
        "index builds.idx_builds_recent",
        "index build_steps.idx_build_steps_unfinished",
        "trigger builds.trg_builds_unqueued_notify",
    ),
    "pages count the builds of an evaluation by status": ("index builds.idx_builds_evaluation_status",),
    "a channel asks whether an evaluation has a build that has not succeeded": (
        "index builds.idx_builds_unsuccessful",
    ),
    "a step says what was built where and how it ended": (
        "column build_steps.derivation_id",
        "column build_steps.builder_id",
        "column build_steps.builder_name",
        "column build_steps.status",
        "column build_steps.log_path",
        "constraint build_steps.build_steps_derivation_id_fkey",
        "constraint build_steps.build_steps_builder_id_fkey",
        "index build_steps.idx_build_steps_derivation",
    ),
    "a notification knows its target and what it speaks of": (
        "column notification_tasks.notification_config_id",
        "column notification_tasks.build_id",
        "column notification_tasks.evaluation_id",
        "constraint notification_tasks.notification_tasks_notification_config_id_fkey",
        "constraint notification_tasks.notification_tasks_build_id_fkey",
        "constraint notification_tasks.notification_tasks_evaluation_id_fkey",
        "index notification_tasks.idx_notification_tasks_build",
        "index notification_tasks.idx_notification_tasks_evaluation",
    ),
    "messages about one subject are sent to a target one after another, and a slow host holds up no other": (
        "column notification_tasks.subject",
        "column notification_tasks.destination",
        "column notification_tasks.sequence",
        "index notification_tasks.idx_notification_tasks_waiting",
        "index notification_tasks.idx_notification_tasks_subject",
        "index notification_tasks.idx_notification_tasks_due",
        "index notification_tasks.idx_notification_tasks_leases",
        "index notification_tasks.idx_notification_tasks_sequence",
    ),
    "commits and pull requests of a configuration repository are reported too": (
        "column notification_tasks.config_source",
        "index notification_tasks.idx_notification_tasks_source_subject",
    ),
    "an evaluation whose status changed is reported, whoever changed it": (
        "column evaluations.notification_pending_since",
        "index evaluations.idx_evaluations_notification_pending",
        "function flag_notification()",
        "trigger evaluations.trg_evaluations_insert_flag",
        "trigger evaluations.trg_evaluations_status_flag",
    ),
    "a project may have several targets of one kind, told apart by name": (
        "column notification_configs.name",
        "constraint notification_configs.notification_configs_project_id_name_key",
    ),
    "an HMAC is checked with the secret, not with its hash: the row holds a reference to it": (
        "column webhook_configs.secret",
    ),
    "configuration names keys by their name": ("constraint api_keys.api_keys_name_key",),
    "a project can be switched off": ("column projects.enabled",),
    "jobsets are described for people": ("column jobsets.description",),
    "a builder's page says what is wrong with it and when it last answered": (
        "column remote_builders.last_error",
        "column remote_builders.last_seen_at",
    ),
    "a stage wakes the next one, and pages refresh": (
        "function notify_fc_changed()",
        "trigger builds.trg_builds_notification_notify",
        "trigger evaluations.trg_evaluations_insert_notify",
        "trigger evaluations.trg_evaluations_status_notify",
        "trigger notification_tasks.trg_notification_tasks_notify",
        "trigger remote_builders.trg_remote_builders_notify",
    ),
    "whoever changes a declared column by hand is noted, and the change is looked at": (
        "function note_hand_write()",
        *(
            f"trigger {table}.trg_{table}_hand_{what}"
            for table in (
                "users",
                "roles",
                "remote_builders",
                "worker_pools",
                "api_keys",
                "projects",
                "jobsets",
                "jobset_inputs",
                "channels",
                "webhook_configs",
                "notification_configs",
                "project_members",
            )
            for what in ("update", "delete", "truncate")
        ),
    ),
    "Piccolo knows no composite primary key: a surrogate, and the original key as a unique constraint": (
        "column roles.id",
        "column worker_pools.id",
        "column workers.id",
        "column worker_pool_errors.id",
        "constraint roles.roles_role_id_key",
        "constraint worker_pools.worker_pools_worker_pool_id_key",
        "constraint workers.workers_worker_pool_id_worker_group_worker_id_key",
        "constraint worker_pool_errors.worker_pool_errors_error_id_key",
    ),
}

REMOVED = {
    "constraint evaluations.evaluations_jobset_id_commit_hash_key": "gives way to the key with inputs_hash",
    "constraint notification_configs.notification_configs_project_id_notification_type_key": "gives way to names",
}

CHANGED = {
    "column evaluations.commit_hash": Change("(40)", "(64)", "repositories with SHA-256 have 64 characters"),
    "column evaluations.inputs_hash": Change(
        "character varying(128)",
        "character varying(128) not null default ''::character varying",
        "a null would not be held unique",
    ),
    "constraint evaluations.evaluations_status_check": Change(
        "'failed'::text",
        "'failed'::text, 'cancelled'::text, 'timed_out'::text",
        "evaluations are superseded and time out",
    ),
    "constraint builds.builds_builder_id_fkey": Change(
        "remote_builders(id)",
        "remote_builders(id) ON DELETE SET NULL",
        "a builder with history can be removed",
    ),
    "constraint channels.channels_current_evaluation_id_fkey": Change(
        "evaluations(id)",
        "evaluations(id) ON DELETE SET NULL",
        "an evaluation that was current can be removed",
    ),
    "constraint notification_tasks.notification_tasks_notification_type_check": Change(
        "'gitea_status'::character varying",
        "'github_check'::character varying, 'gitea_status'::character varying, 'forgejo_status'::character varying",
        "a kind that notification_configs allows must be deliverable, and check runs are one",
    ),
    "view active_jobsets": Change(
        "((j.state)::text = ANY ((ARRAY['enabled'::character varying, 'one_shot'::character varying, "
        "'one_at_a_time'::character varying])::text[]))",
        "(j.enabled AND p.enabled AND ((j.state)::text = ANY ((ARRAY['enabled'::character varying, "
        "'one_shot'::character varying, 'one_at_a_time'::character varying])::text[])))",
        "a disabled jobset, or one of a disabled project, is not active",
    ),
    "view build_stats": Change(
        " WHERE (started_at IS NOT NULL)", "", "pending builds have not started and are counted too"
    ),
    **{
        f"constraint {table}.{table}_pkey": Change(key, "id", "Piccolo knows no composite primary key")
        for table, key in {
            "roles": "role_id",
            "worker_pools": "worker_pool_id",
            "workers": "worker_pool_id, worker_group, worker_id",
            "worker_pool_errors": "error_id",
        }.items()
    },
}


def judge(original: Catalogue, ours: Catalogue) -> tuple[dict[str, object], list[str]]:
    """Differences that are not listed, and listed ones that do not exist."""
    found = differences(original, ours)
    added = {key for keys in ADDED.values() for key in keys}
    listed = added | REMOVED.keys() | CHANGED.keys() | {f"table {name}" for name in ADDED_TABLES}
    unlisted: dict[str, object] = {}
    used = set()
    for key, (before, after) in found.items():
        change = CHANGED.get(key)
        if before is None:
            explained = key in added or table_of(key) in ADDED_TABLES
        elif after is None:
            explained = key in REMOVED
        else:
            explained = change is not None and before.replace(change.before, change.after, 1) == after
        if explained:
            used.add(key)
        else:
            unlisted[key] = (before, after)
    return unlisted, sorted(listed - used)


async def load_original(url: str) -> Catalogue:
    """The schemas FC implements, as PostgreSQL understands them."""
    script = (HERE / "fc-schema.sql").read_text(encoding="utf-8")
    assert EXTENSION in script
    sections = (HERE / "taskcluster-schema.md").read_text(encoding="utf-8")
    connection = await asyncpg.connect(url)
    await connection.execute(SHIM)
    await connection.execute(script.replace(EXTENSION, ""))
    for statements in re.findall(r"```sql\n(.*?)```", sections, re.DOTALL):
        # Taskcluster has a copy of the function of that name in its own schema.
        await connection.execute(statements.replace("public.gen_random_uuid()", "gen_random_uuid()"))
    await connection.close()
    loaded = await read_catalogue(url)
    assert UUID_DEFAULT[0] in loaded["column builds.id"]
    return {key: definition.replace(*UUID_DEFAULT) for key, definition in loaded.items()}


async def test_every_difference_from_the_original_schemas_is_listed(
    database_url: str, empty_database_url: str
) -> None:
    original = await load_original(empty_database_url)
    ours = await read_catalogue(database_url)

    unlisted, gone = judge(original, ours)

    assert unlisted == {}
    assert gone == []


async def test_an_unlisted_difference_and_a_listed_one_that_is_gone_are_found(
    database_url: str, empty_database_url: str
) -> None:
    original = await load_original(empty_database_url)
    unlisted_before, gone_before = judge(original, await read_catalogue(database_url))
    connection = await asyncpg.connect(database_url)
    view = await connection.fetchval("SELECT pg_get_viewdef('active_jobsets')")
    await connection.execute(f"""
        ALTER TABLE builds ALTER COLUMN priority SET DEFAULT 7;
        ALTER TABLE builds DROP CONSTRAINT builds_status_check;
        ALTER TABLE builds DROP COLUMN meta;
        ALTER TABLE evaluations ALTER COLUMN commit_hash TYPE varchar(50);
        DROP INDEX idx_builds_status;
        DROP INDEX idx_evaluations_jobset_time;
        CREATE INDEX idx_new ON builds (keep);
        DROP TRIGGER trg_builds_insert_notify ON builds;
        CREATE OR REPLACE FUNCTION notify_builds_changed () RETURNS trigger AS $$ BEGIN RETURN NULL; END; $$ LANGUAGE plpgsql;
        ALTER TABLE jobsets DROP CONSTRAINT jobsets_project_id_fkey;
        ALTER TABLE jobsets ADD CONSTRAINT jobsets_project_id_fkey FOREIGN KEY (project_id) REFERENCES projects (id);
        CREATE OR REPLACE VIEW active_jobsets AS {view.replace("j.enabled AND", "")}
    """)
    await connection.close()

    unlisted, gone = judge(original, await read_catalogue(database_url))

    assert sorted(unlisted.keys() - unlisted_before.keys()) == [
        "column builds.priority",
        "column evaluations.commit_hash",
        "constraint builds.builds_status_check",
        "constraint jobsets.jobsets_project_id_fkey",
        "function notify_builds_changed()",
        "index builds.idx_builds_status",
        "index builds.idx_new",
        "trigger builds.trg_builds_insert_notify",
        "view active_jobsets",
    ]
    assert sorted(set(gone) - set(gone_before)) == [
        "column builds.meta",
        "column evaluations.commit_hash",
        "index evaluations.idx_evaluations_jobset_time",
        "view active_jobsets",
    ]


def test_every_listed_difference_is_listed_once_and_has_a_reason() -> None:
    added = [key for keys in ADDED.values() for key in keys]
    assert sorted(added) == sorted(set(added))
    reasons = [
        *ADDED_TABLES.values(),
        *ADDED,
        *REMOVED.values(),
        *(change.reason for change in CHANGED.values()),
    ]
    assert all(len(reason.split()) > 2 for reason in reasons)
