"""``fcctl import``: YAML on standard output or in files, what was lost on standard error, secrets nowhere."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fc.cli import hydra_server
from fc.cli.main import cli
from tests.config.test_import_circus import CIRCUS
from tests.config.test_import_hydra import SPEC
from tests.support.configuration import compiled
from tests.support.hydra import StandInHydra


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["import", *map(str, arguments)])


def assert_validates(directory: Path) -> None:
    result = CliRunner().invoke(cli, ["validate", str(directory)])
    assert result.exit_code == 0, result.output


def test_circus_to_standard_output_and_to_files(tmp_path: Path) -> None:
    file = tmp_path / "circus.toml"
    file.write_text(CIRCUS)
    result = run("circus", file)
    assert result.exit_code == 0
    assert compiled(result.stdout).problems == ()
    assert "note: user 'alice': the password was left out" in result.stderr
    assert "provide the secret bot-key: the api key 'bot', now in /run/secrets/bot" in result.stderr
    assert result.stderr.splitlines()[-1].startswith("circus.toml: 18 resources, ")
    assert "hunter2" not in result.output
    target = tmp_path / "configuration"
    assert run("circus", file, "--directory", target).exit_code == 0
    assert_validates(target)
    assert (target / "projects" / "hello-world.yaml").is_file()
    again = run("circus", file, "--directory", target)
    assert (again.exit_code, "is there already" in again.stderr) == (1, True)


def test_a_hydra_server_is_read_project_by_project(tmp_path: Path) -> None:
    with StandInHydra() as hydra:
        result = run("hydra", hydra.url)
        assert result.exit_code == 0
        assert "1 of 2: project 'hello', 3 jobsets" in result.stderr
        made = compiled(result.stdout)
        assert made.problems == ()
        assert ("jobset", "hello/main") in made.resources
        assert "s3cr3t" not in result.output
        assert hydra.asked == [
            "/", "/project/hello", "/jobset/hello/main", "/jobset/hello/flake", "/jobset/hello/old%20one", "/project/empty",
        ]  # fmt: skip
        target = tmp_path / "configuration"
        assert run("hydra", f"{hydra.url}/project/hello/", "--directory", target).exit_code == 0
        assert_validates(target)
        result = run("hydra", f"{hydra.url}/jobset/hello/main")
        assert [key for key in compiled(result.stdout).resources if key[0] == "jobset"] == [
            ("jobset", "hello/main")
        ]


def test_a_file_of_jobsets(tmp_path: Path) -> None:
    file = tmp_path / "hello.json"
    file.write_text(json.dumps({"main": SPEC}))
    assert "  hello:\n" in run("hydra", file).stdout
    assert "  other:\n" in run("hydra", file, "--project", "other").stdout


@pytest.mark.parametrize(
    ("code", "body", "said"),
    [
        (200, b"<html>", "this is not what a Hydra answers"),
        (200, b'{"a": 1}', "this is not what a Hydra answers"),
        (200, b"[" * 100_000, "this is not what a Hydra answers"),
        (200, b"\xff", "this is not what a Hydra answers"),
        (500, b"{}", "the server answered 500"),
        (302, b"/", "the server does not answer (TooManyRedirects)"),
        (302, b"file:///etc/passwd", "the server does not answer (UnsupportedProtocol)"),
        (200, b"[" + b" " * 2_000_000 + b"]", "the answer is too large or too slow"),
    ],
)
def test_a_server_that_is_no_hydra_is_one_clear_message(
    code: int, body: bytes, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hydra_server, "MOST_BYTES", 1_000_000)
    with StandInHydra({"/": (code, body)}) as hydra:
        result = run("hydra", hydra.url)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("fcctl: /: ")
    assert said in result.stderr


def test_a_server_without_end_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hydra_server, "MOST_REQUESTS", 3)
    with StandInHydra() as hydra:
        result = run("hydra", hydra.url)
    assert (result.exit_code, "stopped after 3 requests" in result.stderr) == (1, True)


@pytest.mark.parametrize(
    "source", ["ftp://x", "http://127.0.0.1:9", "http://[", "https://", "http://a b/", "nowhere.json"]
)
def test_what_cannot_be_read_is_one_clear_message(source: str) -> None:
    result = run("hydra", source)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("fcctl: ")


def test_files_that_are_something_else(tmp_path: Path) -> None:
    for content in (b"", b"{", b"\xff", b"[" * 100_000, b"[]"):
        (tmp_path / "x").write_bytes(content)
        for kind in ("hydra", "circus"):
            result = run(kind, tmp_path / "x")
            assert (result.exit_code, result.stdout) == (1, "")
            assert result.stderr.startswith("fcctl: ")
