"""The forms of plans and problems on the command line."""

import json
from pathlib import Path

import pytest

from tests.config.test_commands import Run, directory, run
from tests.support.configuration import write

__all__ = ["directory", "run"]


def test_validate_as_json(run: Run, directory: Path) -> None:
    result = run("validate", directory, "--format", "json")
    assert (result.exit_code, json.loads(result.stdout)) == (
        0,
        {"valid": True, "resources": 2, "files": 1, "problems": []},
    )
    write(directory, {"b.yaml": "nope: 1"})
    result = run("validate", directory, "--format", "json")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["valid"] is False
    assert [(one["file"], one["line"], one["column"]) for one in found["problems"]] == [("b.yaml", 1, 1)]


def test_validate_annotates_from_where_it_runs(
    run: Run, directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(directory, {"a/b, c.yaml": "nope: 1"})
    monkeypatch.chdir(directory.parent)
    for named in (directory, directory.name):
        result = run("validate", named, "--format", "github")
        assert result.exit_code == 1
        first, last = result.stdout.splitlines()
        assert first.startswith(
            "::error file=configuration/a/b%2C c.yaml,line=1,col=1,title=FC configuration::document: unknown key"
        )
        assert last == f"fcctl: 1 problem in {named}"
    (directory.parent / "elsewhere").mkdir()
    monkeypatch.chdir(directory.parent / "elsewhere")
    assert f"file={directory}/a/b%2C c.yaml" in run("validate", directory, "--format", "github").stdout


def test_plan_annotates_each_change(run: Run, directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(directory)
    result = run("plan", ".", "--format", "github")
    assert result.exit_code == 2
    assert "::notice file=fc.yaml,line=2,title=create project p::created%0A" in result.stdout
    assert run("apply", directory, "--yes").exit_code == 0
    result = run("plan", ".", "--format", "github")
    assert (result.exit_code, result.stdout) == (0, "nothing to change\n")
    write(directory, {"fc.yaml": "{}"})
    result = run("plan", ".", "--format", "github")
    assert result.exit_code == 2
    assert "is held::it would remove everything" in result.stdout
    assert "::warning file=fc.yaml,line=2,title=delete project p::disabled" in result.stdout
    write(directory, {"fc.yaml": "nope: 1"})
    result = run("plan", ".", "--format", "github")
    assert (result.exit_code, result.stdout.count("::error file=fc.yaml,line=1")) == (1, 1)


def test_json_is_short_for_the_format(run: Run, directory: Path) -> None:
    assert run("plan", directory, "--json").stdout == run("plan", directory, "--format", "json").stdout


def test_an_error_is_shown_in_the_form_too(run: Run, tmp_path: Path) -> None:
    result = run("plan", tmp_path / "nowhere", "--format", "github")
    assert result.exit_code == 1
    assert result.stdout == f"::error title=fcctl::{tmp_path}/nowhere: there is no such directory\n"
    result = run("validate", tmp_path / "nowhere", "--format", "json")
    assert json.loads(result.stdout)["error"]["code"] == "invalid_input"


def test_an_unknown_form_is_wrong_usage_and_no_change(run: Run, directory: Path) -> None:
    assert run("plan", directory, "--format", "xml").exit_code == 1
