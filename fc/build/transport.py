"""Carriers: how ``nix-store --serve --write`` is reached. Here the interface and the process on this machine."""

import asyncio
import contextlib
import ctypes
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Iterable

from typing_extensions import override

from fc.base.errors import FcError
from fc.base.nix_cli import Nix

PIECE = 1 << 16
"""Bytes moved at once. No stream is ever held as a whole."""

_GRACE_SECONDS = 3.0
"""How long an ended Nix may take to remove its build directories."""
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)


class BuilderError(FcError):
    """A builder cannot be reached, or went away. Never a build's fault."""

    status = 502
    code = "builder"

    def __init__(self, builder: str, detail: str) -> None:
        self.builder = builder
        self.detail = detail
        super().__init__(f"{builder}: {detail}")


class Channel(ABC):
    """One running ``nix-store --serve --write``. Writing waits while the other side takes nothing."""

    @abstractmethod
    async def read(self, most: int) -> bytes:
        """Between 1 and ``most`` bytes of its output; none at its end."""

    @abstractmethod
    async def read_log(self) -> bytes:
        """Some of its standard error; none at its end."""

    @abstractmethod
    async def write(self, data: bytes) -> None:
        """Give it ``data``.

        Raises:
            OSError: it is gone.
        """

    @abstractmethod
    def end_input(self) -> None:
        """Let it come to its end by itself."""

    @abstractmethod
    async def close(self) -> None:
        """End it, and a build it may be in the middle of."""


class Carrier(ABC):
    """A way to a store that builds."""

    name: str
    """The builder's name."""

    @abstractmethod
    async def open(self) -> Channel:
        """Start one more process there.

        Raises:
            BuilderError: that is not possible now.
        """

    @abstractmethod
    async def close(self) -> None:
        """Give up everything that is open."""


class LocalChannel(Channel):
    """A process on this machine, in a group of its own."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._process = process
        self._input = process.stdin
        self._output = process.stdout
        self._errors = process.stderr

    @override
    async def read(self, most: int) -> bytes:
        return await self._output.read(most)

    @override
    async def read_log(self) -> bytes:
        return await self._errors.read(PIECE)

    @override
    async def write(self, data: bytes) -> None:
        self._input.write(data)
        await self._input.drain()

    @override
    def end_input(self) -> None:
        self._input.close()

    @override
    async def close(self) -> None:
        self._input.close()
        # First by SIGTERM: Nix then removes the build directory and the builder's processes.
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self._process.returncode is not None:
                break
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), _GRACE_SECONDS)
        # What is left of the group when its leader is gone.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


class LocalCarrier(Carrier):
    """Nix on the head's own store.

    Args:
        nix: the head's Nix.
        features: system features of the head.
        systems: what it builds for.
    """

    def __init__(
        self, nix: Nix, name: str, features: Iterable[str] = (), systems: Iterable[str] = ()
    ) -> None:
        self.name = name
        self._environment = nix.environment()
        options = {
            # Scheduling is FC's: Nix must not hand the build to builders of its own configuration.
            "builders": "",
            "max-jobs": "1",
            "system-features": " ".join(features),
            "extra-platforms": " ".join(system for system in systems if system != nix.system),
        }
        words = [word for option, value in options.items() for word in ("--option", option, value)]
        self._command = nix.command("nix-store", "--serve", "--write", *words)

    @override
    async def open(self) -> Channel:
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self._environment,
                start_new_session=True,
                preexec_fn=_end_with_parent,
                limit=4 * PIECE,
            )
        except OSError as error:
            raise BuilderError(self.name, f"nix-store cannot be started: {error}") from error
        return LocalChannel(process)

    @override
    async def close(self) -> None:
        """Nothing is shared by the processes."""


def _end_with_parent() -> None:
    """In the child: SIGTERM when this process is gone, however it went, so that no build goes on unwatched."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
