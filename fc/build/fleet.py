"""The builders of this process: a carrier for each, made anew when its configuration changes."""

import asyncio
import contextlib
import re
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path

from typing_extensions import override

from fc.base.errors import InvalidInputError
from fc.base.settings import BuildersSettings
from fc.build.ssh_carrier import SshAccess, SshCarrier
from fc.build.ssh_uri import parse_ssh_uri
from fc.build.transport import BuilderError, Carrier, Channel
from fc.tables.builder_queries import BuilderRow


class Handle:
    """One builder as this process holds it."""

    def __init__(self, carrier: Carrier, declared: tuple[str | None, ...]) -> None:
        self.carrier = carrier
        self.copying = asyncio.Lock()
        """Held while inputs are sent to it."""
        self.declared = declared
        self._users = 0
        self._retired = False

    @contextlib.asynccontextmanager
    async def used(self) -> AsyncIterator[None]:
        """Keep the carrier open while the block runs, also when the builder was declared anew meanwhile."""
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if self._retired and self._users == 0:
                await self.carrier.close()

    async def retire(self) -> None:
        """Close it as soon as nobody uses it."""
        self._retired = True
        if self._users == 0:
            await self.carrier.close()


class Fleet:
    """The remote builders of this process.

    Args:
        settings: keys and trust for builders that do not declare their own.
        data_dir: where host keys that were trusted on first use are kept.
    """

    def __init__(self, settings: BuildersSettings, data_dir: Path) -> None:
        self._settings = settings
        self._data_dir = data_dir
        self._handles: dict[uuid.UUID, Handle] = {}

    async def follow(self, rows: Iterable[BuilderRow], key_files: Mapping[uuid.UUID, str]) -> None:
        """Make the handles those of ``rows``; ``key_files`` are the private keys that they name."""
        wanted = {row.id: row for row in rows}
        for key, handle in list(self._handles.items()):
            row = wanted.get(key)
            if row is None or _declared(row, key_files) != handle.declared:
                del self._handles[key]
                await handle.retire()
        for key, row in wanted.items():
            if key not in self._handles:
                carrier = self._carrier(row, key_files.get(key))
                self._handles[key] = Handle(carrier, _declared(row, key_files))

    def handle(self, builder_id: uuid.UUID) -> Handle:
        """The handle of a builder that was followed."""
        return self._handles[builder_id]

    async def close(self) -> None:
        """Close every connection."""
        handles, self._handles = self._handles, {}
        await asyncio.gather(*(handle.carrier.close() for handle in handles.values()))

    def _carrier(self, row: BuilderRow, own_key: str | None) -> Carrier:
        try:
            target = parse_ssh_uri(row.ssh_uri)
        except InvalidInputError as error:
            return _NoCarrier(row.name, str(error))
        key_file = Path(own_key).expanduser() if own_key else self._settings.ssh_key
        trust_file = None
        if self._settings.trust_on_first_use:
            # By address and not by name alone: another machine under the same name is another machine.
            place = re.sub(r"[^A-Za-z0-9.-]", "_", f"{row.name}-{target.host}-{target.port}")
            trust_file = self._data_dir / "host-keys" / place
        access = SshAccess(
            target=target,
            key_file=key_file,
            host_keys=row.public_host_key,
            trust_file=trust_file,
            connect_timeout=float(self._settings.connect_timeout),
        )
        return SshCarrier(row.name, access)


class _NoCarrier(Carrier):
    """A builder whose declaration leads nowhere."""

    def __init__(self, name: str, reason: str) -> None:
        self.name = name
        self._reason = reason

    @override
    async def open(self) -> Channel:
        raise BuilderError(self.name, self._reason)

    @override
    async def close(self) -> None:
        """Nothing was opened."""


def _declared(row: BuilderRow, key_files: Mapping[uuid.UUID, str]) -> tuple[str | None, ...]:
    return row.name, row.ssh_uri, row.public_host_key, key_files.get(row.id)
