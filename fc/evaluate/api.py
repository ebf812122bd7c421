"""Routes of evaluation: the forges' webhooks, evaluations for programs, and a check at once."""

import uuid
from typing import Annotated, Any

import msgspec
import structlog
from litestar import Request, Response, get, post
from litestar.params import Parameter

from fc.access.audit import record_event
from fc.access.guards import principal, requires
from fc.base.database import Database
from fc.base.errors import NotFoundError, SecretMissingError, SignatureError, WebhookError
from fc.base.secrets import Secrets
from fc.evaluate.requests import (
    Hook,
    find_hook,
    followers,
    own_file,
    request_checks,
    request_evaluation,
    request_file,
)
from fc.forge.events import Event, Forge, Ping, PullRequest, Push
from fc.forge.webhooks import delivery_id, event_name, parse, verify
from fc.tables.delivery_log import log_delivery
from fc.tables.evaluation_queries import (
    EvaluationDetail,
    EvaluationErrorRow,
    EvaluationRow,
    evaluation_errors,
    find_evaluation,
    find_jobset,
    recent_evaluations,
)

_LARGEST_HOOK = 25 << 20
"""GitHub sends at most 25 MB."""
_JOBSET = "jobset"
_EVALUATION = "evaluation"

log = structlog.get_logger(__name__)


class ProjectHookAnswer(msgspec.Struct, frozen=True):
    """What a webhook leads to."""

    status: str
    """``accepted``, ``ignored`` or ``duplicate``."""
    detail: str


class EvaluationPage(msgspec.Struct, frozen=True):
    """Some of the evaluations, newest first."""

    items: list[EvaluationRow]
    next: uuid.UUID | None
    """``before`` of the following page; none: this is the last."""


class EvaluationAnswer(msgspec.Struct, frozen=True):
    """One evaluation, what it was made from, and which of its jobs could not be evaluated."""

    detail: EvaluationDetail
    errors: list[EvaluationErrorRow]
    """The first thousand, by job."""


class CheckAnswer(msgspec.Struct, frozen=True):
    """What asking for an evaluation leads to."""

    status: str
    """``requested``: the jobset is checked at once; ``retried``: and its failed evaluation is tried again."""
    evaluation: uuid.UUID | None
    """The evaluation that is tried again."""


@post(
    "/hooks/{project:str}/{forge:str}",
    status_code=202,
    tags=["hooks"],
    summary="Webhook of a project's repository",
    request_max_body_size=_LARGEST_HOOK,
)
async def project_hook(
    request: Request[Any, Any, Any], project: str, forge: Forge, database: Database, secrets: Secrets
) -> Response[ProjectHookAnswer]:
    """Check at once the jobsets that follow the pushed branch. Anything without a valid signature is refused."""
    body = await request.body()
    target = f"project/{project}"
    delivery = delivery_id(forge, request.headers, body)
    hook = await find_hook(database, project, forge)
    try:
        verify(forge, request.headers, body, _secret(secrets, hook, forge))
        event = parse(forge, request.headers, body)
        name = event_name(forge, request.headers)
    except (SignatureError, WebhookError) as error:
        # Anybody can send anything to a project that does not exist: no row is kept of that.
        if hook.project_exists:
            await log_delivery(database, forge, target, delivery, "", "refused", str(error))
        raise
    async with database.transaction() as connection:
        ignored = _why_ignored(event)
        found: dict[uuid.UUID, str] = {}
        file: uuid.UUID | None = None
        if isinstance(event, Push) and not ignored:
            found = await followers(connection, project, event)
            file = await own_file(connection, project, event)
            if not found and file is None:
                ignored = "no jobset follows it"
        status: Any = "ignored" if ignored else "accepted"
        new = await log_delivery(connection, forge, target, delivery, name, status, ignored)
        if new and found:
            await request_checks(connection, found)
        if new and file is not None:
            await request_file(connection, file)
    if not new:
        return _answer(200, "duplicate", "this delivery was received before")
    if ignored:
        return _answer(200, "ignored", ignored)
    looked_at = [*found.values(), *([".fc.yaml"] if file is not None else [])]
    return _answer(202, "accepted", f"checked at once: {', '.join(looked_at)}")


def _answer(code: int, status: str, detail: str) -> Response[ProjectHookAnswer]:
    return Response(ProjectHookAnswer(status, detail), status_code=code)


def _secret(secrets: Secrets, hook: Hook, forge: Forge) -> str:
    """What the hook is signed with. It is not said whether the project or only its hook is missing."""
    if hook.secret is None:
        message = f"hooks of {forge} are refused here: none is configured"
        raise SignatureError(message)
    try:
        return secrets.reveal(hook.secret)
    except SecretMissingError as error:
        # Where secrets are looked for is nobody's business out there.
        log.warning("a webhook is refused", forge=forge, reason=str(error))
        message = f"hooks of {forge} are refused: their secret is missing on this server"
        raise SignatureError(message) from None


def _why_ignored(event: Event) -> str | None:
    """Why an event is of no interest; none: it may be."""
    if isinstance(event, Ping):
        return "the hook works"
    if isinstance(event, PullRequest):
        return "pull requests are not evaluated"
    if not isinstance(event, Push):
        return "only pushes matter here"
    if event.branch is None and event.tag is None:
        return "it is neither a branch nor a tag"
    return f"{event.ref} was deleted" if event.deleted else None


@get(
    "/api/v1/projects/{project:str}/jobsets/{jobset:str}/evaluations",
    tags=["evaluations"],
    summary="Evaluations of a jobset",
)
async def list_evaluations(
    database: Database,
    project: str,
    jobset: str,
    before: Annotated[uuid.UUID | None, Parameter(description="Only older than this evaluation.")] = None,
    limit: Annotated[int, Parameter(ge=1, le=200, description="How many.")] = 20,
) -> EvaluationPage:
    """Newest first."""
    found = await find_jobset(database, project, jobset)
    if found is None:
        raise NotFoundError(_JOBSET, f"{project}/{jobset}")
    rows = await recent_evaluations(database, jobset=found.id, before=before, limit=limit + 1)
    return EvaluationPage(rows[:limit], rows[limit - 1].id if len(rows) > limit else None)


@get("/api/v1/evaluations/{evaluation_id:uuid}", tags=["evaluations"], summary="One evaluation")
async def get_evaluation(database: Database, evaluation_id: uuid.UUID) -> EvaluationAnswer:
    """What it was made from, how its builds stand, and the jobs that could not be evaluated."""
    found = await find_evaluation(database, evaluation_id)
    if found is None:
        raise NotFoundError(_EVALUATION, str(evaluation_id))
    return EvaluationAnswer(found, await evaluation_errors(database, evaluation_id))


@post(
    "/api/v1/projects/{project:str}/jobsets/{jobset:str}/evaluate",
    status_code=202,
    guards=[requires("eval-jobset")],
    tags=["evaluations"],
    summary="Check a jobset at once",
)
async def evaluate_jobset(
    request: Request[Any, Any, Any], database: Database, project: str, jobset: str
) -> CheckAnswer:
    """Look for something new at once. If the newest evaluation has failed, it is tried again as it is."""
    found = await find_jobset(database, project, jobset)
    if found is None:
        raise NotFoundError(_JOBSET, f"{project}/{jobset}")
    async with database.transaction() as connection:
        retried = await request_evaluation(connection, found.id)
        await record_event(
            connection,
            actor=principal(request).actor,
            action="eval-jobset",
            kind=_JOBSET,
            key=f"{project}/{jobset}",
            details={"retried": None if retried is None else str(retried)},
        )
    return CheckAnswer("requested" if retried is None else "retried", retried)


ROUTES = [project_hook, list_evaluations, get_evaluation, evaluate_jobset]
"""What the application serves of evaluation."""
