"""One Nix process that evaluates: confined, its lines read as they come, the rest of its noise bounded."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Self

from fc.base.nix_cli import Nix
from fc.base.process import end_process
from fc.nix.build_result import strip_ansi

_CHUNK = 1 << 16
_LONGEST_LINE = 32 << 20
_NOISE_KEPT = 64 << 10
_LONGEST_MESSAGE = 8000
_SMALL_HEAP_BELOW_MB = 2048
_ERROR_LINE = re.compile(r"^error:", re.MULTILINE)
_EXHAUSTED = re.compile(r"out of memory|bad_alloc|Cannot allocate memory", re.IGNORECASE)
_MACHINE = re.compile(
    r"No space left on device|Disk quota exceeded|Read-only file system|Too many open files|unable to fork"
    r"|database disk image is malformed|cannot connect to socket|Nix daemon disconnected unexpectedly"
)


class NixProcess:
    """A running evaluator.

    Use it as an asynchronous context manager: leaving it kills whatever is left of it. When this process of ours
    dies, however it dies, the evaluator dies as well.
    """

    def __init__(
        self, nix: Nix, command: Sequence[str], given: bytes, memory_mb: int, *, from_errors: bool
    ) -> None:
        """Prepare a process.

        Args:
            nix: gives the environment.
            command: absolute program and arguments.
            given: its standard input.
            memory_mb: address space it may have, in MiB.
            from_errors: whether the lines that are read come from standard error, else from standard output.
        """
        self._nix = nix
        self._command = command
        self._given = given
        self._memory_mb = memory_mb
        self._from_errors = from_errors
        self._process: asyncio.subprocess.Process | None = None
        self._noise = bytearray()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        confine = Path(__file__).with_name("confine.py")
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", str(confine), str(os.getpid()), str(self._memory_mb), *self._command,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env=self._environment(), start_new_session=True,
        )  # fmt: skip
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        other = self._process.stdout if self._from_errors else self._process.stderr
        self._tasks = [
            asyncio.create_task(_feed(self._process.stdin, self._given)),
            asyncio.create_task(self._keep_noise(other)),
        ]
        return self

    async def __aexit__(self, *_exception: object) -> None:
        for task in self._tasks:
            task.cancel()
        if self._process is not None:
            await end_process(self._process)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def lines(self) -> AsyncIterator[bytes]:
        """The lines it prints, without their ends, until it ends. Too long a line is noise."""
        assert self._process is not None
        stream = self._process.stderr if self._from_errors else self._process.stdout
        assert stream is not None
        rest = bytearray()
        while chunk := await stream.read(_CHUNK):
            rest += chunk
            if b"\n" in chunk:
                *whole, last = rest.split(b"\n")
                for line in whole:
                    yield bytes(line)
                rest = last
            elif len(rest) > _LONGEST_LINE:
                self.noise(bytes(rest[:_NOISE_KEPT]))
                rest.clear()
        if rest:
            yield bytes(rest)
        await self._process.wait()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def noise(self, line: bytes) -> None:
        """Keep a line that is no answer: the last ones may say why it failed."""
        self._noise += line[-_NOISE_KEPT:] + b"\n"
        if len(self._noise) > 2 * _NOISE_KEPT:
            del self._noise[:-_NOISE_KEPT]

    def forget_noise(self) -> None:
        """What was said belongs to something that went well."""
        self._noise.clear()

    @property
    def status(self) -> int | None:
        """Its exit status, negative for a signal; none while it runs."""
        return None if self._process is None else self._process.returncode

    @property
    def exhausted(self) -> bool:
        """Whether it was killed, or ran out of memory or stack."""
        status = self.status
        return (status is not None and status < 0) or bool(
            _EXHAUSTED.search(self._noise.decode(errors="replace"))
        )

    @property
    def machine_at_fault(self) -> bool:
        """Whether what it said is about this machine, not about the expression."""
        return self.status != 0 and bool(_MACHINE.search(self.message()))

    def message(self) -> str:
        """What it said before it failed."""
        said = strip_ansi(self._noise.decode(errors="replace")).replace("\0", "")
        said = said.replace("\n(use '--show-trace' to show detailed location information)", "").strip()
        start = _ERROR_LINE.search(said)
        text = said[start.start() :] if start else said
        if len(text) > _LONGEST_MESSAGE:
            text = f"{text[: _LONGEST_MESSAGE // 4]}\n…\n{text[-3 * _LONGEST_MESSAGE // 4 :]}"
        status = self.status
        if status is not None and status < 0:
            text = f"{text}\nthe evaluator was ended by signal {-status}".strip()
        if self.exhausted:
            text = f"{text}\n(an evaluation process may use {self._memory_mb} MiB)"
        return text or f"the evaluator ended with status {status}"

    def _environment(self) -> Mapping[str, str]:
        environment = self._nix.environment()
        if self._memory_mb < _SMALL_HEAP_BELOW_MB:
            # Nix reserves 384 MiB at once, unless it is told otherwise.
            environment["GC_INITIAL_HEAP_SIZE"] = str((self._memory_mb // 8) << 20)
        return environment

    async def _keep_noise(self, stream: asyncio.StreamReader) -> None:
        while chunk := await stream.read(_CHUNK):
            if not self._from_errors:
                self.noise(chunk.rstrip(b"\n"))


async def _feed(stream: asyncio.StreamWriter, given: bytes) -> None:
    try:
        stream.write(given)
        await stream.drain()
        stream.close()
    except (BrokenPipeError, ConnectionResetError):
        # It ended before it read everything; its status says why.
        return
