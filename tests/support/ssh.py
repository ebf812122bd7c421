"""A real remote builder for tests: the demo's SSH server, with the faults that builders have."""

import asyncio
from pathlib import Path

import asyncssh
from typing_extensions import override

from fc.base.nix_cli import Nix
from fc.cli.demo.ssh_builder import SshBuilder


class FaultyBuilder(SshBuilder):
    """A builder whose faults can be switched on. ``drop_connections`` and ``stop`` are faults as well."""

    def __init__(self, directory: Path, nix: Nix, host_key: asyncssh.SSHKey | None = None) -> None:
        super().__init__(directory, nix, host_key, features=("far",))
        self.banner = b""
        """What its login shell prints before anything else."""
        self.pause = 0.0
        """Seconds it thinks before it serves."""
        self.refuses_key = False
        self.sessions = 0
        """Sessions that were asked for."""

    @override
    async def start(self) -> None:
        await super().start()
        if self.refuses_key:
            self._client_key = asyncssh.generate_private_key("ssh-ed25519")
            self._client_key.write_private_key(self.client_key_file)

    @override
    async def handle(self, process: "asyncssh.SSHServerProcess[bytes]") -> None:
        self.sessions += 1
        if self.banner:
            process.stdout.write(self.banner)
        if self.pause:
            await asyncio.sleep(self.pause)
        await super().handle(process)

    async def restart(self) -> None:
        """Go away and come back at the same address."""
        await self.stop()
        await self.start()
