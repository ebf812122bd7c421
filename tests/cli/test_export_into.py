"""``fcctl export --into``: a working copy is brought to what is in force, and nothing else in it is touched."""

import asyncio
import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fc.base.database import Database
from fc.base.settings import Settings
from fc.cli.configuration_into import bring
from fc.cli.main import cli
from fc.config.apply import apply
from fc.config.errors import ConfigurationError
from fc.config.export import Stored
from fc.config.history import owned_by_all_others
from fc.config.inventory import Origin
from tests.cli.test_configuration_history import Run, run, twice
from tests.support.configuration import WHOLE, compiled, project, sealed, write

__all__ = ["run", "twice"]

OLD = "# ours\r\n" + project("p", main="x").replace("\n", "\r\n") + "# the end"


def test_after_it_planning_changes_nothing(run: Run, twice: Path, tmp_path: Path) -> None:
    copy = write(tmp_path / "copy", {"teams/a.yaml": "", "b.yml": "# nothing here\n"})
    (copy / "teams" / "a.yaml").write_bytes(("\ufeff" + OLD).encode())
    (copy / "teams" / "a.yaml").chmod(0o640)
    result = run("export", "--into", copy)
    assert (result.exit_code, result.stderr) == (0, f"{copy}: edited teams/a.yaml\n")
    made = (copy / "teams" / "a.yaml").read_bytes().decode()
    assert made == "\ufeff" + OLD.replace("branch: x", 'branch: "y"')
    assert (copy / "teams" / "a.yaml").stat().st_mode & 0o777 == 0o640
    assert run("plan", copy).stdout == "nothing to change\n"
    result = run("export", "--into", copy)
    assert (result.exit_code, result.stderr) == (0, f"{copy}: nothing to change\n")
    assert sorted(one.name for one in copy.rglob("*")) == ["a.yaml", "b.yml", "teams"]


def test_an_earlier_revision_can_be_brought_back(run: Run, twice: Path) -> None:
    first = run("history").stdout.splitlines()[-1].split()[2]
    assert run("export", "--into", twice, "--revision", first).exit_code == 0
    assert (twice / "teams" / "a.yaml").read_text() == project("p", main="x")


def test_files_appear_and_vanish_with_what_they_declare(run: Run, twice: Path, tmp_path: Path) -> None:
    copy = write(tmp_path / "copy", {"other.yaml": "users: {u: {email: u@example.org}}\n"})
    assert run("export", "--into", copy).exit_code == 0
    assert [one.name for one in copy.rglob("*.yaml")] == ["a.yaml"]
    assert run("plan", copy).stdout == "nothing to change\n"


def test_values_from_elsewhere_are_written_out_where_they_differ(run: Run, tmp_path: Path) -> None:
    text = (
        "defaults: {jobsets: {nix_expression: release.nix}}\n"
        "projects:\n  p:\n    repository_url: https://git.example.org/p.git\n"
        "    description: !file about.txt   # told there\n    jobsets: {a: {}, b: {branch: x}}\n"
    )
    live = write(tmp_path / "live", {"fc.yaml": text, "about.txt": "Old words"})
    assert run("apply", live, "--yes").exit_code == 0
    copy = write(tmp_path / "copy", {"fc.yaml": text, "about.txt": "Old words\n"})
    assert run("export", "--into", copy).stderr.endswith("nothing to change\n")
    (copy / "about.txt").write_text("New words")
    assert run("export", "--into", copy).exit_code == 0
    assert (copy / "fc.yaml").read_text() == text.replace("!file about.txt", "Old words")
    assert (copy / "about.txt").read_text() == "New words"


def test_what_has_problems_or_is_no_directory_is_refused(run: Run, twice: Path, tmp_path: Path) -> None:
    copy = write(tmp_path / "copy", {"a.yaml": "nope: 1"})
    result = run("export", "--into", copy)
    assert result.exit_code == 1
    assert "a.yaml:1:1: document: unknown key 'nope'" in result.stderr
    assert (copy / "a.yaml").read_text() == "nope: 1"
    assert run("export", "--into", tmp_path / "nowhere").exit_code == 1
    result = CliRunner().invoke(cli, ["export", "--into", str(copy), "--directory", str(copy)])
    assert "give one of them" in result.stderr


async def test_what_other_sources_declare_may_be_referred_to(
    database: Database, tmp_path: Path, settings: Settings
) -> None:
    users = "users: {alice: {email: alice@example.org}, bob: {email: bob@example.org}}\n"
    await apply(database, Origin("people"), sealed(users).resources)
    text = project("p") + "    members: {alice: admin}   # she leads\n"
    wanted = text.replace("alice: admin", "alice: admin, bob: member")
    copy = write(tmp_path / "copy", {"fc.yaml": text})
    stored = [
        Stored(one.kind, one.key, one.fields, one.file, one.line)
        for one in compiled(wanted).resources.values()
    ]
    async with database.transaction() as connection:
        others = await owned_by_all_others(connection, "default")
    await bring(copy, stored, settings, others)
    assert (copy / "fc.yaml").read_text() == wanted
    with pytest.raises(ConfigurationError, match="there is no user"):
        await bring(copy, stored, settings)


def test_secrets_stay_names(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HELLO_WEBHOOK", "DEPLOY_KEY"):
        monkeypatch.setenv(f"FC_SECRET_{name}", "hunter2" + name)
    live = write(tmp_path / "live", {"fc.yaml": WHOLE})
    assert run("apply", live, "--yes").exit_code == 0
    copy = write(tmp_path / "copy", {"fc.yaml": "# mine\n"})
    assert run("export", "--into", copy).exit_code == 0
    made = (copy / "fc.yaml").read_text()
    assert made.startswith("# mine\n")
    assert "hunter2" not in made
    assert run("plan", copy).stdout == "nothing to change\n"


def git(directory: Path, *arguments: str) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    person = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(
        ["git", *person, *arguments], cwd=directory, check=True, capture_output=True, env=environment
    )


def test_what_is_not_committed_is_not_edited_unless_forced(run: Run, twice: Path, tmp_path: Path) -> None:
    copy = write(tmp_path / "copy", {"teams/a.yaml": project("p", main="x"), "b.yaml": "# b\n"})
    git(tmp_path, "init", "copy")
    untracked = run("export", "--into", copy)
    assert untracked.exit_code == 1
    assert "teams/a.yaml would be edited and has changes that are not committed" in untracked.stderr
    git(copy, "add", ".")
    assert run("export", "--into", copy).exit_code == 1
    git(copy, "commit", "-m", "all")
    # A change elsewhere does not matter.
    write(copy, {"b.yaml": "# changed\n", "untracked.txt": "x"})
    write(copy, {"teams/a.yaml": project("p", main="x") + "# mine\n"})
    assert run("export", "--into", copy).exit_code == 1
    assert run("export", "--into", copy, "--diff").exit_code == 0
    assert (copy / "teams" / "a.yaml").read_text() == project("p", main="x") + "# mine\n"
    git(copy, "commit", "-m", "mine", "teams/a.yaml")
    assert run("export", "--into", copy).exit_code == 0
    assert (copy / "teams" / "a.yaml").read_text() == project("p", main='"y"') + "# mine\n"
    write(copy, {"teams/a.yaml": project("p", main="z"), ".gitignore": "*.yaml\n"})
    assert run("export", "--into", copy).exit_code == 1
    assert run("export", "--into", copy, "--force").exit_code == 0
    assert (copy / "teams" / "a.yaml").read_text() == project("p", main='"y"')


def test_a_dry_run_shows_a_diff_that_git_applies(run: Run, twice: Path, tmp_path: Path) -> None:
    copy = write(
        tmp_path / "copy",
        {"a.yaml": OLD.replace("\r", ""), "other.yaml": "users: {u: {email: u@example.org}}\n"},
    )
    result = run("export", "--into", copy, "--dry-run")
    assert result.exit_code == 0
    assert '-      main: {branch: x, nix_expression: release.nix}\n+      main: {branch: "y"' in result.stdout
    assert (copy / "a.yaml").read_text() == OLD.replace("\r", "")
    subprocess.run(["git", "apply"], input=result.stdout, text=True, cwd=copy, check=True)
    assert run("plan", copy).stdout == "nothing to change\n"
    again = run("export", "--into", copy, "--diff")
    assert (again.stdout, again.stderr) == ("", f"{copy}: nothing to change\n")
    assert run("export", "--diff").exit_code == 2
    assert run("export", "--force").exit_code == 2


def test_a_read_only_file_is_not_edited_unless_forced(run: Run, twice: Path, tmp_path: Path) -> None:
    copy = write(tmp_path / "copy", {"a.yaml": project("p", main="x")})
    (copy / "a.yaml").chmod(0o444)
    result = run("export", "--into", copy)
    assert (result.exit_code, "a.yaml would be edited and is read-only" in result.stderr) == (1, True)
    assert run("export", "--into", copy, "--force").exit_code == 0
    assert (copy / "a.yaml").stat().st_mode & 0o777 == 0o444
    assert run("plan", copy).stdout == "nothing to change\n"


async def test_of_several_sources_one_is_named(run: Run, database: Database, tmp_path: Path) -> None:
    for name in ("default", "team-a"):
        await database.execute(
            "INSERT INTO config_sources (name, url, branch, status) VALUES ($1, 'file:///srv/c', 'main', 'synced')",
            name,
        )
    await apply(database, Origin("team-a"), sealed(project("team-a-p")).resources)
    await apply(database, Origin("default"), sealed("users: {u: {email: u@example.org}}").resources)
    copy = write(tmp_path / "copy", {"x.yaml": "# team a\n"})

    def call(*arguments: object) -> Result:
        return run("export", "--into", copy, *arguments)

    unnamed = await asyncio.to_thread(call)
    assert unnamed.exit_code == 1
    assert (
        "several configuration repositories are followed; name one of them: default, team-a" in unnamed.stderr
    )
    assert (await asyncio.to_thread(call, "--source", "team-a")).exit_code == 0
    made = {path.name: path.read_text() for path in copy.iterdir()}
    assert made == {"x.yaml": "# team a\n", "fc.yaml": project("team-a-p")}
