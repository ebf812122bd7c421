"""The embedded PostgreSQL starts, stops and starts again, for root and for ordinary users, after any end."""

import asyncio
import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from fc.base import embedded
from fc.base.embedded import EmbeddedPostgres
from fc.base.errors import DatabaseUnavailableError

ROOT = Path(__file__).parents[2]
HOLD = """
import sys, time
from pathlib import Path
from fc.base.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
print(server.start(), server.process.pid, flush=True)
sys.stdin.read()
server.stop()
"""
"""A process that runs a server until its input ends."""


@pytest.fixture
def directory() -> Iterator[Path]:
    """Short, so that the socket has room; and reachable for other users."""
    made = Path(tempfile.mkdtemp(prefix="fc-pg-"))
    yield made / "postgres"
    shutil.rmtree(made, ignore_errors=True)


def ask(url: str, *statements: str) -> object:
    """The value of the last statement."""

    async def talk() -> object:
        connection = await asyncpg.connect(url)
        for statement in statements[:-1]:
            await connection.execute(statement)
        value: object = await connection.fetchval(statements[-1])
        await connection.close()
        return value

    return asyncio.run(talk())


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def number_of(server: EmbeddedPostgres) -> int:
    assert server.process is not None
    return server.process.pid


def hold(directory: Path) -> tuple["subprocess.Popen[str]", str, int]:
    """A server run by another process: that process, the server's URL and number."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert holder.stdout is not None
    url, _, pid = holder.stdout.readline().strip().rpartition(" ")
    return holder, url, int(pid)


def test_a_server_starts_stops_and_starts_again_with_its_data(directory: Path) -> None:
    server = EmbeddedPostgres(directory)
    url = server.start()
    assert url == server.url
    pid = number_of(server)
    assert ask(url, "CREATE TABLE kept (a int)", "INSERT INTO kept VALUES (7)", "SELECT a FROM kept") == 7
    server.stop()
    assert server.process is None
    assert not is_running(pid)
    server.stop()

    again = EmbeddedPostgres(directory)
    assert again.start() == url
    assert ask(url, "SELECT a FROM kept") == 7
    assert ask(url, "SHOW server_encoding") == "UTF8"
    assert int(str(ask(url, "SHOW server_version_num"))) >= 140000
    again.stop()


def test_a_server_listens_for_this_user_alone(directory: Path) -> None:
    server = EmbeddedPostgres(directory)
    url = server.start()
    assert ask(url, "SHOW listen_addresses") == ""
    [socket] = directory.glob(".s.PGSQL.*[0-9]")
    for path in (directory, directory / "data", socket):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
        assert path.stat().st_uid == os.geteuid()
    server.stop()


def test_the_server_does_not_know_our_environment(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FC_SECRET_TOKEN", "hunter2")
    monkeypatch.setenv("PGPORT", "6543")
    monkeypatch.setenv("PGHOST", "nowhere.invalid")
    server = EmbeddedPostgres(directory)
    url = server.start()
    assert ask(url, "SELECT 1") == 1
    assert b"hunter2" not in Path(f"/proc/{number_of(server)}/environ").read_bytes()
    server.stop()


@pytest.mark.parametrize("name", ["sp ace per%41cent &am=p #?+ ümläut", "com,ma", "x" * 90])
def test_any_directory_will_do(directory: Path, name: str) -> None:
    server = EmbeddedPostgres(directory / name)
    url = server.start()
    assert ask(url, "SELECT 1") == 1
    server.stop()
    if server.socket_directory.parent == Path("/tmp"):
        shutil.rmtree(server.socket_directory)


def test_a_socket_directory_that_is_not_ours_is_refused(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory.mkdir()
    monkeypatch.setattr(embedded, "_SOCKETS", directory)
    server = EmbeddedPostgres(directory / ("x" * 90))
    server.socket_directory.mkdir(mode=0o755)
    server.socket_directory.chmod(0o755)
    with pytest.raises(DatabaseUnavailableError, match="is not a private directory of this user"):
        server.start()
    server.socket_directory.rmdir()
    server.socket_directory.symlink_to(directory)
    with pytest.raises(DatabaseUnavailableError, match="is not a private directory of this user"):
        server.start()


def test_a_server_stops_when_its_parent_is_killed_and_the_next_one_has_its_data(directory: Path) -> None:
    holder, url, pid = hold(directory)
    assert ask(url, "CREATE TABLE kept (a int)", "INSERT INTO kept VALUES (7)", "SELECT a FROM kept") == 7
    holder.kill()
    holder.communicate()
    assert within(60, lambda: not is_running(pid))

    server = EmbeddedPostgres(directory)
    assert ask(server.start(), "SELECT a FROM kept") == 7
    server.stop()


def test_a_leftover_server_is_stopped_before_the_next_one_starts(directory: Path) -> None:
    holder, url, pid = hold(directory)
    ask(url, "CREATE TABLE kept (a int)", "SELECT 1")

    server = EmbeddedPostgres(directory)
    assert ask(server.start(), "SELECT count(*) FROM kept") == 0
    assert not is_running(pid)
    server.stop()
    holder.communicate("")


def test_a_server_that_was_killed_itself_recovers(directory: Path) -> None:
    server = EmbeddedPostgres(directory)
    url = server.start()
    ask(url, "CREATE TABLE kept AS SELECT 7 AS a", "SELECT 1")
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()

    def starts() -> bool:
        try:
            server.start()
        except DatabaseUnavailableError:
            return False  # processes of the killed one may need a moment to see that they are alone
        return True

    assert within(60, starts)
    assert ask(url, "SELECT a FROM kept") == 7
    server.stop()


def test_a_number_that_another_program_has_now_keeps_no_server_from_starting(directory: Path) -> None:
    server = EmbeddedPostgres(directory)
    url = server.start()
    ask(url, "CREATE TABLE kept AS SELECT 7 AS a", "SELECT 1")
    files = {
        path: path.read_bytes()
        for path in (directory / "data" / "postmaster.pid", directory / ".s.PGSQL.5432.lock")
    }
    server.stop()
    innocent = subprocess.Popen(["sleep", "600"])
    for path, text in files.items():
        path.write_bytes(str(innocent.pid).encode() + b"\n" + text.partition(b"\n")[2])

    assert ask(server.start(), "SELECT a FROM kept") == 7

    assert innocent.poll() is None
    server.stop()
    innocent.kill()
    innocent.wait()


def test_a_set_up_that_was_interrupted_begins_anew(directory: Path) -> None:
    (directory / "initdb-abandoned" / "data").mkdir(parents=True)
    (directory / "initdb-abandoned" / "data" / "PG_VERSION").write_text("18\n", encoding="utf-8")
    server = EmbeddedPostgres(directory)
    assert ask(server.start(), "SELECT 1") == 1
    server.stop()
    assert not list(directory.glob("initdb-*"))


def test_a_server_that_does_not_start_says_why(directory: Path) -> None:
    server = EmbeddedPostgres(directory)
    server.start()
    server.stop()
    with (directory / "data" / "postgresql.conf").open("a", encoding="utf-8") as config:
        config.write("zebras = on\n")
    with pytest.raises(DatabaseUnavailableError, match='unrecognized configuration parameter "zebras"'):
        server.start()
    assert server.process is None


def test_a_directory_that_cannot_be_set_up_says_why(directory: Path) -> None:
    (directory / "data").mkdir(parents=True)
    (directory / "data" / "treasure").write_text("keep me", encoding="utf-8")
    with pytest.raises(
        DatabaseUnavailableError, match="/data is in the way: it is no data directory of PostgreSQL"
    ):
        EmbeddedPostgres(directory).start()
    assert (directory / "data" / "treasure").exists()


def test_no_wheel_for_this_platform_is_said_with_what_to_do(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda _name: None)
    with pytest.raises(
        DatabaseUnavailableError, match=r"start a PostgreSQL 14 or newer and set database\.url"
    ):
        EmbeddedPostgres(directory).start()


def test_data_of_a_version_that_is_not_installed_is_refused(directory: Path) -> None:
    (directory / "data").mkdir(parents=True)
    (directory / "data" / "PG_VERSION").write_text("12\n", encoding="utf-8")
    with pytest.raises(
        DatabaseUnavailableError, match=r"made by PostgreSQL 12, but .* use pg_dump and pg_restore"
    ):
        EmbeddedPostgres(directory).start()


def test_data_of_an_older_version_is_opened_by_that_version(directory: Path) -> None:
    majors = sorted(embedded._installs())
    for major in majors:
        binaries = embedded._installs()[major]
        (directory / str(major) / "data").mkdir(parents=True)
        (directory / str(major) / "data" / "PG_VERSION").write_text(f"{major}\n", encoding="utf-8")
        assert embedded._binaries(directory / str(major) / "data") == binaries
    assert embedded._binaries(directory / "new") == embedded._installs()[majors[-1]]


def test_the_server_runs_under_a_name_that_this_system_knows() -> None:
    account = embedded._account()
    shown = os.geteuid() if account is None else account
    assert shown != 0
    assert pwd.getpwuid(shown)


def test_a_user_without_a_name_is_shown_as_one_with_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = next(number for number in range(20000, 60000) if not embedded._has_name(number))
    monkeypatch.setattr(os, "geteuid", lambda: unknown)
    monkeypatch.setattr(embedded, "_ACCOUNTS", (unknown, *embedded._ACCOUNTS))
    account = embedded._account()
    assert account is not None
    assert embedded._has_name(account)


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests have shown it: this is an ordinary user")
def test_an_ordinary_user_runs_a_server(directory: Path) -> None:
    directory.mkdir()
    # A user namespace in which root is somebody else, who can still read a checkout in root's home.
    as_nobody = ["unshare", "--user", "--map-user=65534", "--map-group=65534"]
    environment = {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, sys.path)]),
    }

    holder = subprocess.run(
        [*as_nobody, sys.executable, "-c", HOLD, str(directory)],
        check=False, input="", capture_output=True, text=True, env=environment, cwd="/",
    )  # fmt: skip

    assert holder.returncode == 0, holder.stderr
    assert (directory / "data" / "PG_VERSION").exists()
