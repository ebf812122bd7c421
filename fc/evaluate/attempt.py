"""One attempt at an evaluation: sources, Nix, roots, record."""

import uuid
from contextlib import AsyncExitStack
from typing import Any

import msgspec
import structlog

from fc.base.database import Database
from fc.base.errors import ConflictError, GitError, InvalidInputError, NixError
from fc.base.looping import Services
from fc.evaluate.check import mirror_of
from fc.evaluate.claim import MOST_ATTEMPTS, Claimed, try_later
from fc.evaluate.evaluator import evaluate
from fc.evaluate.inputs import JobsetFacts, inputs_hash
from fc.evaluate.record import record_failure, record_outdated, record_result
from fc.evaluate.request import EvaluationRequest, Input
from fc.evaluate.roots import add_roots
from fc.evaluate.sources import SourceTrees

_FACTS = """
SELECT e.commit_hash, e.inputs_hash, e.inputs, p.name AS project, j.name AS jobset, p.repository_url, j.nix_expression,
       j.branch, j.flake_mode, j.restrict_eval, j.allow_import_from_derivation, j.evaluation_timeout,
       j.enabled AND p.enabled AND j.state <> 'disabled' AS enabled, j.id AS jobset_id
FROM evaluations e JOIN jobsets j ON j.id = e.jobset_id JOIN projects p ON p.id = j.project_id WHERE e.id = $1
"""

_TRIES = 3
"""Attempts that may end in trouble of git, Nix or the disk; lost ones (a dead process) have a limit of their own."""

log = structlog.get_logger(__name__)


class EvaluationFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation and the jobset it belongs to, as they are now."""

    commit_hash: str
    inputs_hash: str
    inputs: dict[str, Any]
    project: str
    jobset: str
    jobset_id: uuid.UUID
    repository_url: str
    nix_expression: str
    branch: str | None
    flake_mode: bool
    restrict_eval: bool
    allow_import_from_derivation: bool
    evaluation_timeout: int
    enabled: bool

    def outdated(self) -> str | None:
        """Why this evaluation is no longer wanted; none: it is."""
        if not self.enabled:
            return "the jobset or its project was disabled before it was evaluated"
        facts = JobsetFacts(
            nix_expression=self.nix_expression,
            branch=self.branch,
            flake_mode=self.flake_mode,
            restrict_eval=self.restrict_eval,
            allow_import_from_derivation=self.allow_import_from_derivation,
        )
        if inputs_hash(facts, self.resolved()) != self.inputs_hash:
            return "the jobset was changed before it was evaluated; it is evaluated anew"
        return None

    def resolved(self) -> dict[str, Input]:
        """The inputs as they were found when this evaluation was recorded."""
        return msgspec.convert(self.inputs, dict[str, Input])


async def attempt(services: Services, trees: SourceTrees, claimed: Claimed) -> None:
    """Evaluate what was claimed, and record it.

    What is wrong with the expression is recorded as its failure. What is wrong with this machine or the network is
    tried again a few times.
    """
    database, claim = services.database, claimed.claim
    if claimed.exhausted:
        why = (
            f": {claimed.last_error}"
            if claimed.last_error
            else "; each time its process died, perhaps of a lack of memory"
        )
        await record_failure(
            database, claim, f"this evaluation was begun {MOST_ATTEMPTS} times and never ended{why}"
        )
        return
    facts = await _facts(database, claim.evaluation_id)
    if facts is None:
        return
    outdated = facts.outdated()
    if outdated is not None:
        await record_outdated(database, claim, outdated)
        return
    try:
        await _evaluate(services, trees, claimed, facts)
    except InvalidInputError as error:
        await record_failure(database, claim, str(error))
    except (GitError, NixError, ConflictError, OSError) as error:
        log.warning("evaluation attempt failed", project=facts.project, jobset=facts.jobset, error=str(error))
        if claimed.attempts >= _TRIES:
            await record_failure(database, claim, str(error))
        else:
            await try_later(database, claimed, str(error))


async def _facts(database: Database, evaluation: uuid.UUID) -> EvaluationFacts | None:
    row = await database.fetchrow(_FACTS, evaluation)
    if row is None:
        return None
    return msgspec.convert(dict(row), EvaluationFacts)


async def _evaluate(services: Services, trees: SourceTrees, claimed: Claimed, facts: EvaluationFacts) -> None:
    settings = services.settings
    async with AsyncExitStack() as stack:
        mirror = mirror_of(settings, facts.repository_url)
        source = await stack.enter_async_context(trees.checkout(mirror, facts.commit_hash))
        inputs: dict[str, Input] = {}
        for name, given in facts.resolved().items():
            path = given.revision or ""
            if given.type == "git" and given.revision is not None:
                theirs = mirror_of(settings, given.value)
                path = str(await stack.enter_async_context(trees.checkout(theirs, given.revision)))
            elif given.type == "path":
                path = str(source / given.value)
            inputs[name] = msgspec.structs.replace(given, path=path)
        request = EvaluationRequest(
            source=source,
            revision=facts.commit_hash,
            expression=facts.nix_expression,
            flake_mode=facts.flake_mode,
            inputs=inputs,
            restrict=facts.restrict_eval,
            allow_import_from_derivation=facts.allow_import_from_derivation,
            timeout=facts.evaluation_timeout,
            workers=settings.evaluate.workers,
            memory_mb=settings.evaluate.max_memory_mb,
        )
        result = await evaluate(services.nix, request)
        claim = claimed.claim
        await add_roots(services.nix, claim.evaluation_id, (job.drv_path for job in result.jobs))
        recorded = await record_result(services.database, services.nix, claim, result)
    log.info(
        "evaluated" if recorded else "evaluated, but somebody else has taken over",
        project=facts.project,
        jobset=facts.jobset,
        commit=facts.commit_hash[:12],
        jobs=len(result.jobs),
        errors=len(result.errors),
        failure=result.failure,
    )
