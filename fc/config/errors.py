"""Why a configuration is not applied."""

from collections.abc import Iterable

from fc.base.errors import ConflictError, InvalidInputError
from fc.base.problems import Problem, sorted_problems
from fc.config.diff import Plan


class ConfigurationError(InvalidInputError):
    """The configuration has problems; nothing of it was applied."""

    code = "configuration"

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted_problems(problems)
        """Every one, by place."""
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
    """The plan removes so much that somebody has to confirm it."""

    code = "plan_held"

    def __init__(self, plan: Plan, reasons: tuple[str, ...]) -> None:
        self.plan = plan
        self.reasons = reasons
        """One sentence each."""
        super().__init__(
            f"the plan is held: {'; '.join(reasons)}. If it is meant, confirm it: fcctl confirm {plan.short_digest}, "
            f"or a commit with the line 'FC-Confirm: {plan.short_digest}' at its end; with a directory, fcctl apply "
            f"--confirm {plan.short_digest}"
        )
