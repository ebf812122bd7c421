"""Why a configuration is not applied."""

from collections.abc import Iterable
from datetime import datetime

from fc.base.errors import ConflictError, InvalidInputError
from fc.base.problems import Problem, sorted_problems
from fc.config.diff import DIGEST_SHOWN, Plan


class ConfigurationError(InvalidInputError):
    """The configuration has problems; nothing of it was applied."""

    code = "configuration"

    def __init__(self, problems: Iterable[Problem], plan: Plan | None = None) -> None:
        self.problems = sorted_problems(problems)
        """Every one, by place."""
        self.plan = plan
        """What it would change, if that could be told."""
        count = len(self.problems)
        noun = "problem" if count == 1 else "problems"
        super().__init__("\n".join([f"the configuration has {count} {noun}:", *map(str, self.problems)]))

    @property
    def summary(self) -> str:
        """One sentence: the first problem, and how many there are."""
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        return f"{self.problems[0]}{more}"


class PlanChangedError(ConflictError):
    """Between the plan that was shown and its application something changed."""

    code = "plan_changed"

    def __init__(self, shown: str, found: str) -> None:
        self.shown = shown
        self.found = found
        super().__init__(
            f"the plan has changed since it was shown (it was {shown[:12]}, now it is {found[:12]}); plan again and look"
        )


class PlanHeldError(ConflictError):
    """The plan removes so much, or comes in such a way, that somebody has to confirm it."""

    code = "plan_held"

    def __init__(
        self, plan: Plan, reasons: tuple[str, ...], digest: str | None = None, *, by_commit: bool = True
    ) -> None:
        self.plan = plan
        self.reasons = reasons
        """One sentence each."""
        self.digest = digest or plan.digest
        """What has to be confirmed."""
        self.by_commit = by_commit
        """Whether a commit can do that."""
        shown = self.digest[:DIGEST_SHOWN]
        otherwise = (
            f", or a commit with the line 'FC-Confirm: {shown}' at its end; with a directory, fcctl apply --confirm {shown}"
            if by_commit
            else ""
        )
        super().__init__(
            f"the plan is held: {'; '.join(reasons)}. If it is meant, confirm it: fcctl confirm {shown}{otherwise}"
        )


class PlanWaitingError(ConflictError):
    """The plan may be applied, but not now."""

    code = "plan_waiting"

    def __init__(
        self, plan: Plan, reasons: tuple[str, ...], digest: str, passed: str, opens_at: datetime | None
    ) -> None:
        self.plan = plan
        self.reasons = reasons
        """For which it had to be confirmed, and was."""
        self.digest = digest
        """What is confirmed to have it applied now."""
        self.passed = passed
        """What had to be confirmed before, if anything."""
        self.opens_at = opens_at
        """When it is applied; none: no window opens that can be foreseen."""
        when = (
            "and none is foreseen" if opens_at is None else f"which opens at {opens_at:%Y-%m-%d %H:%M:%S} UTC"
        )
        super().__init__(f"the plan waits for a sync window, {when}")


class UntrustedError(InvalidInputError):
    """Commits are not signed as they must be; nothing of them was read."""

    code = "untrusted_commit"

    def __init__(self, reasons: Iterable[str]) -> None:
        self.reasons = tuple(reasons)
        """One sentence each."""
        super().__init__("; ".join(self.reasons))
