"""Child processes that are bounded: in time, in output, and in what outlives them."""

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Finished:
    """How a child process ended."""

    status: int
    """Exit status; the negative signal number when a signal ended it."""
    output: bytes
    """Standard output, at most as much as was allowed."""
    errors: bytes
    """The end of standard error, at most as much as was asked for."""
    timed_out: bool = False
    """Whether it was killed because its time was over."""
    overflowed: bool = False
    """Whether it was killed because it wrote too much to standard output."""


async def run_process(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: Path | None = None,
    given: bytes = b"",
    timeout: float,  # noqa: ASYNC109 - the child must be killed as well, which a cancel scope around us would not say
    output_limit: int = 64 << 20,
    errors_limit: int = 64 << 10,
    pass_fds: Sequence[int] = (),
) -> Finished:
    """Run ``command`` to its end in a session of its own; on timeout, overflow or cancellation its whole group is killed.

    Args:
        command: program and arguments; no shell is involved.
        environment: all of the child's environment; nothing is inherited.
        directory: working directory.
        given: written to standard input.
        timeout: seconds.
        output_limit: bytes of standard output at which the child is killed.
        errors_limit: bytes kept of the end of standard error.
        pass_fds: file descriptors the child keeps open.

    Raises:
        OSError: the program cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE if given else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(environment),
        cwd=directory,
        start_new_session=True,
        pass_fds=tuple(pass_fds),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    output, errors = bytearray(), bytearray()
    timed_out = overflowed = False
    try:
        async with asyncio.timeout(timeout):
            fits, _, _ = await asyncio.gather(
                _read_all(process, process.stdout, output, output_limit),
                _read_end(process.stderr, errors, errors_limit),
                _feed(process.stdin, given),
            )
            overflowed = not fits
            await process.wait()
    except TimeoutError:
        timed_out = True
    finally:
        await end_process(process)
    assert process.returncode is not None
    return Finished(process.returncode, bytes(output), bytes(errors), timed_out, overflowed)


async def end_process(process: asyncio.subprocess.Process) -> None:
    """Kill what is left of ``process`` and its group, and reap it."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    await asyncio.shield(process.wait())


async def _read_all(
    process: asyncio.subprocess.Process, stream: asyncio.StreamReader, into: bytearray, limit: int
) -> bool:
    """Read to the end; false when there was more than ``limit`` and the process was killed for it."""
    while chunk := await stream.read(_CHUNK):
        into += chunk
        if len(into) > limit:
            del into[limit:]
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            return False
    return True


async def _read_end(stream: asyncio.StreamReader, into: bytearray, limit: int) -> None:
    """Read to the end and keep the last ``limit`` bytes."""
    while chunk := await stream.read(_CHUNK):
        into += chunk
        if len(into) > 2 * limit:
            del into[:-limit]
    if len(into) > limit:
        del into[:-limit]


async def _feed(stream: asyncio.StreamWriter | None, given: bytes) -> None:
    if stream is None:
        return
    # A child that ends early closes its side; what it says is told by its exit status.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        stream.write(given)
        await stream.drain()
    stream.close()
