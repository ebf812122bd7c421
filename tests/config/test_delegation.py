"""Limits of delegation: what each refuses, and at which line."""

import pytest

from fc.config.compile import Compiled
from fc.config.delegate_fields import Delegate, DelegateLimits
from fc.config.delegated_rows import projects_of
from fc.config.delegation import MAX_OTHERS, beyond_delegation
from fc.config.diff import Owned, diff
from fc.config.nodes import compose
from fc.config.project_file import check_file, compile_file
from tests.support.configuration import compiled, project, shown

URL = "ssh://git@git.example.org/tools/hello.git"
ALL = Delegate(jobsets=True, channels=True)
WIDE = DelegateLimits(
    allow_import_from_derivation=True,
    unrestricted_eval=True,
    path_inputs=True,
    ssh_inputs=True,
    on_remove_delete=True,
)


def file(text: str) -> Compiled:
    made = compile_file(check_file(compose(".fc.yaml", text.encode()), "", {}, {}), "hello")
    assert shown(made.problems) == []
    return made


def jobset(**fields: object) -> str:
    said = ", ".join(f"{name}: {value}" for name, value in fields.items())
    return f"jobsets:\n  m: {{nix_expression: x{', ' if said else ''}{said}}}\n"


def inputs(value: str, kind: str = "git") -> str:
    return jobset(inputs=f"{{i: {{type: {kind}, value: '{value}'}}}}")


def problems(text: str, delegate: Delegate = ALL) -> list[str]:
    found = beyond_delegation(file(text).resources, delegate, URL, "PLACE")
    return [str(one).removeprefix(".fc.yaml:") for one in found]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (jobset(check_interval=59), "2:3: jobset 'm': check_interval is 59, the least is 60 (min_check_interval of PLACE)"),
        (jobset(evaluation_timeout="31m"), "2:3: jobset 'm': evaluation_timeout is 1860, the most is 1800 (max_evaluation_timeout of PLACE)"),
        (jobset(keep_nr=11), "2:3: jobset 'm': keep_nr is 11, the most is 10 (max_keep_nr of PLACE)"),
        (jobset(restrict_eval="false"), "2:3: jobset 'm': restrict_eval: false is not allowed (unrestricted_eval of PLACE)"),
        (jobset(allow_import_from_derivation="true"), "2:3: jobset 'm': allow_import_from_derivation: true is not allowed (allow_import_from_derivation of PLACE)"),
        (jobset(on_remove="delete"), "2:3: jobset 'm': on_remove: delete is not allowed (on_remove_delete of PLACE)"),
        (inputs("/etc", "path"), "2:35: input 'm/i': a path on the machine that evaluates is not allowed (path_inputs of PLACE)"),
        (inputs("/srv/git/x.git"), "2:35: input 'm/i': a path on the machine that evaluates is not allowed (path_inputs of PLACE)"),
        (inputs("file:///srv/x.git"), "2:35: input 'm/i': a path on the machine that evaluates is not allowed (path_inputs of PLACE)"),
        (inputs("ssh://git@git.example.org/other.git"), "2:35: input 'm/i': a repository fetched over SSH is not allowed (ssh_inputs of PLACE)"),
        (inputs("git@git.example.org:other.git"), "2:35: input 'm/i': a repository fetched over SSH is not allowed (ssh_inputs of PLACE)"),
        (jobset(scheduling_shares=1001), "2:3: jobset 'm': the scheduling_shares up to here are 1001 together, the most is 1000 (max_scheduling_shares of PLACE)"),
    ],
)  # fmt: skip
def test_what_passes_a_limit_names_it(text: str, found: str) -> None:
    assert problems(text) == [found]


@pytest.mark.parametrize(
    "text",
    [
        jobset(),
        jobset(restrict_eval="false", allow_import_from_derivation="true", on_remove="delete"),
        inputs("/etc", "path"),
        inputs("ssh://git@git.example.org/other.git"),
        inputs("project:jobset:job", "build"),
        jobset(scheduling_shares=999_999, enabled="false"),
        jobset(scheduling_shares=999_999, state="disabled"),
        jobset() + "channels: {c: {jobset: m}}\n",
    ],
)
def test_what_is_allowed_is_no_problem(text: str) -> None:
    assert problems(text, Delegate(jobsets=True, channels=True, limits=WIDE)) == []


@pytest.mark.parametrize("value", [URL, "https://git.example.org/x.git", "git://git.example.org/x.git"])
def test_inputs_of_the_same_repository_and_public_ones_need_no_limit(value: str) -> None:
    assert problems(inputs(value)) == []


def test_what_is_not_delegated_is_a_problem_for_each() -> None:
    text = jobset() + "channels: {c: {jobset: m}}\n"
    assert problems(text, Delegate()) == [
        "2:3: jobset 'm': the project does not delegate jobsets (delegate.jobsets of PLACE)",
        "3:12: channel 'c': the project does not delegate channels (delegate.channels of PLACE)",
    ]


def test_shares_count_together() -> None:
    text = "jobsets:\n" + "".join(
        f"  j{n}: {{nix_expression: x, scheduling_shares: 600}}\n" for n in range(3)
    )
    assert [one.split(":")[0] for one in problems(text)] == ["3"]


def test_too_many_are_one_problem() -> None:
    many = "jobsets:\n" + "".join(f"  j{n}: {{nix_expression: x, keep_nr: 99}}\n" for n in range(11))
    assert problems(many) == ["12:3: there are 11 jobsets, the most is 10 (max_jobsets of PLACE)"]
    channels = jobset() + "channels:\n" + "".join(f"  c{n}: {{jobset: m}}\n" for n in range(MAX_OTHERS + 1))
    assert problems(channels) == [
        f"{MAX_OTHERS + 4}:3: there are {MAX_OTHERS + 1} inputs and channels, the most is {MAX_OTHERS} (of any file)"
    ]


def test_a_plan_concerns_the_files_of_its_projects_by_all_their_names() -> None:
    before = [Owned("project", "new", "h", "f", 1, {}, was="old"), Owned("user", "u", "h", "f", 1, {})]
    plan = diff(
        before, compiled(project("new") + project("other", main="x").replace("projects:\n", "")).resources
    )
    assert projects_of(plan) == ["new", "old", "other"]
