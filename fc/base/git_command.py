"""Running git: a clean environment, no questions, limits in time, and no credentials in what it says."""

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from fc.base.errors import GitError
from fc.base.git_url import PROTOCOLS, redact_git_url, redact_text
from fc.base.process import Finished, run_process

READ_SECONDS = 120.0
"""Time for a command that reads a local repository."""

_LONGEST_DETAIL = 2000
_INHERITED = (
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "GIT_SSL_CAINFO",
    "LD_LIBRARY_PATH",
)
"""How the machine reaches the network; nothing else of our environment is given to git."""
_CONFIG = """\
# Written by FC: the only configuration its git reads.
[safe]
\tdirectory = *
[core]
\thooksPath = /dev/null
[gc]
\tauto = 0
[maintenance]
\tauto = false
[protocol]
\tversion = 2
[http]
\tlowSpeedLimit = 1000
\tlowSpeedTime = 60
[fetch]
\trecurseSubmodules = false
"""


class GitCommand:
    """Runs git on one mirror.

    git sees neither the configuration nor the hooks, keys and credentials of the user, nor any variable of ours.
    """

    def __init__(self, executable: str, mirror: Path, url: str, ssh_key: Path | None) -> None:
        self._executable = executable
        self._mirror = mirror
        self._directory = mirror.parent
        self._full_url = url
        self._url = redact_git_url(url)
        self._ssh_key = ssh_key

    async def run(
        self,
        arguments: list[str],
        seconds: float = READ_SECONDS,
        *,
        extra: Mapping[str, str] | None = None,
        directory: Path | None = None,
        lock: int | None = None,
        given: bytes = b"",
        output_limit: int = 64 << 20,
    ) -> Finished:
        """Run git to its end.

        Args:
            arguments: subcommand and its arguments.
            seconds: time after which it is killed.
            extra: more variables.
            directory: where it runs.
            lock: a file descriptor it keeps open.
            given: its standard input.
            output_limit: bytes of output at which it is killed.

        Raises:
            GitError: it failed or took too long; shows what it said, without credentials.
        """
        action = arguments[0]
        result = await self.attempt(
            arguments,
            seconds,
            extra=extra,
            directory=directory,
            lock=lock,
            given=given,
            output_limit=output_limit,
        )
        if result.timed_out:
            raise GitError(action, f"{self._url} did not answer within {seconds:.0f} s")
        if result.overflowed:
            raise GitError(action, f"{self._url}: the output is larger than {output_limit} bytes")
        if result.status != 0:
            said = result.errors.decode(errors="replace").replace("\0", "").replace("\r", "").strip()
            detail = redact_text(said, self._full_url)[-_LONGEST_DETAIL:]
            raise GitError(action, detail or f"exit status {result.status}")
        return result

    async def attempt(
        self,
        arguments: list[str],
        seconds: float = READ_SECONDS,
        *,
        extra: Mapping[str, str] | None = None,
        directory: Path | None = None,
        lock: int | None = None,
        given: bytes = b"",
        output_limit: int = 64 << 20,
    ) -> Finished:
        """As ``run``, but a failure is only told by the result."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        return await run_process(
            self.command(arguments),
            environment=self.environment() | dict(extra or {}),
            directory=directory or self._directory,
            timeout=seconds,
            given=given,
            output_limit=output_limit,
            pass_fds=() if lock is None else (lock,),
        )

    def command(self, arguments: list[str]) -> list[str]:
        """The command line."""
        here = [] if arguments[0] in {"init", "ls-remote"} else [f"--git-dir={self._mirror}"]
        return [self._executable, *here, *arguments]

    def environment(self) -> dict[str, str]:
        """All of git's environment."""
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        environment |= {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(self._directory),
            "LC_ALL": "C",
            "GIT_CONFIG_GLOBAL": str(self._config()),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_ALLOW_PROTOCOL": ":".join(PROTOCOLS),
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_GRAFT_FILE": "/dev/null",
            "GIT_SSH_VARIANT": "ssh",
            "GIT_SSH_COMMAND": self._ssh_command(),
        }
        if self._full_url != self._url:
            # The credentials travel here, so that no list of processes shows them.
            environment |= {
                "GIT_CONFIG_COUNT": "1",
                "GIT_CONFIG_KEY_0": f"url.{self._full_url}.insteadOf",
                "GIT_CONFIG_VALUE_0": self._url,
            }
        return environment

    def _config(self) -> Path:
        """A configuration file of our own.

        Unlike variables, it also reaches the server side of a local fetch, which refuses a repository of another
        user unless ``safe.directory`` allows it.
        """
        config = self._directory / "gitconfig"
        if not config.exists():
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            made = self._directory / f"gitconfig.{os.getpid()}"
            made.write_text(_CONFIG, encoding="utf-8")
            made.rename(config)
        return config

    def _ssh_command(self) -> str:
        """SSH that asks nobody, offers our key alone, and remembers a host's key when it first sees it.

        Host keys that are to be pinned stand in /etc/ssh/ssh_known_hosts or in ``known_hosts`` beside the mirrors.
        """
        key = self._ssh_key.absolute() if self._ssh_key is not None else Path("/dev/null")
        options = {
            "BatchMode": "yes",
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "IdentityFile": _ssh_path(key),
            "ConnectTimeout": "15",
            "ServerAliveInterval": "15",
            "StrictHostKeyChecking": "accept-new",
            "UserKnownHostsFile": _ssh_path(self._directory / "known_hosts"),
        }
        return shlex.join(
            ["ssh", "-F", "/dev/null", *(f"-o{name}={value}" for name, value in options.items())]
        )


def _ssh_path(path: Path) -> str:
    """A path as ssh_config(5) takes it: blanks separate files, and a percent sign begins a token."""
    return '"' + str(path).replace("%", "%%") + '"'
