"""Why a configuration is not applied."""

from collections.abc import Iterable

from fc.base.errors import ConflictError, InvalidInputError
from fc.base.problems import Problem, sorted_problems


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


class RemovesEverythingError(ConflictError):
    """The plan would remove all there is, as an empty or wrong directory does."""

    code = "removes_everything"

    def __init__(self, count: int) -> None:
        self.count = count
        super().__init__(
            f"this would remove everything that git owns here ({count} resources), as an empty repository or a wrong "
            "path does; if it is meant, run fcctl apply with --remove-everything"
        )
