"""Delegation: whether what a project's own file declares is within what its project allows. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from fc.base.problems import Problem, sorted_problems
from fc.config.compile import Resource, ResourceId
from fc.config.delegate_fields import Delegate, DelegateLimits

MAX_OTHERS = 1000
"""Most inputs and channels of one file."""


def beyond_delegation(
    resources: Mapping[ResourceId, Resource], delegate: Delegate, repository_url: str, place: str
) -> tuple[Problem, ...]:
    """A problem for each thing that goes further than ``delegate``, at its line.

    Args:
        resources: what the file declares.
        delegate: of its project.
        repository_url: of its project; inputs may always be of the same repository.
        place: where that stands, for people.
    """
    by_kind: dict[str, list[Resource]] = {"jobset": [], "input": [], "channel": []}
    for one in resources.values():
        by_kind[one.kind].append(one)
    jobsets, inputs, channels = by_kind.values()
    too_many = [
        *_too_many(jobsets, delegate.limits.max_jobsets, "jobsets", f"max_jobsets of {place}"),
        *_too_many([*inputs, *channels], MAX_OTHERS, "inputs and channels", "of any file"),
    ]
    if too_many:
        # Thousands of further problems would tell nobody anything.
        return sorted_problems(too_many)
    limits = delegate.limits
    return sorted_problems(
        [
            *_withheld(jobsets, "jobsets", place, given=delegate.jobsets),
            *_withheld(channels, "channels", place, given=delegate.channels),
            *(one for jobset in jobsets for one in _jobset(jobset, limits, place)),
            *(one for declared in inputs for one in _input(declared, limits, repository_url, place)),
            *_shares(jobsets, limits, place),
        ]
    )


def _too_many(declared: list[Resource], most: int, what: str, limit: str) -> list[Problem]:
    if len(declared) <= most:
        return []
    first = sorted(declared, key=lambda one: (one.line, one.column))[most]
    return [_problem(first, f"there are {len(declared)} {what}, the most is {most} ({limit})")]


def _withheld(declared: Iterable[Resource], what: str, place: str, *, given: bool) -> list[Problem]:
    if given:
        return []
    return [
        _problem(one, f"{_called(one)}: the project does not delegate {what} (delegate.{what} of {place})")
        for one in declared
    ]


def _jobset(jobset: Resource, limits: DelegateLimits, place: str) -> Iterator[Problem]:
    fields = jobset.fields
    bounds = (
        ("check_interval", "min_check_interval", fields["check_interval"] < limits.min_check_interval),
        (
            "evaluation_timeout",
            "max_evaluation_timeout",
            fields["evaluation_timeout"] > limits.max_evaluation_timeout,
        ),
        ("keep_nr", "max_keep_nr", fields["keep_nr"] > limits.max_keep_nr),
    )
    for field, limit, passed in bounds:
        if passed:
            edge = "least" if limit.startswith("min") else "most"
            allowed = getattr(limits, limit)
            message = f"{field} is {fields[field]}, the {edge} is {allowed} ({limit} of {place})"
            yield _problem(jobset, f"{_called(jobset)}: {message}")
    wants = (
        ("restrict_eval: false", "unrestricted_eval", not fields["restrict_eval"]),
        (
            "allow_import_from_derivation: true",
            "allow_import_from_derivation",
            fields["allow_import_from_derivation"],
        ),
        ("on_remove: delete", "on_remove_delete", fields.get("on_remove") == "delete"),
    )
    for wanted, limit, asked in wants:
        if asked and not getattr(limits, limit):
            yield _problem(jobset, _refused(jobset, wanted, limit, place))


def _input(declared: Resource, limits: DelegateLimits, repository_url: str, place: str) -> Iterator[Problem]:
    kind, value = declared.fields["type"], declared.fields["value"]
    local = kind == "path" or (kind == "git" and value.startswith(("/", "file:")))
    if value == repository_url and kind == "git":
        return
    if local and not limits.path_inputs:
        yield _problem(
            declared, _refused(declared, "a path on the machine that evaluates", "path_inputs", place)
        )
    # Whoever may use the service's key may read what only the service should.
    by_key = kind == "git" and not local and not value.startswith(("https:", "http:", "git:"))
    if by_key and not limits.ssh_inputs:
        yield _problem(declared, _refused(declared, "a repository fetched over SSH", "ssh_inputs", place))


def _shares(jobsets: Iterable[Resource], limits: DelegateLimits, place: str) -> list[Problem]:
    total = 0
    for jobset in sorted(jobsets, key=lambda one: (one.line, one.column)):
        if jobset.fields["enabled"] and jobset.fields["state"] != "disabled":
            total += jobset.fields["scheduling_shares"]
        if total > limits.max_scheduling_shares:
            message = (
                f"{_called(jobset)}: the scheduling_shares up to here are {total} together, the most is "
                f"{limits.max_scheduling_shares} (max_scheduling_shares of {place})"
            )
            return [_problem(jobset, message)]
    return []


def _refused(one: Resource, wanted: str, limit: str, place: str) -> str:
    return f"{_called(one)}: {wanted} is not allowed ({limit} of {place})"


def _called(one: Resource) -> str:
    return f"{one.kind} {one.key.partition('/')[2]!r}"


def _problem(one: Resource, message: str) -> Problem:
    return Problem(one.file, one.line, one.column, message)
