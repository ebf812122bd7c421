"""A real ``fcctl serve`` for tests: started, asked, killed, stopped."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, build_opener

from fc.cli.demo.service import free_port

_DEADLINE = 90.0
_OPENER = build_opener(ProxyHandler({}))


def until(condition: Callable[[], bool], what: str, deadline: float = _DEADLINE) -> None:
    """Wait for ``condition``; fail with ``what`` when it does not come."""
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"never came true: {what}"
        time.sleep(0.05)


def until_gone(pid: int, what: str) -> None:
    """Wait until the process ``pid`` has ended."""
    until(lambda: not Path(f"/proc/{pid}").exists(), f"{what} is gone")


def clean_environment(**extra: str) -> dict[str, str]:
    """This process's environment without FC's own variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FC_")}
    return kept | extra


def children(pid: int) -> dict[int, str]:
    """Descendants of ``pid`` that live, with their command lines."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            fields = stat.rpartition(")")[2].split()
            if fields[0] != "Z":
                parents[int(entry.name)] = int(fields[1])
    found = {pid}
    grown = True
    while grown:
        more = {child for child, parent in parents.items() if parent in found} - found
        grown = bool(more)
        found |= more
    found.discard(pid)
    lines = {}
    for child in found:
        try:
            lines[child] = (
                Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            )
        except OSError:
            continue
    return lines


class RunningService:
    """``fcctl serve`` on a data directory below ``directory``."""

    def __init__(self, directory: Path, settings: str = "", port: int | None = None) -> None:
        self.directory = directory
        self.port = port or free_port(0)
        self.url = f"http://127.0.0.1:{self.port}"
        self.settings_file = directory / "fc.yaml"
        self.data_dir = directory / "data"
        self.log_file = directory / "fc.log"
        self.settings_file.write_text(
            f"data_dir: {self.data_dir}\nweb: {{port: {self.port}}}\n"
            f'nix: {{store: {self.data_dir}/nix-store, options: {{substituters: ""}}}}\n{settings}'
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it and wait for ``/health``."""
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "fc", "serve", "--settings", str(self.settings_file)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=clean_environment(),
                start_new_session=True,
            )
        until(self._healthy_or_dead, "the service is healthy")
        assert self.process.poll() is None, self.log()
        return self

    def _healthy_or_dead(self) -> bool:
        assert self.process is not None
        return self.process.poll() is not None or self.status("/health") == 200

    def get(self, path: str) -> bytes:
        """The body of ``path``."""
        with _OPENER.open(self.url + path, timeout=10) as answer:
            body: bytes = answer.read()
            return body

    def status(self, path: str) -> int:
        """HTTP status of ``path``; 0 while nothing answers."""
        try:
            with _OPENER.open(self.url + path, timeout=10) as answer:
                status: int = answer.status
                return status
        except HTTPError as error:
            return error.code
        except (URLError, OSError):
            return 0

    def child(self, word: str) -> int:
        """The process below the supervisor whose command line has `` -m fc WORD``."""
        assert self.process is not None
        found = [pid for pid, line in children(self.process.pid).items() if f"-m fc {word}" in line]
        assert found, children(self.process.pid)
        return found[0]

    def log(self) -> str:
        """What the service has logged."""
        return self.log_file.read_text(errors="replace")

    def stop(self) -> int:
        """SIGTERM, and its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()
