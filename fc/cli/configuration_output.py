"""Plans and problems on the command line: text for people, JSON for programs, commands for GitHub Actions."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import click
import msgspec
from rich.console import Console

from fc.base.errors import FcError
from fc.base.problems import Problem
from fc.config.annotations import error_command, plain_line, plan_commands, problem_commands
from fc.config.errors import ConfigurationError
from fc.config.plan_view import PlanView
from fc.config.render import view_text

Form = Literal["text", "json", "github"]


def show_plan(plan: PlanView, directory: Path, form: Form = "text") -> None:
    """A plan on standard output. ``directory``: where the files are that it names."""
    if form == "json":
        _show_json(plan)
    elif form == "github":
        click.echo("\n".join(plan_commands(plan, lambda file: _from_here(directory, file))))
    else:
        Console(soft_wrap=True, highlight=False).print(view_text(plan), end="")


def show_valid(directory: Path, resources: int, files: int, form: Form = "text") -> None:
    """That a directory has no problems."""
    if form == "json":
        _show_json({"valid": True, "resources": resources, "files": files, "problems": []})
        return
    line = f"{directory}: valid, {resources} resources in {files} files"
    click.echo(plain_line(line) if form == "github" else line)


def show_problems(directory: Path, problems: Sequence[Problem], form: Form = "text") -> int:
    """Every problem, with paths that can be clicked on from here: text on standard error; the exit status."""
    closing = f"fcctl: {len(problems)} problem{'s' if len(problems) > 1 else ''} in {directory}"
    if form == "json":
        _show_json({"valid": False, "problems": problems})
    elif form == "github":
        click.echo("\n".join(problem_commands(problems, lambda file: _from_here(directory, file), closing)))
    else:
        for problem in problems:
            place = os.path.normpath(directory / problem.file)
            click.echo(place + str(problem).removeprefix(problem.file), err=True)
        click.echo(closing, err=True)
    return 1


@contextmanager
def errors_shown(form: Form) -> Iterator[None]:
    """Show an error of FC as the form has it too, before the command ends with it; problems have ``show_problems``."""
    try:
        yield
    except ConfigurationError:
        raise
    except FcError as error:
        if form == "json":
            _show_json({"error": {"code": error.code, "message": str(error)}})
        elif form == "github":
            click.echo(error_command(str(error)))
        raise


def _show_json(value: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def _from_here(directory: Path, file: str) -> str:
    """The path of a file below ``directory`` from where the command runs; as it is if that is somewhere else."""
    path = os.path.relpath(directory / file)
    return os.path.normpath(directory / file) if path.startswith("..") else path
