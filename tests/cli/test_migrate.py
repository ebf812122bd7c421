"""``fcctl migrate`` works alone, on a given database and on the embedded one."""

import subprocess
import sys
from pathlib import Path

from tests.support.service import clean_environment


def _fcctl(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fc", *args],
        check=False,
        capture_output=True,
        text=True,
        env=clean_environment(**environment),
        timeout=120,
    )


def test_up_down_and_status_on_a_given_database(empty_database_url: str) -> None:
    environment = {"FC_DATABASE__URL": empty_database_url}
    assert _fcctl("migrate", "status", **environment).returncode == 2
    up = _fcctl("migrate", "up", **environment)
    assert up.returncode == 0, up.stderr
    assert "applied 2026-11-22T04:00:00" in up.stdout
    again = _fcctl("migrate", "up", **environment)
    assert "the schema is up to date" in again.stdout
    assert _fcctl("migrate", "status", **environment).returncode == 0
    down = _fcctl("migrate", "down", "--to", "zero", "--yes", **environment)
    assert down.returncode == 0, down.stderr
    assert "undid 2026-11-22T04:00:00" in down.stdout
    assert _fcctl("migrate", "status", **environment).returncode == 2


def test_the_embedded_database_is_started_for_the_command_alone(tmp_path: Path) -> None:
    environment = {"FC_DATA_DIR": str(tmp_path / "data")}
    up = _fcctl("migrate", "up", **environment)
    assert up.returncode == 0, up.stderr
    assert not (tmp_path / "data" / "postgres" / "data" / "postmaster.pid").exists()
    assert _fcctl("migrate", "status", **environment).returncode == 0


def test_going_back_to_what_never_was_is_refused(empty_database_url: str) -> None:
    result = _fcctl("migrate", "down", "--to", "1999", "--yes", FC_DATABASE__URL=empty_database_url)
    assert result.returncode == 1
    assert "there is no applied migration '1999'" in result.stderr
