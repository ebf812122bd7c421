"""The commands as people and scripts use them: output, errors, exit statuses."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fc.cli.main import cli
from tests.support.configuration import WHOLE, project, write

Run = Callable[..., Result]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return write(tmp_path / "configuration", {"fc.yaml": project("p", main="x")})


@pytest.fixture
def run(database_url: str, tmp_path: Path) -> Run:
    """Runs fcctl on this test's database."""
    (tmp_path / "secrets").mkdir()
    (tmp_path / "fc.yaml").write_text(
        f"database: {{url: '{database_url}'}}\nsecrets: {{directory: {tmp_path}/secrets}}\n", encoding="utf-8"
    )

    def invoke(command: str, *arguments: object, given: str | None = None) -> Result:
        settings = [] if command in {"validate", "schema"} else ["--settings", str(tmp_path / "fc.yaml")]
        return CliRunner().invoke(cli, [command, *map(str, arguments), *settings], input=given)

    return invoke


def test_validate_says_what_is_there(run: Run, directory: Path) -> None:
    result = run("validate", directory)
    assert (result.exit_code, result.stdout) == (0, f"{directory}: valid, 2 resources in 1 files\n")


def test_validate_shows_every_problem_of_every_file_on_standard_error(run: Run, directory: Path) -> None:
    write(directory, {"a/b.yaml": "users: {u: {emial: x}}", "c.yaml": "x: ["})
    result = run("validate", directory)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == (
        f"{directory}/a/b.yaml:1:12: user: missing 'email'\n"
        f"{directory}/a/b.yaml:1:13: user: unknown key 'emial'; did you mean 'email'?\n"
        f"{directory}/c.yaml:1:5: not valid YAML: while parsing a flow node: did not find expected node content\n"
        f"fcctl: 3 problems in {directory}\n"
    )


def test_validate_checks_a_project_s_own_file(run: Run, tmp_path: Path) -> None:
    checkout = write(tmp_path / "checkout", {".fc.yaml": "jobsets: {main: {nix_expression: hydraJobs}}\n"})
    said = f"{checkout}/.fc.yaml: valid, 1 resources in 1 files\n"
    for arguments in (["--project", checkout], [checkout / ".fc.yaml"]):
        result = run("validate", *arguments)
        assert (result.exit_code, result.stdout) == (0, said)
    write(checkout, {".fc.yaml": "channels: {stable: {jobset: release}}\n"})
    result = run("validate", checkout / ".fc.yaml")
    assert (result.exit_code, result.stderr) == (
        0,
        "note: the jobset 'release' is not declared here, so the central configuration must\n",
    )
    write(checkout, {".fc.yaml": "users: {}\njobsets: {m: {nix_expression: !secret x}}\n"})
    result = run("validate", checkout / ".fc.yaml")
    assert result.exit_code == 1
    assert f"{checkout}/.fc.yaml:1:1: project file: unknown key 'users'" in result.stderr
    assert f"{checkout}/.fc.yaml:2:31: !secret: a project's own file" in result.stderr
    assert run("validate", "--project", tmp_path / "nowhere").exit_code == 1
    (checkout / ".fc.yaml").unlink()
    assert run("validate", "--project", checkout).exit_code == 1
    (checkout / ".fc.yaml").symlink_to("/etc/passwd")
    assert "symbolic link" in run("validate", "--project", checkout).stderr


def test_validate_needs_neither_settings_nor_secrets(directory: Path) -> None:
    write(directory, {"whole.yaml": WHOLE})
    assert (
        CliRunner().invoke(cli, ["validate", str(directory)], env={"FC_DATABASE__URL": "nonsense"}).exit_code
        == 0
    )


def test_a_directory_that_is_not_there_is_one_clear_message(run: Run, tmp_path: Path) -> None:
    for command in ("validate", "plan", "apply"):
        result = run(command, tmp_path / "nowhere")
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == f"fcctl: {tmp_path}/nowhere: there is no such directory\n"


def test_plan_tells_changes_from_none_by_its_exit_status(run: Run, directory: Path) -> None:
    planned = run("plan", directory)
    assert planned.exit_code == 2
    assert "+ jobset p/main  (created, fc.yaml:5)\n" in planned.stdout
    assert "2 to create, 0 to update, 0 to remove" in planned.stdout
    assert run("plan", directory).stdout == planned.stdout
    assert run("apply", directory, "--yes").exit_code == 0
    after = run("plan", directory)
    assert (after.exit_code, after.stdout) == (0, "nothing to change\n")


def test_wrong_usage_of_plan_is_not_mistaken_for_changes(run: Run) -> None:
    assert CliRunner().invoke(cli, ["plan"]).exit_code == 1
    assert CliRunner().invoke(cli, ["plan", ".", "--colour"]).exit_code == 1


def test_a_plan_of_a_broken_configuration_fails(run: Run, directory: Path) -> None:
    write(directory, {"broken.yaml": "nope: 1"})
    result = run("plan", directory)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "broken.yaml:1:1: document: unknown key 'nope'" in result.stderr


def test_a_plan_is_json_for_programs(run: Run, directory: Path) -> None:
    result = run("plan", directory, "--json")
    assert result.exit_code == 2
    plan = json.loads(result.stdout)
    assert plan["summary"] == {"create": 2, "update": 0, "delete": 0}
    assert [change["key"] for change in plan["changes"]] == ["p", "p/main"]


def test_a_missing_secret_is_named_with_its_place_and_what_to_do(
    run: Run, directory: Path, tmp_path: Path
) -> None:
    write(directory, {"keys.yaml": "api_keys: {k: {key: !secret bot}}"})
    result = run("plan", directory)
    assert result.exit_code == 1
    assert (
        f"keys.yaml:1:21: key: secret 'bot' is not known: set FC_SECRET_BOT or write the file {tmp_path}/secrets/bot"
        in result.stderr
    )
    (tmp_path / "secrets" / "bot").write_text("hunter2", encoding="utf-8")
    result = run("plan", directory)
    assert result.exit_code == 2
    assert "key: «secret» bot\n" in result.stdout
    assert "hunter2" not in result.output


def test_apply_shows_the_plan_and_does_it(run: Run, directory: Path) -> None:
    result = run("apply", directory, "--yes")
    assert result.exit_code == 0
    assert "+ project p" in result.stdout
    assert "applied: 2 created, 0 updated, 0 removed, revision " in result.stdout
    assert run("apply", directory).stdout == "nothing to change\n"


def test_apply_does_nothing_when_nobody_can_be_asked(run: Run, directory: Path) -> None:
    result = run("apply", directory, given="y\n")
    assert result.exit_code == 1
    assert (
        "nothing was applied: nobody can be asked here, so look at the plan and give --yes" in result.stderr
    )
    assert run("plan", directory).exit_code == 2


def test_apply_refuses_to_remove_everything_unless_told(run: Run, directory: Path) -> None:
    run("apply", directory, "--yes")
    (directory / "fc.yaml").unlink()
    refused = run("apply", directory, "--yes")
    assert refused.exit_code == 1
    assert "it would remove everything that git owns here (2 resources)" in refused.stderr
    found = re.search(r"--confirm ([0-9a-f]{12})", refused.stderr)
    assert found is not None
    assert run("apply", directory, "--yes", "--confirm", "0" * 12).exit_code == 1
    assert run("apply", directory, "--yes", "--confirm", found[1]).exit_code == 0


def test_a_row_made_by_hand_is_named_at_the_place_that_declares_it(
    run: Run, directory: Path, tmp_path: Path
) -> None:
    run("apply", directory, "--yes")
    other = write(tmp_path / "other", {"fc.yaml": project("q", main="x")})
    run("apply", other, "--yes")
    back = write(tmp_path / "back", {"fc.yaml": project("p", main="x")})
    assert run("apply", back, "--yes").exit_code == 0


def test_a_database_that_is_not_migrated_is_one_clear_message(
    empty_database_url: str, directory: Path
) -> None:
    result = CliRunner().invoke(cli, ["plan", str(directory)], env={"FC_DATABASE__URL": empty_database_url})
    assert result.exit_code == 1
    assert "run 'fcctl migrate up'" in result.stderr


def test_a_database_that_does_not_answer_is_one_clear_message(directory: Path) -> None:
    url = "postgresql://nobody:hunter2@127.0.0.1:9/none"
    result = CliRunner().invoke(cli, ["plan", str(directory)], env={"FC_DATABASE__URL": url})
    assert result.exit_code == 1
    assert "check database.url" in result.stderr
    assert "hunter2" not in result.output


def test_apply_by_hand_says_that_the_service_follows_git(database_url: str, directory: Path) -> None:
    environment = {
        "FC_DATABASE__URL": database_url,
        "FC_CONFIGURATION__URL": "https://git.example.org/ops/fc.git",
    }
    result = CliRunner().invoke(cli, ["apply", str(directory), "--yes"], env=environment)
    assert result.exit_code == 0
    assert "its next synchronisation puts back what git says" in result.stderr


def test_schema_is_written_and_compared(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "fc.schema.json"
    assert run("schema", "--check", "--output", file).exit_code == 1
    assert run("schema", "--output", file).exit_code == 0
    assert run("schema", "--check", "--output", file).exit_code == 0
    assert run("schema").stdout == file.read_text(encoding="utf-8")
    file.write_text("{}", encoding="utf-8")
    result = run("schema", "--check", "--output", file)
    assert (result.exit_code, result.stderr) == (
        1,
        f"{file} is not current; run: fcctl schema --output {file}\n",
    )
