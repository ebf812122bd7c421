"""Problems and plans as GitHub Actions reads them: every place right, nothing in them taken for another command."""

import re

from hypothesis import given
from hypothesis import strategies as st

from fc.base.problems import Problem
from fc.config.annotations import MOST_ANNOTATIONS, error_command, plain_line, plan_commands, problem_commands
from fc.config.plan_view import view
from tests.config.test_render import plan
from tests.support.configuration import WHOLE, project

COMMAND = re.compile(r"::(error|warning|notice) ((?:[a-z]+=[^:,]*,?)+)::([^\r\n]*)")


def at_top(file: str) -> str:
    return f"ops/{file}"


def test_a_problem_is_an_error_at_its_place() -> None:
    lines = problem_commands(
        [Problem("a.yaml", 3, 7, "unknown key 'x'; 100% wrong\nreally")], at_top, "1 problem"
    )
    assert lines == [
        "::error file=ops/a.yaml,line=3,col=7,title=FC configuration::unknown key 'x'; 100%25 wrong%0Areally",
        "1 problem",
    ]


def test_each_change_is_shown_where_it_is_declared_and_a_removal_as_a_warning() -> None:
    made = view(plan(project("p", main="a", old="b"), project("p", main="c", new="b")), ["it is much, 50%"])
    lines = plan_commands(made, at_top)
    assert lines[0] == f"::warning title=Plan {made.short_digest} is held::it is much, 50%25"
    assert (
        lines[1]
        == "::warning file=ops/fc.yaml,line=6,title=delete jobset p/old::disabled, its history is kept"
    )
    assert lines[2] == "::notice file=ops/fc.yaml,line=5,title=update jobset p/main::updated%0Abranch: a → c"
    assert lines[3].startswith("::notice file=ops/fc.yaml,line=6,title=create jobset p/new::created%0A")
    assert lines[4] == f"1 to create, 1 to update, 1 to remove (plan {made.short_digest})"


def test_nothing_to_change_is_one_plain_line() -> None:
    assert plan_commands(view(plan(WHOLE, WHOLE)), at_top) == ["nothing to change"]


def test_no_more_are_shown_than_github_shows_and_none_is_lost() -> None:
    exactly = [Problem("a.yaml", line, 1, f"wrong {line}") for line in range(1, MOST_ANNOTATIONS + 1)]
    assert len([one for one in problem_commands(exactly, at_top, "x") if one.startswith("::")]) == 10
    many = [Problem("a.yaml", line, 1, f"wrong {line}") for line in range(1, 31)]
    lines = problem_commands(many, at_top, "30 problems")
    commands = [line for line in lines if line.startswith("::")]
    assert len(commands) == MOST_ANNOTATIONS
    assert commands[-1] == "::error title=fcctl::21 more like these; the log of this step lists them"
    assert [line for line in lines if line.startswith("- ")] == [
        f"- ops/a.yaml:{line}:1: wrong {line}" for line in range(10, 31)
    ]
    assert lines[-1] == "30 problems"


def test_secrets_are_annotated_by_name_only() -> None:
    text = "\n".join(plan_commands(view(plan("{}", WHOLE)), at_top))
    assert "«secret» deploy-key" in text
    assert "value-of" not in text


def test_plain_lines_and_errors_start_no_other_command() -> None:
    assert plain_line(" ::add-mask::x") == "-  ::add-mask::x"
    assert plain_line("a ##[add-mask]x\n::stop-commands::y") == "a ## [add-mask]x\\n::stop-commands::y"
    assert error_command("a\n::add-mask::x") == "::error title=fcctl::a%0A::add-mask::x"


@given(st.text(), st.text(), st.integers(1, 30))
def test_whatever_stands_in_a_problem_stays_inside_its_command(file: str, message: str, count: int) -> None:
    problems = [Problem(file, line, 1, message) for line in range(count)]
    text = "\n".join(problem_commands(problems, lambda name: name, message))
    lines = re.split(r"[\r\n]", text)
    assert len([line for line in lines if line.lstrip().startswith("::")]) == min(count, MOST_ANNOTATIONS)
    for line in lines:
        if line.lstrip().startswith("::"):
            found = COMMAND.fullmatch(line)
            assert found is not None
            if "more like these" not in line:
                assert found[3].replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%") == message
        else:
            assert "##[" not in line
