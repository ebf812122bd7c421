"""Checking a jobset: is there something new to evaluate? Git is asked, nothing is fetched unless there is."""

import uuid
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

import msgspec

from fc.base.database import Database, affected
from fc.base.errors import FcError
from fc.base.git import GitMirror
from fc.base.settings import Settings
from fc.evaluate.cause import Previous, Requester, cause_of
from fc.evaluate.inputs import JobsetFacts, inputs_hash, recorded_inputs
from fc.evaluate.local_claims import PREFIX_LENGTH
from fc.evaluate.request import Input, InputType

LEASE_SECONDS = 60.0
RENEW_SECONDS = 15.0

_LONGEST_BACKOFF = 3600.0
_MOST_DOUBLINGS = 10

_CLAIM = """
UPDATE jobsets j SET claim_token = $1, lease_until = now() + make_interval(secs => $2)
FROM projects p, (
    SELECT j.id FROM jobsets j JOIN projects p ON p.id = j.project_id
    WHERE j.enabled AND p.enabled AND j.state <> 'disabled'
      AND (j.next_check_at <= now() OR j.check_requested_at IS NOT NULL)
      AND (j.lease_until IS NULL OR j.lease_until < now())
      AND NOT (j.state IN ('one_shot', 'one_at_a_time') AND EXISTS (
          SELECT 1 FROM evaluations e WHERE e.jobset_id = j.id AND e.status IN ('pending', 'running')))
      AND NOT (j.state = 'one_at_a_time' AND EXISTS (
          SELECT 1 FROM builds b JOIN evaluations e ON e.id = b.evaluation_id
          WHERE e.jobset_id = j.id AND b.status IN ('pending', 'running')))
    ORDER BY j.check_requested_at NULLS LAST, j.next_check_at LIMIT 1 FOR UPDATE OF j SKIP LOCKED
) c
WHERE j.id = c.id AND p.id = j.project_id
RETURNING j.id, $1::uuid AS token, p.name AS project, j.name, p.repository_url, j.nix_expression, j.branch, j.flake_mode,
          j.restrict_eval, j.allow_import_from_derivation, j.check_interval, j.check_requested_at, j.check_failures
"""
_INPUTS = "SELECT name, input_type AS type, value, revision FROM jobset_inputs WHERE jobset_id = $1"
_LATEST_OUTPUT = """
SELECT b.build_output_path FROM builds b
JOIN evaluations e ON e.id = b.evaluation_id JOIN jobsets j ON j.id = e.jobset_id JOIN projects p ON p.id = j.project_id
WHERE p.name = $1 AND j.name = $2 AND b.job_name = $3 AND b.status = 'succeeded' AND e.pr_number IS NULL
  AND b.build_output_path IS NOT NULL
ORDER BY b.completed_at DESC LIMIT 1
"""
_PREVIOUS = """
SELECT commit_hash, inputs FROM evaluations WHERE jobset_id = $1 AND pr_number IS NULL
ORDER BY evaluation_time DESC, id DESC LIMIT 1
"""
_KNOWN = "SELECT true FROM evaluations WHERE jobset_id = $1 AND commit_hash = $2 AND inputs_hash = $3"
_REQUESTER = """
SELECT CASE
    WHEN EXISTS (SELECT 1 FROM webhook_deliveries
                 WHERE target = 'project/' || $1 AND status = 'accepted' AND received_at = $3) THEN 'push'
    WHEN EXISTS (SELECT 1 FROM audit_events
                 WHERE kind = 'jobset' AND key = $1 || '/' || $2 AND created_at = $3) THEN 'manual'
    ELSE 'configuration' END
"""
_INSERT = """
INSERT INTO evaluations (jobset_id, commit_hash, inputs_hash, status, cause, commit_subject, commit_author, committed_at, inputs)
VALUES ($1, $2, $3, 'pending', $4, $5, $6, $7, $8) ON CONFLICT (jobset_id, commit_hash, inputs_hash) DO NOTHING
RETURNING id
"""
_RECORD = """
UPDATE jobsets SET last_checked_at = now(), next_check_at = now() + make_interval(secs => $3), check_failures = 0,
    last_error = NULL, last_commit = $4, claim_token = NULL, lease_until = NULL,
    check_requested_at = CASE WHEN check_requested_at IS DISTINCT FROM $5 THEN check_requested_at END,
    state = CASE WHEN state = 'one_shot' AND NOT $6 THEN 'disabled' ELSE state END
WHERE id = $1 AND claim_token = $2
"""
_RECORD_FAILURE = """
UPDATE jobsets SET last_checked_at = now(), next_check_at = now() + make_interval(secs => $3),
    check_failures = check_failures + 1, last_error = $4, claim_token = NULL, lease_until = NULL,
    check_requested_at = CASE WHEN check_requested_at IS DISTINCT FROM $5 THEN check_requested_at END
WHERE id = $1 AND claim_token = $2
"""
_RENEW = (
    "UPDATE jobsets SET lease_until = now() + make_interval(secs => $3) WHERE id = $1 AND claim_token = $2"
)
_HAND_BACK = "UPDATE jobsets SET claim_token = NULL, lease_until = NULL WHERE id = $1 AND claim_token = $2"
_ABANDON = "UPDATE jobsets SET lease_until = NULL WHERE left(claim_token::text, $2) = ANY ($1)"


class CheckError(FcError):
    """A jobset cannot be checked: what it follows is not there."""

    status = 502
    code = "check"


class DueJobset(msgspec.Struct, frozen=True, kw_only=True):
    """A jobset that this process checks now."""

    id: uuid.UUID
    token: uuid.UUID
    project: str
    name: str
    repository_url: str
    nix_expression: str
    branch: str | None
    flake_mode: bool
    restrict_eval: bool
    allow_import_from_derivation: bool
    check_interval: int
    check_requested_at: datetime | None
    check_failures: int

    @property
    def facts(self) -> JobsetFacts:
        """What of it decides how it is evaluated."""
        return JobsetFacts(
            nix_expression=self.nix_expression,
            branch=self.branch,
            flake_mode=self.flake_mode,
            restrict_eval=self.restrict_eval,
            allow_import_from_derivation=self.allow_import_from_derivation,
        )


class DeclaredInput(msgspec.Struct, frozen=True):
    """An input as configuration declares it."""

    name: str
    type: InputType
    value: str
    revision: str | None


def mirror_of(settings: Settings, url: str) -> GitMirror:
    """The mirror of a repository. One SSH key serves all of them.

    Raises:
        InvalidInputError: ``url`` is not accepted.
    """
    return GitMirror(settings.data_dir / "git", url, settings.configuration.deploy_key)


async def claim_due(database: Database, token: uuid.UUID) -> DueJobset | None:
    """Claim the jobset whose check is due for longest, requested ones first; none: none is due."""
    row = await database.fetchrow(_CLAIM, token, LEASE_SECONDS)
    return None if row is None else msgspec.convert(dict(row), DueJobset)


async def check(database: Database, settings: Settings, jobset: DueJobset) -> uuid.UUID | None:
    """Look for something new; the evaluation that was recorded for it, or none.

    A repository that cannot be read, or lacks what the jobset follows, is recorded with the jobset, which is
    checked again later and later.
    """
    try:
        mirror = mirror_of(settings, jobset.repository_url)
        commit = await _head(mirror, jobset)
        inputs = await resolve_inputs(database, settings, jobset.id)
        fingerprint = inputs_hash(jobset.facts, inputs)
        is_new = not await database.fetchval(_KNOWN, jobset.id, commit, fingerprint)
        if is_new:
            # Fetched here already: its author and subject are shown, and the evaluation finds it in the mirror.
            commit = await mirror.fetch(_followed(jobset))
            info = await mirror.commit_info(commit)
    except FcError as error:
        await fail_check(database, settings, jobset, str(error))
        return None
    requester = await _requester(database, jobset)
    previous = await database.fetchrow(_PREVIOUS, jobset.id)
    recorded = recorded_inputs(inputs)
    async with database.transaction() as connection:
        tag = await connection.execute(
            _RECORD,
            jobset.id,
            jobset.token,
            _interval(settings, jobset),
            commit,
            jobset.check_requested_at,
            is_new,
        )
        if tag == "UPDATE 0" or not is_new:
            return None
        before = None if previous is None else Previous(previous["commit_hash"], previous["inputs"])
        found: uuid.UUID | None = await connection.fetchval(
            _INSERT,
            jobset.id,
            commit,
            fingerprint,
            cause_of(requester, before, commit, recorded),
            info.subject,
            info.author,
            info.committed_at,
            recorded,
        )
        return found


def _followed(jobset: DueJobset) -> str:
    return "HEAD" if jobset.branch is None else jobset.branch


async def _head(mirror: GitMirror, jobset: DueJobset) -> str:
    commit = await mirror.ls_remote(_followed(jobset))
    if commit is None:
        missing = "is empty" if jobset.branch is None else f"has no branch {jobset.branch!r}"
        message = f"{mirror.url} {missing}"
        raise CheckError(message)
    return commit


async def resolve_inputs(database: Database, settings: Settings, jobset: uuid.UUID) -> dict[str, Input]:
    """The inputs of a jobset as they stand now.

    Raises:
        FcError: one cannot be resolved; names it.
    """
    rows = await database.fetch(_INPUTS, jobset)
    declared = msgspec.convert([dict(row) for row in rows], list[DeclaredInput])
    return {one.name: await _resolve(database, settings, one) for one in declared}


async def _resolve(database: Database, settings: Settings, declared: DeclaredInput) -> Input:
    if declared.type == "git":
        revision = await _git_revision(settings, declared)
        return Input(type="git", value=declared.value, revision=revision)
    if declared.type == "build":
        path = await _build_output(database, declared)
        return Input(type="build", value=declared.value, path=path, revision=path)
    path = str(Path(declared.value)) if declared.type == "path" else ""
    return Input(type=declared.type, value=declared.value, path=path)


async def _git_revision(settings: Settings, declared: DeclaredInput) -> str:
    ref = declared.revision or "HEAD"
    commit = await mirror_of(settings, declared.value).ls_remote(ref)
    if commit is None:
        message = f"input {declared.name!r}: its repository has no {ref!r}"
        raise CheckError(message)
    return commit


async def _build_output(database: Database, declared: DeclaredInput) -> str:
    project, jobset, job = [*declared.value.split(":", 2), "", ""][:3]
    path: str | None = await database.fetchval(_LATEST_OUTPUT, project, jobset, job)
    if path is None:
        message = f"input {declared.name!r}: the job {declared.value} has not been built yet"
        raise CheckError(message)
    return path


async def _requester(database: Database, jobset: DueJobset) -> Requester | None:
    """Who asked for this check: the moment it was asked for is the moment of what asked."""
    if jobset.check_requested_at is None:
        return None
    found: Literal["push", "manual", "configuration"] = await database.fetchval(
        _REQUESTER, jobset.project, jobset.name, jobset.check_requested_at
    )
    return found


async def fail_check(database: Database, settings: Settings, jobset: DueJobset, message: str) -> None:
    """Record that a check failed; each failure in a row doubles the time to the next check, up to an hour."""
    interval = _interval(settings, jobset)
    seconds = max(
        interval, min(_LONGEST_BACKOFF, interval * 2 ** min(jobset.check_failures, _MOST_DOUBLINGS))
    )
    shown = message.replace("\0", "")
    await database.execute(
        _RECORD_FAILURE, jobset.id, jobset.token, seconds, shown, jobset.check_requested_at
    )


def _interval(settings: Settings, jobset: DueJobset) -> float:
    return float(max(settings.evaluate.min_check_interval, jobset.check_interval))


async def renew_check(database: Database, jobset: DueJobset) -> bool:
    """Keep the claim on a jobset for another while; false: it is lost."""
    return affected(await database.execute(_RENEW, jobset.id, jobset.token, LEASE_SECONDS)) == 1


async def hand_back_check(database: Database, jobset: DueJobset) -> None:
    """Let another process check the jobset."""
    await database.execute(_HAND_BACK, jobset.id, jobset.token)


async def abandon_checks(database: Database, prefixes: Sequence[str]) -> None:
    """End the leases of claims whose process is known to be dead: their tokens begin so."""
    await database.execute(_ABANDON, prefixes, PREFIX_LENGTH)
