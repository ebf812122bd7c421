"""Asking the head's store about closures, in one short conversation with nix-store."""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from fc.base.errors import NixError
from fc.base.nix_cli import Nix
from fc.base.process import end_process
from fc.nix import serve
from fc.nix.path_info import PathInfo

T = TypeVar("T")

_TIMEOUT = 120.0


async def read_closures(nix: Nix, paths: Sequence[str]) -> list[PathInfo]:
    """What the head's store knows about the closures of those of ``paths`` that are valid there.

    A process of its own each time: a long-lived one remembers for an hour what was not there.

    Raises:
        NixError: nix-store did not answer, or not in its protocol.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *nix.command("nix-store", "--serve"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=nix.environment(),
            start_new_session=True,
        )
    except OSError as error:
        message = f"nix-store cannot be started: {error}"
        raise NixError(message) from error
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        async with asyncio.timeout(_TIMEOUT):
            return await _converse(process.stdin, process.stdout, paths)
    except (TimeoutError, OSError) as error:
        message = f"nix-store --serve did not answer: {error!r}"
        raise NixError(message) from error
    finally:
        await end_process(process)


async def _converse(
    writer: asyncio.StreamWriter, reader: asyncio.StreamReader, paths: Sequence[str]
) -> list[PathInfo]:
    store = serve.Serve(await _ask(writer, reader, serve.hello()))
    valid = await _ask(writer, reader, store.query_valid_paths(paths))
    if not valid:
        return []
    closure = await _ask(writer, reader, store.query_closure(valid))
    return await _ask(writer, reader, store.query_path_infos(closure))


async def _ask(writer: asyncio.StreamWriter, reader: asyncio.StreamReader, exchange: serve.Exchange[T]) -> T:
    writer.write(exchange.request)
    await writer.drain()
    receiver = exchange.receiver()
    while not receiver.finished:
        data = await reader.read(1 << 16)
        if not data:
            return receiver.end()
        receiver.feed(data)
    return receiver.value
