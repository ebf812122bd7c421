"""``fcctl serve`` as an operator meets it: start, death of a child, stop, and every bad start in one clear message."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from fc.base.embedded import EmbeddedPostgres
from tests.support.service import RunningService, children, clean_environment, until, until_gone


def _serve(settings_file: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """``fcctl serve`` that is expected to refuse."""
    return subprocess.run(
        [sys.executable, "-m", "fc", "serve", "--settings", str(settings_file)],
        check=False,
        capture_output=True,
        text=True,
        env=clean_environment(**environment),
        timeout=120,
    )


def test_it_serves_until_it_is_told_to_stop_and_leaves_no_process(tmp_path: Path) -> None:
    with RunningService(tmp_path) as service:
        assert service.status("/health") == 200
        assert service.process is not None
        below = children(service.process.pid)
        assert service.stop() == 0
        for pid in below:
            until_gone(pid, below[pid])
    assert "Traceback" not in service.log()


def test_a_restart_finds_what_was_there(tmp_path: Path) -> None:
    service = RunningService(tmp_path)
    with service:
        assert service.stop() == 0
    with service:
        assert service.status("/health") == 200
        assert service.stop() == 0


@pytest.mark.parametrize("name", ["work", "web"])
def test_a_killed_child_is_started_again(tmp_path: Path, name: str) -> None:
    with RunningService(tmp_path) as service:
        victim = service.child(name)
        os.kill(victim, signal.SIGKILL)
        until(lambda: bool(_named(service, name) - {victim}), f"a new {name} process")
        until(lambda: service.status("/health") == 200, "health after the restart")
        assert service.stop() == 0


def _named(service: RunningService, name: str) -> set[int]:
    """Processes of that name, by one look: a second could find another set."""
    assert service.process is not None
    return {pid for pid, line in children(service.process.pid).items() if f"-m fc {name}" in line}


def test_killing_the_supervisor_ends_its_children_and_the_next_start_works(tmp_path: Path) -> None:
    service = RunningService(tmp_path).start()
    assert service.process is not None
    below = children(service.process.pid)
    service.process.kill()
    service.process.wait()
    for pid, line in below.items():
        until_gone(pid, line)
    with service:
        assert service.status("/health") == 200
        assert service.stop() == 0


def test_a_killed_postgres_is_started_again(tmp_path: Path) -> None:
    with RunningService(tmp_path) as service:
        pid_file = service.data_dir / "postgres" / "data" / "postmaster.pid"
        victim = int(pid_file.read_text().split("\n", 1)[0])
        assert service.process is not None
        [postgres] = [pid for pid, line in children(service.process.pid).items() if "postgres -D" in line]
        os.kill(postgres, signal.SIGKILL)
        until(lambda: service.status("/health") != 200, "health notices")
        until(lambda: service.status("/health") == 200, "health recovers")
        assert victim
        assert service.stop() == 0


def test_a_port_in_use_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        service = RunningService(tmp_path, port=taken.getsockname()[1])
        result = _serve(service.settings_file)
    assert result.returncode == 1
    assert f"cannot listen on 127.0.0.1:{service.port}" in result.stderr
    assert "web.port" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_data_directory_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    settings = tmp_path / "fc.yaml"
    settings.write_text(f"data_dir: {tmp_path}/file/data\n")
    result = _serve(settings)
    assert result.returncode == 1
    assert "cannot be written" in result.stderr
    assert "data_dir" in result.stderr


def test_a_second_service_on_the_same_data_directory_is_refused(tmp_path: Path) -> None:
    with RunningService(tmp_path) as service:
        result = _serve(service.settings_file, FC_WEB__PORT="0")
        assert result.returncode == 1
        assert service.process is not None
        assert f"another fcctl serve (process {service.process.pid})" in result.stderr


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    service = RunningService(tmp_path)
    with service:
        assert service.stop() == 0
    postgres = EmbeddedPostgres(service.data_dir / "postgres")

    async def add_a_migration_from_the_future() -> None:
        connection = await asyncpg.connect(postgres.url)
        await connection.execute(
            "INSERT INTO migration (name, app_name, ran_on) VALUES ('2999-01-01T00:00:00', 'fc', now())"
        )
        await connection.close()

    postgres.start()
    asyncio.run(add_a_migration_from_the_future())
    postgres.stop()
    result = _serve(service.settings_file)
    assert result.returncode == 1
    assert "2999-01-01T00:00:00, which this version of FC does not know" in result.stderr
    assert "Traceback" not in result.stderr


def test_missing_nix_is_said(tmp_path: Path) -> None:
    service = RunningService(tmp_path)
    result = _serve(service.settings_file, PATH=str(tmp_path))
    assert result.returncode == 1
    assert "Nix is not installed" in result.stderr
    assert "nix-bin" in result.stderr


def test_an_unreachable_database_is_said_without_its_password(tmp_path: Path) -> None:
    service = RunningService(tmp_path)
    result = _serve(service.settings_file, FC_DATABASE__URL="postgresql://fc:hush@127.0.0.1:1/fc")
    assert result.returncode == 1
    assert "PostgreSQL at postgresql://fc@127.0.0.1:1/fc cannot be used" in result.stderr
    assert "hush" not in result.stderr


def test_a_misspelt_setting_is_said(tmp_path: Path) -> None:
    settings = tmp_path / "fc.yaml"
    settings.write_text("web: {prot: 8080}\n")
    result = _serve(settings)
    assert result.returncode == 1
    assert "prot" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_unreachable_configuration_repository_is_shown_and_the_service_goes_on(tmp_path: Path) -> None:
    with RunningService(tmp_path, f"configuration: {{url: 'file://{tmp_path}/nowhere.git'}}\n") as service:
        until(lambda: b"nowhere.git" in service.get("/configuration"), "the page names the repository")
        until(lambda: b"failed" in service.get("/api/v1/configuration"), "the API says that it failed")
        assert service.status("/health") == 200
        assert service.stop() == 0
