"""A real ``nix-store --serve`` on the other end of a pipe."""

import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self, TypeVar

from fc.base.nix_cli import Nix
from fc.nix import serve
from fc.nix.nar import NarParser
from fc.nix.path_info import PathInfo
from fc.nix.serve_replies import Version

T = TypeVar("T")


class ServeProcess:
    """Talks to ``nix-store --serve --write`` on the store at ``store``; none: the head's own."""

    def __init__(self, nix: Nix, store: Path | None = None, announced: Version = serve.ANNOUNCED) -> None:
        self._command = nix.command("nix-store", "--serve", "--write")
        if store is not None:
            self._command = [str(nix.bin_dir / "nix-store"), "--serve", "--write", "--store", str(store)]
        self._environment = nix.environment()
        self._announced = announced

    def __enter__(self) -> Self:
        self._log = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=self._environment,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input: IO[bytes] = self._process.stdin
        self._output: IO[bytes] = self._process.stdout
        remote = self.run(serve.hello(announced=self._announced))
        self.remote = remote
        self.serve = serve.Serve(remote, announced=self._announced)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._input.close()
        self._process.wait(timeout=60)
        self._output.close()
        self._log.close()

    def send(self, data: bytes) -> None:
        self._input.write(data)
        self._input.flush()

    def run(self, exchange: serve.Exchange[T]) -> T:
        self.send(exchange.request)
        return self.finish(exchange)

    def finish(self, exchange: serve.Exchange[T]) -> T:
        """The reply to a request that has been sent."""
        receiver = exchange.receiver()
        while not receiver.finished:
            data = self._output.read(receiver.needed)
            if not data:
                return receiver.end()
            receiver.feed(data)
        return receiver.value

    def dump(self, path: str, parser: NarParser | None = None) -> bytes:
        """The NAR of ``path``."""
        parser = parser or NarParser()
        self.send(self.serve.dump_store_path(path))
        pieces = []
        while not parser.finished:
            data = self._output.read1(65536)  # type: ignore[attr-defined]  # a pipe's reader is buffered
            if not data:
                parser.end()
            assert parser.feed(data) == len(data)
            pieces.append(data)
        return b"".join(pieces)

    def add(self, info: PathInfo, nar: bytes) -> None:
        exchange = self.serve.add_to_store_nar(info)
        self.send(exchange.request + nar)
        self.finish(exchange)

    def import_all(self, paths: Sequence[tuple[PathInfo, bytes]]) -> None:
        exchange = self.serve.import_paths()
        self.send(exchange.request)
        for info, nar in paths:
            self.send(serve.IMPORT_NEXT + nar + serve.import_trailer(info))
        self.send(serve.IMPORT_END)
        self.finish(exchange)

    def log(self) -> str:
        """Standard error so far: the log of the builds."""
        self._log.seek(0)
        return self._log.read().decode()
