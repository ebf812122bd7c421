"""Routes of configuration: the hook of its repository, and what became of it."""

import uuid
from typing import Annotated, Any

import msgspec
from litestar import Request, get, post
from litestar.params import JSONBody, Parameter

from fc.access.audit import record_event
from fc.access.guards import principal, requires
from fc.base.database import Database
from fc.base.errors import NotFoundError, SecretMissingError, SignatureError, WebhookError
from fc.base.secrets import Secrets
from fc.base.settings import Settings
from fc.base.source_settings import SourceSettings
from fc.config.drift_api import ROUTES as DRIFT
from fc.config.plan_api import plan_working_copy
from fc.config.preview_api import ROUTES as PREVIEWS
from fc.config.preview_hooks import rerun_sources, take_pull_request, take_rerun, why_not_previewed
from fc.config.previews import base_moved
from fc.config.resource_api import ROUTES as RESOURCES
from fc.config.sources import SOURCE, confirm, request_sync
from fc.forge.events import Event, Forge, PullRequest, Push, Rerun
from fc.forge.webhooks import delivery_id, event_name, parse, verify
from fc.tables.config_change_queries import planned_changes
from fc.tables.configuration_queries import (
    ConfigChange,
    ConfigRevision,
    ConfigSource,
    config_changes,
    config_resource_counts,
    config_revision,
    config_revisions,
    config_sources,
)
from fc.tables.delivery_log import log_delivery
from fc.tables.pause_queries import ConfigPause, config_pauses

_TARGET = "configuration"
_LARGEST_HOOK = 25 << 20
"""Bytes; GitHub sends no more."""
_REVISION = "configuration revision"


class Confirmation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which plan is meant though it removes much."""

    digest: str
    """Of the plan that is held; its first twelve characters do."""


class ConfirmedPlan(msgspec.Struct, frozen=True):
    """What was confirmed."""

    digest: str


class HookAnswer(msgspec.Struct, frozen=True):
    """What a webhook leads to."""

    status: str
    """``accepted``, ``ignored`` or ``duplicate``."""
    detail: str


class ConfigurationState(msgspec.Struct, frozen=True):
    """The configuration repositories, and how much they own."""

    sources: list[ConfigSource]
    resources: dict[str, int]
    """How many resources of each kind git owns."""
    pauses: list[ConfigPause]
    """Sources that are not followed now, and why."""


class RevisionPage(msgspec.Struct, frozen=True):
    """Some of the revisions, newest first."""

    items: list[ConfigRevision]
    next: uuid.UUID | None
    """``before`` of the following page; none: this is the last."""


class RevisionDetail(msgspec.Struct, frozen=True):
    """A revision and everything it changed, or would have changed if it had been applied."""

    revision: ConfigRevision
    changes: list[ConfigChange]
    more: int = 0
    """How many more changes there are; of a large plan that was not applied only the first ones are kept."""


@post(
    ["/hooks/configuration/{forge:str}", "/hooks/configuration/{source:str}/{forge:str}"],
    status_code=202,
    request_max_body_size=_LARGEST_HOOK,
    tags=["hooks"],
    summary="Hook of a configuration repository",
)
async def configuration_hook(
    request: Request[Any, Any, Any],
    forge: Forge,
    database: Database,
    settings: Settings,
    secrets: Secrets,
    source: str = SOURCE,
) -> HookAnswer:
    """Synchronise at once when the followed branch was pushed; preview pull requests to it, again on request. Anything without a valid signature is refused.

    Without the name of a source it is the repository that the settings describe as ``configuration.url``.
    """
    body = await request.body()
    delivery = delivery_id(forge, request.headers, body)
    target = _TARGET if source == SOURCE else f"{_TARGET}/{source}"
    configured = settings.configuration.followed.get(source)
    try:
        verify(forge, request.headers, body, _hook_secret(source, configured, secrets))
        event = parse(forge, request.headers, body)
        name = event_name(forge, request.headers)
    except (SignatureError, WebhookError) as error:
        if configured is not None:
            await log_delivery(database, forge, target, delivery, "", "refused", str(error))
        raise
    assert configured is not None
    reruns = rerun_sources(event, settings.configuration.followed) if isinstance(event, Rerun) else []
    ignored = _why_ignored(event, configured, reruns)
    done, detail = True, "the configuration is synchronised"
    async with database.transaction() as connection:
        if ignored:
            new = await log_delivery(connection, forge, target, delivery, name, "ignored", ignored)
        else:
            new = await log_delivery(connection, forge, target, delivery, name, "accepted")
            if new and isinstance(event, PullRequest):
                done, detail = await take_pull_request(connection, source, configured, event)
            elif new and isinstance(event, Rerun):
                done, detail = await take_rerun(connection, reruns, event)
            elif new and isinstance(event, Push):
                await request_sync(connection, source)
                await base_moved(connection, source, event.after)
    if not new:
        return HookAnswer("duplicate", "this delivery was received before")
    if ignored:
        return HookAnswer("ignored", ignored)
    return HookAnswer("accepted" if done else "ignored", detail)


def _hook_secret(source: str, configured: SourceSettings | None, secrets: Secrets) -> str:
    where = "configuration" if source == SOURCE else f"configuration.sources.{source}"
    if configured is None or configured.webhook_secret is None:
        # Whether there is such a source is nobody's business without a signature.
        message = f"hooks of this configuration repository are refused: {where}.webhook_secret is not set"
        raise SignatureError(message)
    try:
        return secrets.resolve(configured.webhook_secret)
    except SecretMissingError as error:
        message = f"hooks of this configuration repository are refused: {error}"
        raise SignatureError(message) from None


def _why_ignored(event: Event, configured: SourceSettings, reruns: list[str]) -> str | None:
    """Why an event is of no interest; none: it is."""
    if isinstance(event, PullRequest):
        return why_not_previewed(event, configured)
    if isinstance(event, Rerun):
        return None if reruns else "this check was not made by FC for a pull request"
    branch = configured.branch
    if not isinstance(event, Push):
        return "only pushes and pull requests matter here"
    if event.branch != branch.removeprefix("refs/heads/"):
        return f"only the branch {branch!r} is followed"
    return "the branch was deleted" if event.deleted else None


@get("/api/v1/configuration", tags=["configuration"], summary="State of the configuration repositories")
async def get_configuration(database: Database) -> ConfigurationState:
    """The last synchronisation of each configuration repository, its errors, and how much git owns."""
    return ConfigurationState(
        await config_sources(database), await config_resource_counts(database), await config_pauses(database)
    )


@get("/api/v1/configuration/revisions", tags=["configuration"], summary="Revisions of the configuration")
async def list_configuration_revisions(
    database: Database,
    before: Annotated[uuid.UUID | None, Parameter(description="Only older than this revision.")] = None,
    limit: Annotated[int, Parameter(ge=1, le=200, description="How many.")] = 50,
) -> RevisionPage:
    """Every commit that was tried, newest first."""
    found = await config_revisions(database, before=before, limit=limit + 1)
    return RevisionPage(found[:limit], found[limit - 1].id if len(found) > limit else None)


@post(
    "/api/v1/configuration/confirmations",
    status_code=202,
    guards=[requires("configure")],
    tags=["configuration"],
    summary="Confirm the plan that is held",
)
async def confirm_plan(
    request: Request[Any, Any, Any], database: Database, data: JSONBody[Confirmation]
) -> ConfirmedPlan:
    """Have the plan that is held, or waits for a sync window, applied, if it is still the same when the service looks."""
    async with database.transaction() as connection:
        digest = await confirm(connection, data.digest)
        await record_event(
            connection, actor=principal(request).actor, action="configure", kind="plan", key=digest
        )
    return ConfirmedPlan(digest)


@get(
    "/api/v1/configuration/revisions/{revision_id:uuid}",
    tags=["configuration"],
    summary="A revision and its changes",
)
async def get_configuration_revision(database: Database, revision_id: uuid.UUID) -> RevisionDetail:
    """What a revision changed or would change, field by field, or why it failed."""
    found = await config_revision(database, revision_id)
    if found is None:
        raise NotFoundError(_REVISION, str(revision_id))
    if found.status != "applied":
        planned = await planned_changes(database, revision_id)
        return RevisionDetail(found, planned.changes, planned.more) if planned else RevisionDetail(found, [])
    return RevisionDetail(found, await config_changes(database, revision_id))


ROUTES = [
    configuration_hook,
    get_configuration,
    list_configuration_revisions,
    get_configuration_revision,
    confirm_plan,
    plan_working_copy,
    *DRIFT,
    *RESOURCES,
    *PREVIEWS,
]
"""What the application serves of configuration."""
