"""Fingerprints: for each kind of page one cheap query of a text that changes when the page does."""

from dataclasses import dataclass

from fc.base.notify import (
    BUILDERS_CHANGED,
    BUILDS_CHANGED,
    CONFIG_CHANGED,
    DERIVATIONS_READY,
    EVALUATIONS_CHANGED,
    JOBSETS_CHANGED,
    NOTIFICATIONS_PENDING,
)


@dataclass(frozen=True, slots=True)
class Kind:
    """What can be watched."""

    channels: tuple[str, ...]
    """Notices that hint at a change."""
    fingerprint: str
    """A query of one text, or of none when there is no such thing. With an id in the topic's name, that is ``$1``."""


_COUNTS = """(
    SELECT string_agg(status || builds, ',' ORDER BY status)
    FROM (SELECT status, count(*) AS builds FROM builds WHERE evaluation_id = e.id GROUP BY status) counted
)"""

_OVERVIEW = """
SELECT concat_ws('|',
    (SELECT string_agg(id::text, ',' ORDER BY id) FROM (SELECT id FROM builds WHERE status = 'running' LIMIT 500) x),
    (SELECT count(*) FROM (SELECT FROM builds WHERE status = 'pending' LIMIT 10000) x),
    (SELECT max(completed_at) FROM builds),
    (SELECT string_agg(id || status, ',' ORDER BY evaluation_time DESC)
     FROM (SELECT id, status, evaluation_time FROM evaluations ORDER BY evaluation_time DESC LIMIT 50) x),
    (SELECT string_agg(concat_ws(',', status, active, last_seen_commit, error_message), ';' ORDER BY name) FROM config_sources WHERE project_id IS NULL),
    (SELECT count(*) FROM config_pauses WHERE ended_at IS NULL AND (paused_until IS NULL OR paused_until > now())),
    (SELECT string_agg(concat_ws(',', name, enabled, max_jobs, consecutive_failures, disabled_until), ';' ORDER BY name)
     FROM remote_builders),
    (SELECT string_agg(concat_ws(',', id, name, enabled, state, last_error), ';' ORDER BY id) FROM jobsets))
"""

_PROJECT = """
SELECT concat_ws('|', p.description, p.repository_url, p.enabled,
    (SELECT string_agg(concat_ws(',', j.name, j.enabled, j.state, j.last_checked_at, j.last_error, e.id, e.status, COUNTS),
                       ';' ORDER BY j.name)
     FROM jobsets j LEFT JOIN LATERAL (
         SELECT id, status FROM evaluations WHERE jobset_id = j.id ORDER BY evaluation_time DESC LIMIT 1
     ) e ON true WHERE j.project_id = p.id),
    (SELECT string_agg(concat_ws(',', name, current_evaluation_id), ';' ORDER BY name) FROM channels WHERE project_id = p.id),
    (SELECT concat_ws(',', status, branch, last_seen_commit, last_synced_at, error_message, errors, held) FROM config_sources
     WHERE project_id = p.id), p.delegate)
FROM projects p WHERE p.id = $1
"""

_JOBSET = """
SELECT concat_ws('|', j.enabled, j.state, j.last_checked_at, j.last_error, j.last_commit, j.check_requested_at,
    (SELECT string_agg(concat_ws(',', e.id, e.status, COUNTS), ';' ORDER BY e.evaluation_time DESC)
     FROM (SELECT id, status, evaluation_time FROM evaluations WHERE jobset_id = j.id
           ORDER BY evaluation_time DESC LIMIT 20) e))
FROM jobsets j WHERE j.id = $1
"""

_EVALUATION = """
SELECT concat_ws('|', e.status, e.error_message, e.attempts, COUNTS,
    (SELECT concat_ws(',', max(started_at), max(completed_at)) FROM builds WHERE evaluation_id = e.id),
    (SELECT count(*) FROM evaluation_errors WHERE evaluation_id = e.id))
FROM evaluations e WHERE e.id = $1
"""

_BUILD = """
SELECT concat_ws('|', b.status, b.started_at, b.completed_at, b.log_path, d.status, d.attempts, d.builder_name,
    d.missing_inputs, d.error_message, d.next_attempt_at, d.log_path,
    (SELECT string_agg(concat_ws(',', step_number, status, builder_name, completed_at), ';' ORDER BY step_number)
     FROM build_steps WHERE build_id = b.id),
    (SELECT count(*) FROM build_products WHERE build_id = b.id))
FROM builds b LEFT JOIN derivations d ON d.id = b.derivation_id WHERE b.id = $1
"""

_BUILDERS = """
SELECT concat_ws('|',
    (SELECT string_agg(concat_ws(',', name, ssh_uri, systems, max_jobs, speed_factor, supported_features, mandatory_features,
                                 enabled, consecutive_failures, disabled_until, last_error), ';' ORDER BY name)
     FROM remote_builders),
    (SELECT string_agg(concat_ws(',', id, builder_name), ';' ORDER BY id) FROM derivations WHERE status = 'running'))
"""

_CONFIGURATION = """
SELECT concat_ws('|',
    (SELECT string_agg(concat_ws(',', status, active, last_seen_commit, last_synced_at, error_message, errors, held, forced_at, opens_at, url), ';' ORDER BY name)
     FROM config_sources),
    (SELECT string_agg(concat_ws(',', id, paused_until > now()), ';' ORDER BY id) FROM config_pauses WHERE ended_at IS NULL),
    (SELECT string_agg(concat_ws(',', id, seen_at, message), ';' ORDER BY id) FROM config_drift WHERE ended_at IS NULL),
    (SELECT max(created_at) FROM config_revisions),
    (SELECT string_agg(concat_ws(',', id, title, status, message, planned_at), ';' ORDER BY id)
     FROM config_previews WHERE status <> 'closed'))
"""

_PREVIEW = """
SELECT concat_ws('|', title, head_hash, base_hash, status, message, planned_at, requested_at, closed_at)
FROM config_previews WHERE id = $1
"""

_NOTIFICATIONS = """
SELECT concat_ws('|', string_agg(concat_ws(',', id, status, attempts), ';' ORDER BY created_at DESC))
FROM (SELECT id, status, attempts, created_at FROM notification_tasks ORDER BY created_at DESC LIMIT 100) x
"""

KINDS: dict[str, Kind] = {
    "overview": Kind(
        (
            BUILDS_CHANGED,
            EVALUATIONS_CHANGED,
            CONFIG_CHANGED,
            BUILDERS_CHANGED,
            JOBSETS_CHANGED,
            DERIVATIONS_READY,
        ),
        _OVERVIEW,
    ),
    "project": Kind(
        (BUILDS_CHANGED, EVALUATIONS_CHANGED, CONFIG_CHANGED, JOBSETS_CHANGED),
        _PROJECT.replace("COUNTS", _COUNTS),
    ),
    "jobset": Kind(
        (BUILDS_CHANGED, EVALUATIONS_CHANGED, JOBSETS_CHANGED), _JOBSET.replace("COUNTS", _COUNTS)
    ),
    "evaluation": Kind((BUILDS_CHANGED, EVALUATIONS_CHANGED), _EVALUATION.replace("COUNTS", _COUNTS)),
    "build": Kind((BUILDS_CHANGED, DERIVATIONS_READY), _BUILD),
    "builders": Kind((BUILDERS_CHANGED, BUILDS_CHANGED, DERIVATIONS_READY), _BUILDERS),
    "configuration": Kind((CONFIG_CHANGED,), _CONFIGURATION),
    "preview": Kind((CONFIG_CHANGED,), _PREVIEW),
    "notifications": Kind((NOTIFICATIONS_PENDING,), _NOTIFICATIONS),
}
"""By the first part of a topic's name: ``overview``, ``build:<id>``."""
