"""Where a notification goes: a row of notification_configs as a task carries it. Pure."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from fc.base.settings import ForgesSettings
from fc.forge.events import Forge

FORGE_OF: dict[str, Forge] = {
    "github_status": "github",
    "gitea_status": "gitea",
    "forgejo_status": "forgejo",
    "gitlab_status": "gitlab",
}


class SecretReference(msgspec.Struct, frozen=True, omit_defaults=True):
    """The name of a secret, or the secret encrypted; its value is had when a message is sent, and never stored."""

    secret: str = ""
    encrypted: str = ""


class Target(msgspec.Struct, frozen=True, omit_defaults=True):
    """What sending to one target needs, but for the values of secrets."""

    url: str = ""
    """Of a forge: its base URL. Empty: neither configuration nor settings name one."""
    repository: str = ""
    token: SecretReference | None = None
    secret: SecretReference | None = None

    @property
    def destination(self) -> str:
        """Host and port; empty where the URL has none."""
        try:
            parts = urlsplit(self.url)
            port = parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
        except ValueError:
            return ""
        return f"{parts.hostname}:{port}" if parts.hostname else ""


def target_of(kind: str, config: Mapping[str, Any], forges: ForgesSettings) -> Target:
    """The target that ``config`` describes, with the settings' URL where it names none.

    A configuration that was never checked makes a target that cannot be sent to: sending says what is wrong with it.
    """
    try:
        target = msgspec.convert({key: value for key, value in config.items() if value is not None}, Target)
    except msgspec.ValidationError:
        return Target()
    if target.url or kind not in FORGE_OF:
        return target
    return msgspec.structs.replace(target, url=getattr(forges, FORGE_OF[kind]).url or "")
