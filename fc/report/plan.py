"""Which statuses and events arise from how an evaluation and its builds stand. Pure.

The model, and why (docs/decisions/statuses.md):

- Each evaluation has one summary status, ``fc/<project>/<jobset>``. It is pending until every build is final,
  except that jobs which cannot be evaluated make it fail at once: they have no status of their own.
- Each build can have a status of its own, ``fc/<project>/<jobset>/<job>``. In an evaluation of few jobs
  (``INDIVIDUAL_STATUSES``) every build has one, from pending on. In a larger one only failures have, and no more
  than that many; the summary counts the rest.
- A status that was once reported is kept true: whatever becomes of that job at that commit is reported too.
- Of several evaluations of one jobset at one commit only the newest speaks to forges.
- What was reported last and would be reported again in the same words is not reported again.
- Everything final but ``succeeded`` is a failure, ``cached_failure`` and ``dependency_failed`` included; what FC
  itself gave up is an error, what a person stopped is cancelled.
- Webhooks get an event for each build and each evaluation that is final, and nothing about what is not.
"""

import uuid
from collections.abc import Iterable, Mapping
from typing import Any, Literal, TypeAlias

import msgspec

from fc.forge.status_messages import State
from fc.tables.build_queries import BuildStatus
from fc.tables.evaluation_queries import EvaluationStatus

INDIVIDUAL_STATUSES = 47
"""Statuses of single jobs for one evaluation and one target. With the summary and a second jobset's that stays
under a hundred for a commit, below which GitHub's limit on content (about 80 a minute) is no trouble, and a list
that people still read."""

_BUILDS: dict[BuildStatus, tuple[State, str]] = {
    "pending": ("pending", "Waiting to be built"),
    "running": ("running", "Being built"),
    "succeeded": ("success", "Built"),
    "failed": ("failure", "The build failed"),
    "dependency_failed": ("failure", "Not built: something it needs failed"),
    "aborted": ("error", "FC could not carry out the build"),
    "cancelled": ("cancelled", "Cancelled"),
    "failed_with_output": ("failure", "Built, but it says of itself that it failed"),
    "timeout": ("failure", "The build took too long"),
    "cached_failure": ("failure", "It failed before and was not tried again"),
    "unsupported_system": ("failure", "No builder can build for its system"),
    "log_limit_exceeded": ("failure", "The build wrote too much log"),
    "nar_size_limit_exceeded": ("failure", "The output is too large"),
    "non_deterministic": ("failure", "A second build had another result"),
}
_EVALUATIONS: dict[EvaluationStatus, tuple[State, str]] = {
    "pending": ("pending", "Being evaluated"),
    "running": ("pending", "Being evaluated"),
    "timed_out": ("failure", "The evaluation took too long"),
    "cancelled": ("cancelled", "The evaluation was cancelled"),
}
_LONGEST_REASON = 100


class EvaluationFacts(msgspec.Struct, frozen=True, kw_only=True):
    """How an evaluation stands."""

    id: uuid.UUID
    project: str
    jobset: str
    commit: str
    status: EvaluationStatus
    error_message: str | None = None
    errors: int = 0
    """Jobs that could not be evaluated."""
    newest: bool = True
    """No later evaluation of this jobset at this commit exists."""
    total: int = 0
    unfinished: int = 0
    succeeded: int = 0
    cancelled: int = 0
    aborted: int = 0

    @property
    def failed(self) -> int:
        """Builds that are final and neither succeeded nor cancelled nor aborted."""
        return self.total - self.unfinished - self.succeeded - self.cancelled - self.aborted

    @property
    def final(self) -> bool:
        """Nothing of it will change by itself."""
        return self.status not in {"pending", "running"} and self.unfinished == 0


class BuildFacts(msgspec.Struct, frozen=True):
    """How a build stands."""

    id: uuid.UUID
    job: str
    status: BuildStatus

    @property
    def state(self) -> State:
        """In the words of statuses."""
        return _BUILDS[self.status][0]


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be said about one subject."""

    subject: str
    """Of messages about the same subject only the newest counts."""
    content: dict[str, Any]
    """A status without its repository, or an event."""
    build_id: uuid.UUID | None = None
    """None: it is about the evaluation as a whole."""


class Reported(msgspec.Struct, frozen=True):
    """What was planned last about a subject, delivered or not."""

    content: Mapping[str, Any]
    undeliverable: bool = False
    """It was given up."""


Earlier: TypeAlias = Mapping[str, Reported]
"""By subject."""


def plan_statuses(
    evaluation: EvaluationFacts,
    builds: Iterable[BuildFacts],
    earlier: Earlier,
    listed: int,
    public_url: str,
    limit: int = INDIVIDUAL_STATUSES,
) -> list[Message]:
    """The statuses to report to one forge.

    Args:
        evaluation: how it stands.
        builds: those of its builds that may have changed.
        earlier: what was planned last for this target, at least about every subject in question.
        listed: jobs of this evaluation that have a status of their own at this target.
        public_url: where FC's pages are, without a slash at the end.
        limit: most statuses of single jobs.
    """
    if not evaluation.newest:
        return []
    messages = []
    summary = summarise(evaluation, public_url, limit)
    last = earlier.get(summary.subject)
    # A summary is looked at after every build: one that could not be delivered is not tried again by that.
    if last is None or last.content != summary.content:
        messages.append(summary)
    for build in builds:
        message = build_status(evaluation, build, public_url)
        last = earlier.get(message.subject)
        if last is None:
            wanted = evaluation.total <= limit or build.state in {"failure", "error"}
            if wanted and listed < limit:
                listed += 1
                messages.append(message)
        elif _is_news(message, last):
            messages.append(message)
    return messages


def plan_events(
    evaluation: EvaluationFacts, builds: Iterable[BuildFacts], earlier: Earlier, public_url: str
) -> list[Message]:
    """The events to post to one webhook; arguments as for ``plan_statuses``."""
    messages = [
        build_event(evaluation, build, public_url)
        for build in builds
        if build.state not in {"pending", "running"}
    ]
    if evaluation.final:
        messages.append(evaluation_event(evaluation, public_url))
    return [
        message
        for message in messages
        if (last := earlier.get(message.subject)) is None or _is_news(message, last)
    ]


def summarise(evaluation: EvaluationFacts, public_url: str, limit: int = INDIVIDUAL_STATUSES) -> Message:
    """The status of an evaluation as a whole."""
    state, description = _judge(evaluation, limit)
    return _status(
        evaluation,
        context=f"fc/{evaluation.project}/{evaluation.jobset}",
        state=state,
        description=description,
        target_url=f"{public_url}/evaluations/{evaluation.id}",
    )


def build_status(evaluation: EvaluationFacts, build: BuildFacts, public_url: str) -> Message:
    """The status of one build."""
    state, description = _BUILDS[build.status]
    message = _status(
        evaluation,
        context=f"fc/{evaluation.project}/{evaluation.jobset}/{build.job}",
        state=state,
        description=description,
        target_url=f"{public_url}/builds/{build.id}",
    )
    return msgspec.structs.replace(message, build_id=build.id)


def build_event(evaluation: EvaluationFacts, build: BuildFacts, public_url: str) -> Message:
    """What a webhook is told of a build."""
    content = _event(evaluation, "build_finished") | {
        "build": str(build.id),
        "job": build.job,
        "status": build.status,
        "state": build.state,
        "url": f"{public_url}/builds/{build.id}",
    }
    return Message(subject=f"build {build.id}", content=content, build_id=build.id)


def evaluation_event(evaluation: EvaluationFacts, public_url: str) -> Message:
    """What a webhook is told of an evaluation."""
    state, description = _judge(evaluation, INDIVIDUAL_STATUSES)
    content = _event(evaluation, "evaluation_finished") | {
        "build": None,
        "job": None,
        "status": evaluation.status,
        "state": state,
        "description": description,
        "url": f"{public_url}/evaluations/{evaluation.id}",
    }
    return Message(subject=f"evaluation {evaluation.id}", content=content)


def subjects(evaluation: EvaluationFacts, builds: Iterable[BuildFacts]) -> list[str]:
    """Every subject that either of the plans may speak about."""
    messages = [summarise(evaluation, ""), evaluation_event(evaluation, "")]
    for build in builds:
        messages += [build_status(evaluation, build, ""), build_event(evaluation, build, "")]
    return [message.subject for message in messages]


def _is_news(message: Message, last: Reported) -> bool:
    return last.undeliverable or last.content != message.content


def _status(
    evaluation: EvaluationFacts, *, context: str, state: State, description: str, target_url: str
) -> Message:
    return Message(
        subject=f"{evaluation.commit} {context}",
        content={
            "state": state,
            "context": context,
            "description": description,
            "target_url": target_url,
            "sha": evaluation.commit,
        },
    )


def _event(
    evaluation: EvaluationFacts, kind: Literal["build_finished", "evaluation_finished"]
) -> dict[str, Any]:
    return {
        "event": kind,
        "project": evaluation.project,
        "jobset": evaluation.jobset,
        "evaluation": str(evaluation.id),
        "commit": evaluation.commit,
    }


def _judge(evaluation: EvaluationFacts, limit: int) -> tuple[State, str]:
    if evaluation.status == "failed":
        return "failure", f"The evaluation failed: {_reason(evaluation.error_message)}"
    if evaluation.status == "completed":
        return _judge_builds(evaluation, limit)
    return _EVALUATIONS[evaluation.status]


def _judge_builds(evaluation: EvaluationFacts, limit: int) -> tuple[State, str]:
    failed = evaluation.failed
    parts = []
    if evaluation.unfinished:
        parts.append(f"Building {_jobs(evaluation.total)}")
    elif failed:
        shown = f" ({limit} are listed)" if failed > limit else ""
        parts.append(f"{failed} of {_jobs(evaluation.total)} failed{shown}")
    if evaluation.errors:
        parts.append(f"{_jobs(evaluation.errors)} could not be evaluated")
    if not evaluation.unfinished:
        parts += [f"{evaluation.aborted} could not be carried out"] if evaluation.aborted else []
        parts += [f"{evaluation.cancelled} cancelled"] if evaluation.cancelled else []
    if not parts:
        return (
            "success",
            f"Built {_jobs(evaluation.total)}" if evaluation.total else "There is nothing to build",
        )
    return _worst(evaluation), ", ".join(parts)


def _worst(evaluation: EvaluationFacts) -> State:
    if evaluation.errors:
        return "failure"
    if evaluation.unfinished:
        return "pending"
    if evaluation.failed:
        return "failure"
    return "error" if evaluation.aborted else "cancelled"


def _jobs(count: int) -> str:
    return f"{count} job" if count == 1 else f"{count} jobs"


def _reason(message: str | None) -> str:
    """The line that says most: the last that starts with ``error:``, as Nix writes it; else the first."""
    lines = [line.strip() for line in (message or "").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error:") and line != "error:"]
    return (errors[-1] if errors else lines[0] if lines else "no reason was given")[:_LONGEST_REASON]
