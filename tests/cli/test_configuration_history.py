"""History, rollback, pause, resume and export as people and scripts use them."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fc.base.database import Database
from fc.cli.main import cli
from tests.support.configuration import project, write

Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str, tmp_path: Path) -> Run:
    """Runs fcctl on this test's database."""
    (tmp_path / "fc.yaml").write_text(f"database: {{url: '{database_url}'}}\n", encoding="utf-8")

    def invoke(*arguments: object, given: str | None = None) -> Result:
        return CliRunner().invoke(
            cli, [*map(str, arguments), "--settings", str(tmp_path / "fc.yaml")], input=given
        )

    return invoke


@pytest.fixture
def twice(run: Run, tmp_path: Path) -> Path:
    """A directory that was applied, changed, and applied again."""
    directory = write(tmp_path / "configuration", {"teams/a.yaml": project("p", main="x")})
    assert run("apply", directory, "--yes").exit_code == 0
    write(directory, {"teams/a.yaml": project("p", main="y")})
    assert run("apply", directory, "--yes").exit_code == 0
    return directory


def revisions(run: Run) -> list[str]:
    """Ids, newest first."""
    return [one["id"] for one in json.loads(run("history", "--json").stdout)]


@pytest.fixture
async def followed(database: Database) -> None:
    """A repository that a service follows."""
    await database.execute(
        "INSERT INTO config_sources (name, url, branch, status) VALUES ('default', 'file:///srv/c', 'main', 'synced')"
    )


def test_history_lists_revisions_and_the_changes_of_a_resource(run: Run, twice: Path) -> None:
    listed = run("history").stdout.splitlines()
    assert ["+0 ~1 -0" in listed[0], "+2 ~0 -0" in listed[1], len(listed)] == [True, True, 2]
    changes = run("history", "jobset", "p/main").stdout
    assert "    branch: x → y\n" in changes
    assert "teams/a.yaml:5" in changes
    assert run("history", "jobset").exit_code == 2
    wrong = run("history", "jobset", "p/next")
    assert (wrong.exit_code, wrong.stderr) == (1, "fcctl: there is no jobset 'p/next'\n")


def test_a_rollback_shows_its_plan_and_asks(run: Run, twice: Path) -> None:
    first = revisions(run)[1]
    unasked = run("rollback", first[:8], "--reason", "it broke")
    assert unasked.exit_code == 1
    assert "branch: y → x" in unasked.stdout
    assert "give --yes" in unasked.stderr
    assert len(revisions(run)) == 2
    done = run("rollback", first[:8], "--reason", "it broke", "--yes")
    assert done.exit_code == 0
    assert f"as after revision {first}" in done.stdout
    write(twice, {"teams/a.yaml": project("p", main="x")})
    assert run("plan", twice).stdout == "nothing to change\n"
    assert run("rollback", "ffff0000", "--reason", "r").exit_code == 1
    assert run("rollback", first).exit_code == 2


def test_a_pause_is_shown_until_it_is_resumed(run: Run, followed: None) -> None:
    assert run("status").exit_code == 0
    assert run("pause", "--reason", "we move house", "--until", "2h").stdout.startswith(
        "default: paused until 2"
    )
    shown = run("status")
    assert shown.exit_code == 1
    assert "is not followed until 2" in shown.stdout
    assert "we move house" in shown.stdout
    assert json.loads(run("status", "--json").stdout)["pauses"][0]["reason"] == "we move house"
    assert run("resume").stdout == "default: resumed: the newest commit is applied now\n"
    assert run("resume").stdout == "default: it was not paused\n"
    assert run("status").exit_code == 0


def test_what_is_not_followed_cannot_be_paused(run: Run) -> None:
    refused = run("pause", "--reason", "move")
    assert (refused.exit_code, "no configuration repository is followed" in refused.stderr) == (1, True)


@pytest.mark.parametrize("until", ["yesterday", "2001-01-01T00:00", "0"])
def test_a_pause_ends_in_the_future(run: Run, until: str) -> None:
    refused = run("pause", "--reason", "move", "--until", until)
    assert refused.exit_code == 1
    assert refused.stderr.startswith(f"fcctl: --until '{until}'")


def test_an_export_plans_to_no_change(run: Run, twice: Path, tmp_path: Path) -> None:
    exported = run("export")
    write(tmp_path / "one", {"fc.yaml": exported.stdout})
    assert run("plan", tmp_path / "one").stdout == "nothing to change\n"
    assert run("export", "--directory", tmp_path / "two").exit_code == 0
    assert (tmp_path / "two" / "teams" / "a.yaml").read_text(encoding="utf-8") == exported.stdout
    assert run("plan", tmp_path / "two").stdout == "nothing to change\n"
    again = run("export", "--directory", tmp_path / "two")
    assert (again.exit_code, "is there already" in again.stderr) == (1, True)
    assert "branch: x" in run("export", "--revision", revisions(run)[1]).stdout
