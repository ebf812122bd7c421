"""Secrets are found by name on the machine that needs them, and never shown."""

from pathlib import Path

import pytest

from fc.base.errors import SecretMissingError
from fc.base.secrets import Secrets


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "github-token").write_text("from the file\n", encoding="utf-8")
    return tmp_path


def test_a_secret_is_the_contents_of_its_file_without_the_line_end(directory: Path) -> None:
    assert Secrets(directory).resolve("github-token") == "from the file"
    (directory / "windows").write_bytes(b" spaces stay \r\n")
    assert Secrets(directory).resolve("windows") == " spaces stay "
    (directory / "lines").write_bytes(b"-----BEGIN\nabc\n-----END\n\n")
    assert Secrets(directory).resolve("lines") == "-----BEGIN\nabc\n-----END"


def test_a_variable_wins_over_the_file(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FC_SECRET_GITHUB_TOKEN", "from the variable")
    assert Secrets(directory).resolve("github-token") == "from the variable"
    assert Secrets(None).resolve("github-token") == "from the variable"
    assert Secrets(None).resolve("GitHub.Token") == "from the variable"


def test_an_empty_variable_is_none(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FC_SECRET_GITHUB_TOKEN", "")
    assert Secrets(directory).resolve("github-token") == "from the file"


def test_a_changed_file_counts_at_once(directory: Path) -> None:
    secrets = Secrets(directory)
    assert secrets.resolve("github-token") == "from the file"
    (directory / "github-token").write_text("rotated", encoding="utf-8")
    assert secrets.resolve("github-token") == "rotated"


def test_a_missing_secret_says_where_to_put_it(directory: Path) -> None:
    with pytest.raises(SecretMissingError) as caught:
        Secrets(directory).resolve("deploy-key")
    assert str(caught.value) == (
        f"secret 'deploy-key' is not known: set FC_SECRET_DEPLOY_KEY or write the file {directory}/deploy-key"
    )
    with pytest.raises(
        SecretMissingError, match=r"set FC_SECRET_DEPLOY_KEY or write a file \(secrets.directory is not set\)"
    ):
        Secrets(None).resolve("deploy-key")


def test_an_empty_file_is_no_secret(directory: Path) -> None:
    (directory / "empty").write_text("\n", encoding="utf-8")
    with pytest.raises(SecretMissingError, match="write the file"):
        Secrets(directory).resolve("empty")


def test_a_file_that_cannot_be_read_is_said_to_be_so_without_its_contents(directory: Path) -> None:
    (directory / "folder").mkdir()
    with pytest.raises(SecretMissingError, match="folder cannot be read: Is a directory"):
        Secrets(directory).resolve("folder")
    (directory / "binary").write_bytes(b"hunter2\xff")
    with pytest.raises(SecretMissingError, match="binary cannot be read: it is no UTF-8 text") as caught:
        Secrets(directory).resolve("binary")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../github-token", "a/b", "/etc/passwd", ".hidden", "a b", "a\n", "-rf", "é"]
)
def test_a_name_that_could_leave_the_directory_is_refused(directory: Path, name: str) -> None:
    with pytest.raises(SecretMissingError, match="letters, digits, dots, dashes and underscores only"):
        Secrets(directory).resolve(name)
