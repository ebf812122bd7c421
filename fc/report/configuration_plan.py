"""What is said of revisions and previews of configuration. Pure.

The model, and why (docs/decisions/statuses.md):

- Each commit of a configuration repository that was tried has one status, ``fc/configuration``: whether it is in force.
- Each pull request on one has one, ``fc/plan``, on its head: what merging it would change.
- Both end in ``/<source>``, unless the source is the default one: several may read one repository.
- Of several revisions of one commit the newest speaks; of several pull requests with one head the newest does.
- What a plan would hold up is a failure: somebody has to do something before it comes into force.
"""

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from fc.base.source_settings import PLAN_CHECK, named_for
from fc.forge.status_messages import State, short
from fc.report.plan import Message

LONGEST = 140
"""Characters of a description that every forge shows."""
_DIGEST_SHOWN = 12
_DONE = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "rename": "renamed",
    "adopt": "adopted",
}
_ALWAYS = ("create", "update", "delete")


class ProblemFacts(msgspec.Struct, frozen=True):
    """What is wrong at one place."""

    message: str = ""
    file: str = ""
    """Below the source's path; empty: it is wrong at no place."""
    line: int = 0
    """From 1."""
    column: int = 0
    """From 1."""

    @property
    def place(self) -> str:
        """``file:line:column`` and a colon, for the front of a message; empty: there is none."""
        return f"{self.file}:{self.line}:{self.column}: " if self.file else ""


class FieldFacts(msgspec.Struct, frozen=True):
    """A field that differs."""

    field: str


class ChangeFacts(msgspec.Struct, frozen=True):
    """What happens to one resource."""

    action: str
    kind: str
    key: str
    file: str | None = None
    """Where it is declared, below the source's path; of one that is removed: where it was."""
    line: int | None = None
    """From 1."""
    fields: tuple[FieldFacts, ...] = ()


class PlanFacts(msgspec.Struct, frozen=True):
    """What is to change."""

    digest: str = ""
    summary: Mapping[str, int] = {}
    """How many of each action."""
    reasons: tuple[str, ...] = ()
    """Why it has to be confirmed."""
    changes: tuple[ChangeFacts, ...] = ()
    more: int = 0
    """Changes that are not among ``changes``: a plan is kept as far as it is not too long."""

    @property
    def short_digest(self) -> str:
        """Enough of the digest to confirm it."""
        return self.digest[:_DIGEST_SHOWN]


class RevisionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A commit that was tried."""

    id: uuid.UUID
    source: str
    commit: str | None
    """None: a directory was applied by hand."""
    status: Literal["applied", "failed", "held", "waiting"]
    plan: PlanFacts = PlanFacts()
    errors: tuple[ProblemFacts, ...] = ()
    opens_at: datetime | None = None
    """When the sync window opens that it waits for."""
    newest: bool = True
    """No later revision of this commit exists."""


class PreviewFacts(msgspec.Struct, frozen=True, kw_only=True):
    """A pull request."""

    source: str
    number: int
    commit: str
    """Its head."""
    status: Literal["pending", "planned", "held", "failed", "closed"]
    message: str | None = None
    """Why it failed, or would be held."""
    plan: PlanFacts = PlanFacts()
    errors: tuple[ProblemFacts, ...] = ()
    newest: bool = True
    """No later pull request that is open has the same head."""
    reruns: int = 0
    """How often somebody asked for its check to be made again."""


def revision_status(revision: RevisionFacts, public_url: str) -> Message | None:
    """The status of a commit of the followed branch; none: there is nothing to say.

    Args:
        revision: how it went.
        public_url: where FC's pages are, without a slash at the end.
    """
    if revision.commit is None or not revision.newest:
        return None
    state, description = _judge_revision(revision)
    return _status(
        revision.commit,
        context=named_for("fc/configuration", revision.source),
        state=state,
        description=description,
        target_url=f"{public_url}/configuration/revisions/{revision.id}",
    )


def preview_status(preview: PreviewFacts, public_url: str) -> Message | None:
    """The status of a pull request's head; arguments and answer as of ``revision_status``."""
    if preview.status == "closed" or not preview.newest:
        return None
    state, description = _judge_preview(preview)
    return _status(
        preview.commit,
        context=named_for(PLAN_CHECK, preview.source),
        state=state,
        description=description,
        target_url=f"{public_url}/configuration/previews/{preview.source}/{preview.number}",
    )


def _judge_revision(revision: RevisionFacts) -> tuple[State, str]:
    plan = revision.plan
    match revision.status:
        case "applied":
            done = [f"{count} {_DONE.get(action, action)}" for action, count in plan.summary.items() if count]
            return "success", f"Applied: {', '.join(done)}" if done else "In force, nothing had to change"
        case "failed":
            # Commits that are not signed have no place in a file.
            return "failure", _first_error(revision.errors, _reasons(plan, "It could not be applied"))
        case "held":
            return "failure", _ending("Held: " + _reasons(plan, None), f"; fcctl confirm {plan.short_digest}")
        case _:
            opens = revision.opens_at
            until = "" if opens is None else f" until {opens.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
            return "pending", f"Waits for its sync window{until}"


def _judge_preview(preview: PreviewFacts) -> tuple[State, str]:
    match preview.status:
        case "planned":
            return "success", _planned(preview.plan)
        case "held":
            return "failure", short("Would be held: " + _reasons(preview.plan, preview.message), LONGEST)
        case "failed":
            return "failure", _first_error(preview.errors, preview.message or "It could not be planned")
        case _:
            return "pending", "Being planned"


def _planned(plan: PlanFacts) -> str:
    if not any(plan.summary.values()):
        return "Nothing would change"
    actions = dict.fromkeys([*_ALWAYS, *plan.summary])
    shown = [
        f"{plan.summary.get(action, 0)} to {action}"
        for action in actions
        if action in _ALWAYS or plan.summary[action]
    ]
    return f"Plan: {', '.join(shown)}"


def _first_error(errors: tuple[ProblemFacts, ...], otherwise: str) -> str:
    if not errors:
        return short(otherwise, LONGEST)
    more = len(errors) - 1
    tail = f" (and {more} more {'error' if more == 1 else 'errors'})" if more else ""
    return _ending(errors[0].place + errors[0].message, tail)


def _reasons(plan: PlanFacts, otherwise: str | None) -> str:
    if not plan.reasons:
        return otherwise or "it has to be confirmed"
    more = len(plan.reasons) - 1
    return plan.reasons[0] + (f" (and {more} more {'reason' if more == 1 else 'reasons'})" if more else "")


def _ending(text: str, tail: str) -> str:
    """``text``, cut so that ``tail`` is never cut off."""
    return short(text, LONGEST - len(tail)) + tail


def _status(commit: str, *, context: str, state: State, description: str, target_url: str) -> Message:
    content: dict[str, Any] = {
        "state": state,
        "context": context,
        "description": description,
        "target_url": target_url,
        "sha": commit,
    }
    return Message(subject=f"{commit}:{context}", content=content)
